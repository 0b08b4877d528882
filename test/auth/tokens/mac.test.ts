import { createHmac, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";

import { createMac } from "../../../src/auth/tokens/mac.ts";

const ofNode = (key: Buffer, text: string) => createHmac("sha256", key).update(text).digest("base64url");

describe("the MAC of access tokens", () => {
  it("is HMAC-SHA-256: RFC 4231, test cases 1 and 2", () => {
    const first = createMac(Buffer.alloc(20, 0x0b))("Hi There");
    expect(Buffer.from(first, "base64url").toString("hex")).toBe(
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    );
    const second = createMac(Buffer.from("Jefe"))("what do ya want for nothing?");
    expect(Buffer.from(second, "base64url").toString("hex")).toBe(
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    );
  });

  it("is what Node's own says, for texts of every length up to some blocks and far beyond", () => {
    const key = randomBytes(32);
    const mac = createMac(key);
    const lengths = [...Array.from({ length: 300 }, (_, length) => length), 4096, 20_000, 1];
    for (const length of lengths) {
      const text = randomBytes(length).toString("latin1");
      expect(mac(text)).toBe(ofNode(key, text));
    }
  });

  it("takes texts as UTF-8: no character folds onto another", () => {
    const key = randomBytes(64);
    const mac = createMac(key);
    for (const text of ["\u0141", "A", "\uff21", "😀", "\ud800", "€".repeat(3000)])
      expect(mac(text)).toBe(ofNode(key, text));
    expect(mac("\u0141")).not.toBe(mac("A"));
  });

  it("takes no key that would have to be hashed first", () => {
    expect(() => createMac(Buffer.alloc(65))).toThrow(RangeError);
  });
});
