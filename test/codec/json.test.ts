import { describe, expect, it } from "vitest";

import { CodecError } from "../../src/codec/codec.ts";
import { createJsonCodec } from "../../src/codec/json.ts";
import { quickest, reasonOf, usualMs } from "./measure.ts";

const codec = createJsonCodec();

describe("JSON codec", () => {
  it("has a subprotocol with the version of the protocol", () => {
    expect({ name: codec.name, subprotocol: codec.subprotocol }).toEqual({
      name: "json",
      subprotocol: "gatehouse.v1.json",
    });
  });

  it("refuses more members than it may, wherever they are, before it creates any of them", () => {
    const bounded = createJsonCodec({ maxMembers: 3 });
    expect(bounded.decode('[{"a":1},{"b":{"c":1}}]')).toEqual([{ a: 1 }, { b: { c: 1 } }]);
    for (const text of [
      '{"a":1,"b":2,"c":3,"d":4}',
      '[{"a":1},{"b":{"c":{"d":1}}}]',
      '{"a":1,"b":2,"c":3,"d":',
    ])
      expect(reasonOf(() => bounded.decode(text))).toBe("too many members");
  });

  it("leaves out what is undefined", () => {
    expect(codec.encode({ a: undefined, b: [undefined], c: { d: undefined } })).toBe('{"b":[null],"c":{}}');
    expect(codec.encode(undefined)).toBe("null");
  });

  it("joins frames as they are", () => {
    expect(codec.join(['{"id":1}', '{"id": 2}'])).toBe('[{"id":1},{"id": 2}]');
    expect(codec.join(['{"id":1}'])).toBe('{"id":1}');
    expect(codec.join([])).toBe("[]");
    expect(() => codec.join([Uint8Array.of(0x80)])).toThrow(CodecError);
  });

  it.each([10, 17, 1000, 10_000, 100_000, 1_000_000])("decides on depth %i at once", (depth) => {
    const texts = ["[".repeat(depth) + "]".repeat(depth), '{"a":'.repeat(depth), '[{"a":'.repeat(depth)];
    for (const text of texts) {
      if (depth > 16) expect(reasonOf(() => codec.decode(text))).toBe("nested too deeply");
      expect(quickest(() => reasonOf(() => codec.decode(text)))).toBeLessThan(2 * usualMs());
    }
  });

  it.each([
    ["quotes", `["${'","'.repeat(150_000)}`],
    ["escaped quotes", `["${'\\"'.repeat(250_000)}`],
    ["backslashes", `["${"\\".repeat(500_000)}`],
    ["backslashes outside a string", `${"\\".repeat(250_000)}${'"'.repeat(250_000)}`],
    ["a string and its backslash far away", `[${'"a",'.repeat(100_000)}"\\n"]`],
    ["colons", ":".repeat(500_000)],
  ])("takes time in proportion to the text: %s", (_, text) => {
    expect(quickest(() => reasonOf(() => codec.decode(text)))).toBeLessThan(10 * usualMs());
  });

  it("never quotes the input in its errors", () => {
    const secret = "hunter2";
    const texts = [
      `{"password":"${secret}"`,
      secret,
      `{"${secret}":1,"${secret}":2}`,
      `["${secret}\\ud800"]`,
    ];
    for (const text of texts) {
      const error = errorOf(() => codec.decode(text));
      expect(`${error.message} ${error.stack} ${String(error.cause)}`).not.toContain(secret);
    }
  });
});

function errorOf(run: () => unknown): Error {
  try {
    run();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error("nothing was thrown");
}
