import { createHmac, createPublicKey } from "node:crypto";
import { createLocalJWKSet, jwtVerify, UnsecuredJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createAccessTokens } from "../../../src/auth/tokens/access-tokens.ts";
import { createRefreshTokens } from "../../../src/auth/tokens/refresh-tokens.ts";
import { createSignedPaths } from "../../../src/auth/tokens/signed-paths.ts";
import { openProviders } from "../../support/people.ts";
import {
  base64url,
  createNode,
  issuer,
  type OpenStore,
  openStore,
  segments,
  session,
  textOf,
  user,
} from "./installation.ts";

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

let opened: OpenStore;
let node: Awaited<ReturnType<typeof createNode>>;
let token: string;

beforeAll(async () => {
  opened = await openStore();
  node = await createNode(opened);
  token = (await node.tokens.mint(session(), user(), 1)).token;
});
afterAll(() => opened.dispose());

const accepted = (tokens: Iterable<string>) =>
  [...tokens].filter((bad) => bad !== token && node.tokens.read(bad).ok);
const verifyOutside = (jwt: string) =>
  jwtVerify(jwt, createLocalJWKSet(node.keyring.jwks()), {
    issuer,
    audience: issuer,
    typ: "at+jwt",
    currentDate: new Date(opened.clock.now()),
  });

function* everyChange(from: number, to: number): Generator<string> {
  for (let at = from; at < to; at++) {
    const code = token.charCodeAt(at);
    const folded = [0x80, 0x100, 0xff00].map((plus) => String.fromCharCode(code + plus));
    for (const character of [...alphabet, "+", "/", "=", ".", " ", "\n", "\0", "", ...folded])
      yield token.slice(0, at) + character + token.slice(at + 1);
  }
}

/** Signed with the real private key, as if that alone had leaked: only the MAC is missing. */
function signed(payload: string): string {
  const { headerSegment, sign } = node.keyring.signingKey();
  const signingInput = `${headerSegment}.${Buffer.from(payload).toString("base64url")}`;
  return `${signingInput}.${sign(signingInput)}`;
}

