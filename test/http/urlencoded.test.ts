import { describe, expect, it } from "vitest";
import { urlencodedEntries } from "../../src/http/urlencoded.ts";

const entries = (body: string, charset?: string) => {
  const read = urlencodedEntries(Buffer.from(body, "latin1"), charset);
  return read === undefined ? undefined : [...read];
};

describe("an urlencoded form", () => {
  const utf8 = [["né", "€ +"]];
  it.each([undefined, "utf-8", "utf8", "us-ascii", "ascii"])(
    "in %s has what is percent-encoded in UTF-8",
    (charset) => {
      expect(entries("n%C3%A9=%E2%82%AC+%2b", charset)).toEqual(utf8);
    },
  );

  it.each(["iso-8859-1", "latin1", "iso_8859-1", "windows-1252"])("in %s is read byte by byte", (charset) => {
    expect(entries("n%e9=%FC+%2B&raw=\xe9&&a=b=c&d&=e&p=%zz%4", charset)).toEqual([
      ["né", "ü +"],
      ["raw", "é"],
      ["a", "b=c"],
      ["d", ""],
      ["", "e"],
      ["p", "%zz%4"],
    ]);
  });

  it("reads the same entries in ISO-8859-1 and in UTF-8 where all is ASCII", () => {
    for (const body of ["", "&", "=", "a", "a=&b", "a=b&c=d%26+e", "a==b", "%61=%62", "a=%", "+=+"])
      expect(entries(body, "iso-8859-1")).toEqual(entries(body));
  });

  it.each(["utf-16", "shift_jis", "iso-8859-2", "", "klingon"])("in %j is not read", (charset) => {
    expect(entries("a=b", charset)).toBeUndefined();
  });

  it("throws for bytes that are not of its charset", () => {
    for (const charset of [undefined, "utf8", "us-ascii"])
      expect(() => entries("a=\xff", charset)).toThrow(TypeError);
  });
});
