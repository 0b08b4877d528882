import { describe, expect, it } from "vitest";

import { AuthError } from "../../../src/auth/errors.ts";
import {
  areParametersSane,
  areWeaker,
  defaultParameters,
} from "../../../src/auth/passwords/scrypt-parameters.ts";
import { verifierFromJson, verifierToJson } from "../../../src/auth/passwords/verifier.ts";

const fine = {
  salt: Buffer.alloc(16, 1).toString("base64url"),
  ...defaultParameters,
  storedKey: Buffer.alloc(32, 2).toString("base64url"),
  serverKey: Buffer.alloc(32, 3).toString("base64url"),
};

describe("scrypt parameters", () => {
  it.each([
    [{ N: 2 ** 17, r: 8, p: 1 }, true],
    [{ N: 2 ** 20, r: 8, p: 1 }, true],
    [{ N: 2, r: 1, p: 1 }, true],
    [{ N: 2 ** 15, r: 1, p: 1 }, true],
    [{ N: 2 ** 16, r: 1, p: 1 }, false],
    [{ N: 2 ** 21, r: 2, p: 1 }, false],
    [{ N: 2 ** 20, r: 32, p: 1 }, false],
    [{ N: 2 ** 17, r: 33, p: 1 }, false],
    [{ N: 2 ** 17, r: 8, p: 17 }, false],
    [{ N: 2 ** 18, r: 8, p: 16 }, false],
    [{ N: 1000, r: 8, p: 1 }, false],
    [{ N: 1, r: 8, p: 1 }, false],
    [{ N: 0, r: 8, p: 1 }, false],
    [{ N: -2, r: 8, p: 1 }, false],
    [{ N: 2.5, r: 8, p: 1 }, false],
    [{ N: Number.NaN, r: 8, p: 1 }, false],
    [{ N: Number.POSITIVE_INFINITY, r: 8, p: 1 }, false],
  ])("%j are sane: %s", (parameters, sane) => {
    expect(areParametersSane(parameters)).toBe(sane);
  });

  it("are weaker with less memory or less work", () => {
    expect(areWeaker({ N: 2 ** 16, r: 8, p: 1 }, defaultParameters)).toBe(true);
    expect(areWeaker({ N: 2 ** 16, r: 8, p: 2 }, defaultParameters)).toBe(true);
    expect(areWeaker(defaultParameters, defaultParameters)).toBe(false);
    expect(areWeaker({ N: 2 ** 18, r: 8, p: 1 }, defaultParameters)).toBe(false);
  });
});

describe("stored verifiers", () => {
  it("come back as they were", () => {
    expect(verifierFromJson(verifierToJson(fine))).toEqual(fine);
  });

  it.each([
    ["absurd work", { N: 2 ** 30 }],
    ["a text for a number", { N: "many" }],
    ["another KDF", { kdf: "bcrypt" }],
    ["another hash", { hash: "sha-1" }],
    ["a short salt", { salt: "AAAA" }],
    ["no key", { stored_key: undefined }],
    ["a cut key", { server_key: fine.serverKey.slice(2) }],
  ])("with %s are a fault and no wrong password", (_name, damage) => {
    const read = () => verifierFromJson({ ...verifierToJson(fine), ...damage });
    expect(read).toThrow(AuthError);
    expect(read).toThrow(expect.objectContaining({ code: "unavailable" }));
  });
});
