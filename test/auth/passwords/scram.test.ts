import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { describe, expect, it } from "vitest";

import { AuthError } from "../../../src/auth/errors.ts";
import {
  beginExchange,
  judgeProof,
  readClientFinal,
  readClientFirst,
} from "../../../src/auth/passwords/scram.ts";
import { rfc7677, type ScramVector, scramRefusals, scramVectors } from "../../protocol/scram-vectors.ts";

const base64url = (hex: string) => Buffer.from(hex, "hex").toString("base64url");

function exchangeOf(vector: ScramVector) {
  const { gs2Header, bare } = readClientFirst(vector.client_first, vector.mechanism);
  return {
    gs2Header,
    bare,
    nonce: vector.client_nonce + vector.server_nonce,
    serverFirst: vector.server_first,
  };
}

const keysOf = (vector: ScramVector) => ({
  storedKey: base64url(vector.stored_key),
  serverKey: base64url(vector.server_key),
});
const boundOf = ({ channel_binding: value }: ScramVector) =>
  value === null ? undefined : Buffer.from(value, "hex");

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof AuthError) return error.code;
    throw error;
  }
  return "nothing was thrown";
}

describe.each(scramVectors)("the vector: $name", (vector) => {
  it("is read, answered and accepted, and the server's proof is that of the vector", () => {
    const first = readClientFirst(vector.client_first, vector.mechanism);
    expect(first).toMatchObject({ username: vector.username, nonce: vector.client_nonce });
    const { N, r, p } = vector;
    const salt = Buffer.from(vector.salt, "base64").toString("base64url");
    const { serverFirst, nonce } = beginExchange(first, { salt, N, r, p });
    const own = nonce.slice(vector.client_nonce.length);
    expect(serverFirst.replace(own, vector.server_nonce)).toBe(vector.server_first);
    const final = readClientFinal(vector.client_final);
    expect(judgeProof(exchangeOf(vector), final, keysOf(vector), boundOf(vector))).toEqual({
      ok: true,
      serverFinal: vector.server_final,
    });
  });

  it("is refused with another key, nonce, header, binding, salt, cost or proof", () => {
    const exchange = exchangeOf(vector);
    const final = readClientFinal(vector.client_final);
    const bound = boundOf(vector);
    const keys = keysOf(vector);
    const judged = (
      changes: Partial<typeof exchange>,
      other: Partial<typeof final> = {},
      value = bound,
    ): boolean => judgeProof({ ...exchange, ...changes }, { ...final, ...other }, keys, value).ok;
    expect(judged({})).toBe(true);
    const wrongKeys = { ...keys, storedKey: base64url(vector.server_key) };
    expect(judgeProof(exchange, final, wrongKeys, bound).ok).toBe(false);
    expect(judged({ nonce: `${exchange.nonce}x` })).toBe(false);
    expect(judged({ gs2Header: vector.gs2_header === "n,," ? "y,," : "n,," })).toBe(false);
    expect(judged({}, {}, Buffer.alloc(32, 9))).toBe(false);
    expect(judged({ serverFirst: exchange.serverFirst.replace("s=", "s=A") })).toBe(false);
    expect(judged({ serverFirst: exchange.serverFirst.replace(/i=\d+/, "i=16384") })).toBe(false);
    expect(judged({}, { proof: Buffer.alloc(32) })).toBe(false);
  });
});

it("accepts the exchange of RFC 7677 as it is there, with the keys of PBKDF2", () => {
  const { password, salt, iterations, bare, nonce, serverFirst, withoutProof } = rfc7677;
  const salted = pbkdf2Sync(password, salt, iterations, 32, "sha256");
  const mac = (text: string) => createHmac("sha256", salted).update(text).digest();
  const storedKey = createHash("sha256").update(mac("Client Key")).digest("base64url");
  const keys = { storedKey, serverKey: mac("Server Key").toString("base64url") };
  const final = readClientFinal(`${withoutProof},p=${rfc7677.proof}`);
  const verdict = judgeProof({ gs2Header: "n,,", bare, nonce, serverFirst }, final, keys, undefined);
  expect(verdict).toEqual({ ok: true, serverFinal: `v=${rfc7677.serverSignature}` });
});

describe("a client's message", () => {
  it.each(scramRefusals.client_first)("first: $name is refused", ({ message }) => {
    expect(codeOf(() => readClientFirst(message, "SCRAM-SCRYPT"))).toBe("invalid_format");
  });

  it.each(scramRefusals.client_final)("last: $name is refused", ({ message }) => {
    expect(codeOf(() => readClientFinal(message))).toBe("invalid_format");
  });

  it("of the bound mechanism names the binding that is supported", () => {
    const first = (header: string) =>
      codeOf(() => readClientFirst(`${header},,n=user,r=rOprNGfwEbeRWgbNEkqO`, "SCRAM-SCRYPT-PLUS"));
    expect(first("p=tls-exporter")).toBe("nothing was thrown");
    expect(["n", "y", "p=tls-unique"].map(first)).toEqual(Array(3).fill("invalid_format"));
  });

  it("may have extensions, which are signed", () => {
    const { bare } = readClientFirst("n,,n=user,r=rOprNGfwEbeRWgbNEkqO,x=1", "SCRAM-SCRYPT");
    expect(bare).toBe("n=user,r=rOprNGfwEbeRWgbNEkqO,x=1");
  });

  it("gets another nonce each time", () => {
    const first = readClientFirst("n,,n=user,r=rOprNGfwEbeRWgbNEkqO", "SCRAM-SCRYPT");
    const nonces = Array.from(
      { length: 100 },
      () => beginExchange(first, { salt: "", N: 2, r: 1, p: 1 }).nonce,
    );
    expect(new Set(nonces).size).toBe(100);
    expect(nonces.every((nonce) => /^rOprNGfwEbeRWgbNEkqO[A-Za-z0-9+/]{24}$/.test(nonce))).toBe(true);
  });
});
