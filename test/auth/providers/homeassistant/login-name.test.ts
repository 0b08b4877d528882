import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AuthError } from "../../../../src/auth/errors.ts";
import {
  checkLoginName,
  normaliseLoginName,
} from "../../../../src/auth/providers/homeassistant/login-name.ts";
import { addressShare } from "../../../../src/net/address-share.ts";

describe("a login name", () => {
  it.each([
    ["Ada", "ada"],
    ["  ada\t", "ada"],
    ["ＡＤＡ", "ada"],
    ["ﬁrst", "first"],
    ["e\u0301mile", "émile"],
    ["\u3000ada\u3000", "ada"],
    ["ada lovelace", "ada lovelace"],
    ["STRASSE", "strasse"],
    ["straße", "strasse"],
    ["STRAẞE", "strasse"],
    ["ΟΔΟΣ", "οδοσ"],
    ["οδος", "οδοσ"],
    ["οδοσ", "οδοσ"],
    ["ΑΣ ΒΣ", "ασ βσ"],
    ["İda", "i\u0307da"],
    ["ısı", "ısı"],
    ["ISI", "isi"],
    ["ᎠᏴ", "ꭰᏼ".toLowerCase()],
    ["ŉ", "ʼn"],
  ])("%j is %j", (typed, stored) => {
    expect(normaliseLoginName(typed)).toBe(stored);
  });

  it("is one name in upper and in lower case", () => {
    const cased = fc.string({ unit: fc.constantFrom(..."aßẞſσςΣΐŉǰﬁΆİᾳꭰé"), maxLength: 12 });
    fc.assert(
      fc.property(cased, (name) => {
        const { upper, lower } = { upper: name.toUpperCase(), lower: name.toLowerCase() };
        expect(normaliseLoginName(upper)).toBe(normaliseLoginName(name));
        expect(normaliseLoginName(lower)).toBe(normaliseLoginName(name));
      }),
    );
  });

  it("is its own normal form once it is normalised", () => {
    const everything = fc.string({ unit: "binary", maxLength: 40 });
    fc.assert(
      fc.property(
        everything,
        (name) => normaliseLoginName(normaliseLoginName(name)) === normaliseLoginName(name),
      ),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ["", "invalid_username"],
    ["   ", "invalid_username"],
    ["a".repeat(129), "invalid_username"],
    ["ad\u0000a", "invalid_username"],
    ["ad\u200ba", "invalid_username"],
    ["\u202eada", "invalid_username"],
    ["ad\na", "invalid_username"],
    ["ad\ud800a", "invalid_username"],
    ["Ada", "username_not_normalized"],
    [" ada", "username_not_normalized"],
    ["ＡＤＡ", "username_not_normalized"],
    ["straße", "username_not_normalized"],
    ["οδος", "username_not_normalized"],
  ])("%j is refused with %s", (name, code) => {
    expect(() => checkLoginName(name)).toThrow(AuthError);
    expect(() => checkLoginName(name)).toThrow(expect.objectContaining({ code }));
  });

  it.each(["ada", "ada.lovelace@example.com", "ada lovelace", "アダ", "x".repeat(128)])(
    "%j is fine",
    (name) => {
      expect(() => checkLoginName(name)).not.toThrow();
    },
  );
});

describe("the share of an address", () => {
  it.each([
    ["203.0.113.7", "203.0.113.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:0DB8:0001:0002::1", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["::", "0:0:0:0::/64"],
    ["2001:db8:1:2::", "2001:db8:1:2::/64"],
    ["no address", "no address"],
  ])("%s is %s", (address, share) => {
    expect(addressShare(address)).toBe(share);
  });
});
