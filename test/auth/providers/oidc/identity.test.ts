import { describe, expect, it } from "vitest";

import {
  amrIn,
  claimAt,
  groupsIn,
  isIdentifier,
  nameIn,
  subjectOf,
} from "../../../../src/auth/providers/oidc/identity.ts";

describe("claims", () => {
  it("are found as they are written, then along the dots", () => {
    const claims = { "https://x.test/groups": ["a"], "a.b": 1, a: { b: 2, c: { d: 3 } } };
    expect(claimAt(claims, "https://x.test/groups")).toEqual(["a"]);
    expect([claimAt(claims, "a.b"), claimAt(claims, "a.c.d")]).toEqual([1, 3]);
    for (const name of ["x", "a.x", "a.b.c", "__proto__", "a.constructor", "a.__proto__.x"])
      expect(claimAt(claims, name)).toBeUndefined();
  });

  it("name people by the configured claim, the usual ones, or the sub, without characters that deceive", () => {
    const claims = { sub: "s", email: "e", preferred_username: "p", name: "n", title: "t" };
    expect(nameIn(claims, "title")).toBe("t");
    expect(nameIn(claims, "none")).toBe("n");
    expect(nameIn({ sub: "s", name: " \u202e\u200b " }, "name")).toBe("s");
    expect(nameIn({ sub: "s", name: "Ann\u202e\u0000a" }, "name")).toBe("Anna");
    expect(nameIn({ sub: "s", name: ["x"] }, "name")).toBe("s");
    expect([...nameIn({ sub: "s", name: "🙂".repeat(1000) }, "name")]).toHaveLength(128);
  });

  it("give groups as texts, and no more than a login may cost", () => {
    expect(groupsIn({ groups: ["a", 1, null, "b", { c: 1 }, "x".repeat(2000)] }, "groups")).toEqual([
      "a",
      "b",
    ]);
    expect(groupsIn({ groups: "a" }, "groups")).toEqual(["a"]);
    expect(groupsIn({ realm: { roles: ["r"] } }, "realm.roles")).toEqual(["r"]);
    for (const groups of [undefined, null, 1, {}, [[]]]) expect(groupsIn({ groups }, "groups")).toEqual([]);
    expect(groupsIn({ groups: Array.from({ length: 5000 }, (_, n) => `g${n}`) }, "groups")).toHaveLength(
      1000,
    );
  });

  it("say how the person authenticated", () => {
    expect(amrIn({ amr: ["pwd", "otp", "not one", 1] })).toEqual(["pwd", "otp"]);
    for (const amr of ["pwd", null, {}, undefined]) expect(amrIn({ amr })).toEqual(["federated"]);
  });

  it("identify a person by issuer and sub together", () => {
    expect(subjectOf("https://a.test", "b#c")).toBe("https://a.test#b#c");
    expect(["", "x", "x".repeat(255), "x".repeat(256), 1, null].map(isIdentifier)).toEqual([
      ...[false, true, true, false, false, false],
    ]);
  });
});
