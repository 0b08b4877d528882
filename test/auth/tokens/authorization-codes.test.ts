import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { recordKeys } from "../../../src/auth/record-keys.ts";
import { readRecord } from "../../../src/auth/store.ts";
import { type CodeGrant, createAuthorizationCodes } from "../../../src/auth/tokens/authorization-codes.ts";
import { hexId, type OpenStore, openStore, startOfTime } from "./installation.ts";

const clientId = "https://app.example/";
const peer = { address: "192.0.2.7" };
const codeVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/** RFC 7636 appendix B. */
const codeChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const tenMinutes = 600_000;

let opened: OpenStore;
let replayed: { readonly userId: string; readonly sessionId: string }[];

beforeEach(async () => {
  opened = await openStore();
  replayed = [];
});
afterEach(() => opened.dispose());

const codesOf = (onReplay = async (grant: (typeof replayed)[number]) => void replayed.push(grant)) =>
  createAuthorizationCodes({ store: opened.store, clock: opened.clock, onReplay });

function grant(changes: Partial<CodeGrant> = {}): CodeGrant {
  return {
    userId: hexId(),
    userEpoch: 0,
    credentialId: hexId(),
    clientId,
    clientName: "App",
    redirectUri: "https://app.example/back",
    codeChallenge: null,
    assurance: 1,
    amr: ["pwd"],
    authenticatedAt: startOfTime,
    ...changes,
  };
}

async function issue(changes: Partial<CodeGrant> = {}): Promise<string> {
  const { code, step } = codesOf().prepare(grant(changes));
  expect(await opened.store.commit(step)).toMatchObject({ ok: true });
  return code;
}

/** A redemption as the caller does it: the code's use is part of its commit. True when that commit was applied. */
async function redeem(
  code: string,
  sessionId = hexId(),
  request: { codeVerifier?: string; redirectUri?: string } = {},
): Promise<boolean> {
  const { consume } = await codesOf().redeem({ code, clientId, peer, ...request });
  return (await opened.store.commit(consume(sessionId))).ok;
}

const refused = { code: "invalid_code", publicMessage: "Invalid code" };

