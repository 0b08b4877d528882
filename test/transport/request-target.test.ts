import { describe, expect, it } from "vitest";
import { splitTarget } from "../../src/transport/http-exchange.ts";

describe("request targets", () => {
  it.each([
    ["/a", "/a", ""],
    ["/a?b=c?d", "/a", "b=c?d"],
    ["//evil.test/a", "//evil.test/a", ""],
    ["http://evil.test/a?b", "/a", "b"],
    ["https://user@evil.test:1", "/", ""],
    ["http://evil.test?b", "/", "b"],
  ])("%s is read without its authority", (target, path, query) => {
    expect(splitTarget(target)).toEqual({ path, query });
  });

  it.each(["", "*", "a", "evil.test:443", "ftp://evil.test/", "javascript:alert(1)"])(
    "%s is none",
    (target) => {
      expect(splitTarget(target)).toBeUndefined();
    },
  );
});