describe("attacks on access tokens", () => {
  it("every change of every single character of header and payload is refused", () => {
    expect(accepted(everyChange(0, token.lastIndexOf(".") + 1))).toEqual([]);
  });

  it("every flipped bit of the signature is refused by outside verifiers", async () => {
    const [header, payload, signature] = segments(token);
    const bytes = Buffer.from(signature, "base64url");
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      await expect(verifyOutside(`${header}.${payload}.${flipped.toString("base64url")}`)).rejects.toThrow();
    }
  });

  it("a signature segment that is not canonical base64url of 64 bytes is refused here", () => {
    const [header, payload, signature] = segments(token);
    const start = signature.slice(0, -1);
    const last = [..."BCDEPRhx_-"].map((end) => `${start}${end}`);
    const shapes = [
      "",
      "A",
      start,
      `${signature}A`,
      `${signature}==`,
      ` ${start}`,
      `${start}\n`,
      `+${signature.slice(1)}`,
    ];
    for (const bad of [...last, ...shapes])
      expect(node.tokens.read(`${header}.${payload}.${bad}`).ok).toBe(false);
  });

  it("extra segments, white space, prefixes and junk are refused", () => {
    const [header, payload, signature] = segments(token);
    const bad = [
      "",
      ".",
      "..",
      "...",
      header,
      `${header}.${payload}`,
      `${header}.${payload}.`,
      `.${payload}.${signature}`,
    ];
    const around = [" ", "\n", "\0", "\uFEFF", ".", "A", "=", "Bearer "].flatMap((junk) => [
      `${junk}${token}`,
      `${token}${junk}`,
    ]);
    const joined = [
      `${token}.${signature}`,
      `${header}.${token}`,
      `${header}..${payload}.${signature}`,
      token.replaceAll(".", ".."),
    ];
    expect(
      accepted([...bad, ...around, ...joined, token.toLowerCase(), encodeURIComponent(` ${token}`)]),
    ).toEqual([]);
  });

  it.each(["none", "None", "NONE", "nOnE", "", "HS256", "ES256K", "RS256"])(
    "alg %j is refused",
    async (alg) => {
      const [header, payload, signature] = segments(token);
      const forged = base64url(JSON.stringify({ ...JSON.parse(textOf(header)), alg }));
      const attempts = [`${forged}.${payload}.${signature}`, `${forged}.${payload}.`];
      expect(accepted([...attempts, new UnsecuredJWT(JSON.parse(textOf(payload))).encode()])).toEqual([]);
      for (const attempt of attempts) await expect(verifyOutside(attempt)).rejects.toThrow();
    },
  );

  it("HS256 under the public key in every encoding is refused", async () => {
    const [jwk] = node.keyring.jwks().keys;
    if (jwk === undefined) throw new Error("there is no key");
    const key = createPublicKey({
      key: { kty: "EC", crv: "P-256", x: jwk.x ?? "", y: jwk.y ?? "" },
      format: "jwk",
    });
    const pem = key.export({ type: "spki", format: "pem" });
    const der = key.export({ type: "spki", format: "der" });
    const point = Buffer.from(`${jwk.x}${jwk.y}`);
    const [, payload] = segments(token);
    const header = base64url(JSON.stringify({ alg: "HS256", typ: "at+jwt", kid: jwk.kid }));
    for (const secret of [pem, `${pem}`.trim(), der, der.toString("base64"), JSON.stringify(jwk), point]) {
      const mac = createHmac("sha256", secret).update(`${header}.${payload}`).digest();
      const padded = Buffer.concat([mac, mac]).toString("base64url");
      for (const forged of [
        `${header}.${payload}.${mac.toString("base64url")}`,
        `${header}.${payload}.${padded}`,
      ]) {
        expect(node.tokens.read(forged).ok).toBe(false);
        await expect(verifyOutside(forged)).rejects.toThrow();
      }
    }
  });

  it("keys and instructions in the header are never used", () => {
    const [header, payload, signature] = segments(token);
    const known = JSON.parse(textOf(header));
    const kids = [
      "../../etc/passwd",
      "' or 1=1 --",
      "a\r\nb",
      "\0",
      "x".repeat(4000),
      "__proto__",
      "constructor",
      7,
      null,
      {},
    ];
    const extra = [
      { jku: "http://evil" },
      { jwk: {} },
      { x5u: "http://evil" },
      { crit: ["exp"] },
      { b64: false },
      { zip: "DEF" },
    ];
    const reordered = JSON.stringify({ kid: known.kid, typ: known.typ, alg: known.alg });
    const spaced = JSON.stringify(known, undefined, 1);
    const headers = [
      ...kids.map((kid) => ({ ...known, kid })),
      ...extra.map((more) => ({ ...known, ...more })),
    ];
    const texts = [...headers.map((value) => JSON.stringify(value)), reordered, spaced, "__proto__", "{}"];
    for (const text of texts)
      expect(node.tokens.read(`${base64url(text)}.${payload}.${signature}`)).toEqual({
        ok: false,
        reason: "unknown_key",
      });
    for (const name of ["__proto__", "constructor", "toString"])
      expect(node.tokens.read(`${name}.${payload}.${signature}`).ok).toBe(false);
  });

  it("a swapped kid is refused", async () => {
    const other = await openStore();
    const own = await createNode(other);
    const old = (await own.tokens.mint(session(), user(), 1)).token;
    await own.keyring.rotate({ leadMs: 0 });
    const fresh = (await own.tokens.mint(session(), user(), 1)).token;
    const swapped = [segments(fresh)[0], ...segments(old).slice(1)].join(".");
    expect([old, fresh].map((genuine) => own.tokens.read(genuine).ok)).toEqual([true, true]);
    expect(own.tokens.read(swapped)).toEqual({ ok: false, reason: "forged" });
    await other.dispose();
  });

  it("the private signing key alone cannot forge a token for the gateway: the MAC cannot be moved, repeated or omitted", async () => {
    const text = textOf(segments(token)[1]);
    const claims: Record<string, unknown> = JSON.parse(text);
    const { hmac, ...rest } = claims;
    const variants = [
      JSON.stringify(rest),
      JSON.stringify({ hmac, ...rest }),
      JSON.stringify(claims),
      text.replace("{", `{"hmac":"${hmac}",`),
      text.replace(/\}$/, `,"hmac":"${hmac}"}`),
      text.replace('"hmac"', '"sub":"0","hmac"'),
      text.replace("{", '{"sub":"0",'),
      text.replace(/"sub":"\w+"/, '"sub":"00000000000000000000000000000000"'),
      text.replace('"acr":"aal1"', '"acr":"aal2"'),
      text.replace(/"exp":\d+/, '"exp":9999999999'),
      text.replace('"hmac"', '   "hmac"'),
      `${text} `,
      ` ${text}`,
      JSON.stringify(Object.fromEntries(Object.entries(claims).reverse())),
    ];
    const attempts = (await Promise.all(variants.map(signed))).filter(
      (attempt) => segments(attempt)[1] !== segments(token)[1],
    );
    expect(attempts.length).toBeGreaterThan(10);
    for (const attempt of attempts) {
      await verifyOutside(attempt);
      expect(node.tokens.read(attempt).ok).toBe(false);
    }
  });

  it("parts of two genuine tokens do not mix", async () => {
    const other = (await node.tokens.mint(session(), user(), 2)).token;
    const [header, payload, signature] = segments(token);
    const [, theirs] = segments(other);
    const tail = 44;
    const mixed = payload.slice(0, -tail) + theirs.slice(-tail);
    expect(accepted([`${header}.${mixed}.${signature}`])).toEqual([]);
    await expect(verifyOutside(`${header}.${payload}.${segments(other)[2]}`)).rejects.toThrow();
  });

  it("a token of another installation is refused, also when it has the same issuer", async () => {
    const other = await openStore();
    const foreign = await createNode(other);
    const theirs = (await foreign.tokens.mint(session(), user(), 1)).token;
    expect(node.tokens.read(theirs)).toEqual({ ok: false, reason: "unknown_key" });
    const underOurHeader = [segments(token)[0], ...segments(theirs).slice(1)].join(".");
    expect(node.tokens.read(underOurHeader)).toEqual({ ok: false, reason: "forged" });
    await other.dispose();
  });

  it("8193 characters are refused without looking up a key", () => {
    let lookups = 0;
    const { keyring, clock } = node;
    const findVerifier = (header: string) => {
      lookups++;
      return keyring.findVerifier(header);
    };
    const watched = createAccessTokens({
      providers: openProviders,
      keyring: { ...keyring, findVerifier },
      clock,
      issuer: () => issuer,
      audience: () => issuer,
    });
    const [header, payload, signature] = segments(token);
    const ofLength = (length: number) =>
      `${header}.${"A".repeat(length - header.length - signature.length - 2)}.${signature}`;
    const long = ofLength(8193);
    expect(long).toHaveLength(8193);
    expect(watched.read(long)).toEqual({ ok: false, reason: "malformed" });
    expect(watched.read("A".repeat(10_000_000))).toEqual({ ok: false, reason: "malformed" });
    expect(lookups).toBe(0);
    expect(watched.read(`${header}.${payload}.${signature}`).ok).toBe(true);
    expect(watched.read(ofLength(8192))).toEqual({ ok: false, reason: "forged" });
    expect(lookups).toBe(2);
  });

  it("no type of token is accepted as another", async () => {
    const { sealing, clock } = node;
    const refreshTokens = createRefreshTokens(sealing);
    const paths = createSignedPaths({ sealing, clock });
    const refresh = refreshTokens.issue(session().id, 1);
    const path = await paths.sign(session().id, "/a", 30);
    const pathToken = path.slice(path.indexOf("=") + 1);
    expect(node.tokens.read(refresh)).toEqual({ ok: false, reason: "malformed" });
    expect(node.tokens.read(pathToken).ok).toBe(false);
    expect([refreshTokens.read(token), refreshTokens.read(pathToken)]).toEqual([undefined, undefined]);
    for (const wrong of [token, refresh]) expect(await paths.verify(`/a?authSig=${wrong}`)).toBeUndefined();
    await expect(verifyOutside(pathToken)).rejects.toThrow();
    expect(await paths.verify(path)).toBeTypeOf("string");
  });
});