describe("authorization codes", () => {
  it("give the grant that they were issued for", async () => {
    const given = grant({
      codeChallenge,
      assurance: 2,
      amr: ["pwd", "otp"],
      clientName: null,
      redirectUri: null,
      scope: "openid api",
      resource: "https://backend.example/",
      nonce: "once",
    });
    const { code, step } = codesOf().prepare(given);
    await opened.store.commit(step);
    const taken = await codesOf().redeem({ code, clientId, codeVerifier, peer });
    expect(taken.grant).toEqual(given);
  });

  it("are 128 random bits in Home Assistant's format, and are not in the store", async () => {
    const codes = Array.from({ length: 50 }, () => codesOf().prepare(grant()));
    for (const { code, step } of codes) {
      expect(code).toMatch(/^[0-9a-f]{32}$/);
      expect(JSON.stringify(step)).not.toContain(code);
    }
    expect(new Set(codes.map(({ code }) => code)).size).toBe(50);
  });

  it("are redeemed by exactly one of 50 parallel calls", async () => {
    const code = await issue();
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => redeem(code)));
    expect(outcomes.filter((applied) => applied)).toHaveLength(1);
  });

  it("are redeemed many times without the step, which checks the version", async () => {
    const code = await issue();
    const calls = Array.from({ length: 50 }, () => codesOf().redeem({ code, clientId, peer }));
    expect(await Promise.all(calls)).toHaveLength(50);
  });

  it("end the session that the first use opened when they are used again", async () => {
    const userId = hexId();
    const sessionId = hexId();
    const code = await issue({ userId });
    expect(await redeem(code, sessionId)).toBe(true);
    await expect(redeem(code)).rejects.toMatchObject(refused);
    expect(replayed).toEqual([{ userId, sessionId }]);
  });

  it("with a challenge end nothing when they are used again without the verifier", async () => {
    const code = await issue({ codeChallenge });
    expect(await redeem(code, hexId(), { codeVerifier })).toBe(true);
    await expect(redeem(code)).rejects.toMatchObject(refused);
    await expect(redeem(code, hexId(), { codeVerifier: "x".repeat(43) })).rejects.toMatchObject(refused);
    expect(replayed).toEqual([]);
    await expect(redeem(code, hexId(), { codeVerifier })).rejects.toMatchObject(refused);
    expect(replayed).toHaveLength(1);
  });

  it("require the login's redirect URI if one is sent, and are not used up by another", async () => {
    const redirectUri = "https://app.example/back";
    const code = await issue({ redirectUri });
    for (const other of ["https://app.example/", "https://app.example/back?", "https://APP.example/back", ""])
      await expect(redeem(code, hexId(), { redirectUri: other })).rejects.toMatchObject(refused);
    expect(await redeem(code, hexId(), { redirectUri })).toBe(true);
    await expect(redeem(code, hexId(), { redirectUri: "https://evil.example/" })).rejects.toMatchObject(
      refused,
    );
    expect(replayed).toEqual([]);
  });

  it("answer unavailable if the session cannot be ended, and end it at the next attempt", async () => {
    const code = await issue();
    await redeem(code);
    const away = codesOf(() => Promise.reject(Object.assign(new Error("away"), { code: "unavailable" })));
    await expect(away.redeem({ code, clientId, peer })).rejects.toMatchObject({ code: "unavailable" });
    await expect(redeem(code)).rejects.toMatchObject(refused);
    expect(replayed).toHaveLength(1);
  });

  it("are not used up by another client, whose attempts do not end the session either", async () => {
    const code = await issue();
    for (const other of ["https://evil.example/", "", "https://app.example", "HTTPS://APP.EXAMPLE/"]) {
      const attempt = codesOf().redeem({ code, clientId: other, peer });
      await expect(attempt).rejects.toMatchObject(refused);
    }
    expect(await redeem(code)).toBe(true);
    await expect(codesOf().redeem({ code, clientId: "https://evil.example/", peer })).rejects.toMatchObject(
      refused,
    );
    expect(replayed).toEqual([]);
  });

  it("expire at the exact millisecond, and are known as used until then", async () => {
    const [late, used] = [await issue(), await issue()];
    await redeem(used);
    opened.clock.pass(tenMinutes - 1);
    expect((await codesOf().redeem({ code: late, clientId, peer })).grant.clientId).toBe(clientId);
    await expect(redeem(used)).rejects.toMatchObject(refused);
    expect(replayed).toHaveLength(1);
    opened.clock.pass(1);
    await expect(redeem(late)).rejects.toMatchObject(refused);
    await expect(redeem(used)).rejects.toMatchObject(refused);
    expect(replayed).toHaveLength(1);
  });

  it("are refused after their expiry, also while the store still has them", async () => {
    const code = await issue();
    const key = recordKeys.code(code);
    const record = await readRecord(opened.store, key);
    await opened.store.commit({ put: [{ key, value: record?.value ?? {} }] });
    opened.clock.pass(tenMinutes);
    expect(await readRecord(opened.store, key)).toBeDefined();
    await expect(redeem(code)).rejects.toMatchObject(refused);
  });

  it("with a challenge require its verifier, S256 only", async () => {
    const code = await issue({ codeChallenge });
    const other = "x".repeat(43);
    const bad = [
      other,
      codeChallenge,
      "",
      codeVerifier.slice(0, 42),
      `${codeVerifier} `,
      `${codeVerifier}=`,
      "é".repeat(43),
      "a".repeat(129),
    ];
    await expect(redeem(code)).rejects.toMatchObject(refused);
    for (const wrong of bad)
      await expect(redeem(code, hexId(), { codeVerifier: wrong })).rejects.toMatchObject(refused);
    expect(await redeem(code, hexId(), { codeVerifier })).toBe(true);
  });

  it("without a challenge refuse a verifier", async () => {
    const code = await issue();
    await expect(redeem(code, hexId(), { codeVerifier })).rejects.toMatchObject(refused);
    expect(await redeem(code)).toBe(true);
  });

  it("accept verifiers of 43 to 128 characters", async () => {
    for (const verifier of ["~".repeat(43), "-._~".repeat(32)]) {
      const challenge = createHash("sha256").update(verifier).digest("base64url");
      const code = await issue({ codeChallenge: challenge });
      expect(await redeem(code, hexId(), { codeVerifier: verifier })).toBe(true);
    }
  });

  it.each([
    "",
    "plain",
    codeVerifier.slice(1),
    `${codeChallenge}=`,
    codeChallenge.replace(/M$/, "N"),
    "é".repeat(43),
  ])("are not made for the challenge %j", (challenge) => {
    expect(() => codesOf().prepare(grant({ codeChallenge: challenge }))).toThrow(/S256/);
  });

  it("with a wrong format cause no store call", async () => {
    const code = await issue();
    await opened.store.close();
    for (const bad of [
      "",
      code.toUpperCase(),
      `${code}0`,
      ` ${code}`,
      `${code}\n`,
      "*",
      "code:{x}",
      "x".repeat(1_000_000),
    ])
      await expect(redeem(bad)).rejects.toMatchObject(refused);
    await expect(redeem(code)).rejects.toMatchObject({ code: "unavailable" });
    opened = await openStore();
  });

  it("that were never issued are refused alike", async () => {
    await expect(redeem(hexId())).rejects.toMatchObject(refused);
  });
});
