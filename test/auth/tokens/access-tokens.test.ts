import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { noClient } from "../../../src/auth/tokens/access-tokens.ts";
import {
  createNode,
  day,
  halfAnHour,
  issuer,
  type OpenStore,
  openStore,
  segments,
  session,
  startOfTime,
  textOf,
  user,
} from "./installation.ts";

let opened: OpenStore;
let node: Awaited<ReturnType<typeof createNode>>;

beforeAll(async () => {
  opened = await openStore();
  node = await createNode(opened);
});
afterAll(() => opened.dispose());
beforeEach(() => {
  opened.clock.time = startOfTime;
});

const verifyOutside = (token: string) =>
  jwtVerify(token, createLocalJWKSet(node.keyring.jwks()), {
    issuer,
    audience: issuer,
    typ: "at+jwt",
    algorithms: ["ES256"],
    currentDate: new Date(opened.clock.now()),
  });

describe("access tokens", () => {
  it("give the principal that they were minted for", async () => {
    const ada = user({ localOnly: true });
    const policy = '{"topics":true}';
    const narrow = { scope: "openid api", resource: "https://backend.example/", policy };
    const login = session({ userId: ada.id, assurance: 2, amr: ["pwd", "otp"], ...narrow });
    const { token, expiresAt, principal } = await node.tokens.mint(login, ada, 42);
    expect(expiresAt).toBe(startOfTime + halfAnHour);
    expect(node.tokens.read(token)).toEqual({ ok: true, principal });
    expect(node.tokens.read(token)).toEqual({
      ok: true,
      principal: {
        keyId: node.keyring.signingKey().kid,
        userId: ada.id,
        sessionId: login.id,
        epoch: 42,
        sessionType: "normal",
        clientId: "https://app.example/",
        assurance: 2,
        amr: ["pwd", "otp"],
        authenticatedAt: startOfTime,
        tokenIssuedAt: startOfTime,
        tokenExpiresAt: expiresAt,
        sessionExpiresAt: startOfTime + 90 * day,
        localOnly: true,
        judgedBy: null,
        scope: "openid api",
        policy,
        isForOtherAudience: true,
      },
    });
  });

  it("represent a session without client and without expiry", async () => {
    const longLived = session({ type: "long_lived_access_token", clientId: null, expiresAt: null });
    const { token } = await node.tokens.mint(longLived, user(), 1, 3650 * day);
    expect(node.tokens.read(token)).toMatchObject({
      ok: true,
      principal: { clientId: null, sessionExpiresAt: null, sessionType: "long_lived_access_token" },
    });
    expect(decodeJwt(token)).toMatchObject({ client_id: noClient });
  });

  it("allow no client id that means no client", async () => {
    const claimed = session({ clientId: noClient });
    await expect(node.tokens.mint(claimed, user(), 1)).rejects.toMatchObject({ code: "invalid_client" });
  });

  it("are RFC 9068 tokens that jose verifies from the JWKS alone", async () => {
    const ada = user();
    const login = session();
    const { token } = await node.tokens.mint(login, ada, 1);
    const { payload, protectedHeader } = await verifyOutside(token);
    expect(protectedHeader).toEqual({ alg: "ES256", typ: "at+jwt", kid: node.keyring.jwks().keys[0]?.kid });
    const seconds = startOfTime / 1000;
    expect(payload).toMatchObject({
      iss: issuer,
      aud: issuer,
      sub: ada.id,
      client_id: login.clientId,
      sid: login.id,
    });
    expect(payload).toMatchObject({
      iat: seconds,
      exp: seconds + 1800,
      auth_time: seconds,
      acr: "aal1",
      amr: ["pwd"],
    });
    expect(payload.jti).toMatch(/^[\w-]{22}$/);
  });

  it("have a header that equals the keyring's segment, whatever jose does to write it", async () => {
    const { token } = await node.tokens.mint(session(), user(), 1);
    expect(segments(token)[0]).toBe(node.keyring.signingKey().headerSegment);
    expect(JSON.stringify(decodeProtectedHeader(token))).toBe(textOf(segments(token)[0]));
  });

  it("verify here and outside for claims of every length and script", async () => {
    for (const name of [
      "",
      "a",
      "ab",
      "abc",
      'q"\\\n',
      "é",
      "漢字",
      "\u{1F511}",
      "\u2028",
      "x".repeat(1500),
    ]) {
      const { token } = await node.tokens.mint(
        session({ clientId: `https://${name}/` }),
        user({ id: name }),
        1,
      );
      expect(node.tokens.read(token)).toMatchObject({
        ok: true,
        principal: { clientId: `https://${name}/`, userId: name },
      });
      expect((await verifyOutside(token)).payload.sub).toBe(name);
    }
  });

  it("fit into a frame before auth_ok with room to spare", async () => {
    const { token } = await node.tokens.mint(session({ clientId: `https://${"x".repeat(504)}` }), user(), 1);
    expect(token.length).toBeLessThan(2048);
  });

  it("are all different, also in the same millisecond", async () => {
    const login = session();
    const ada = user();
    const minted = await Promise.all(Array.from({ length: 600 }, () => node.tokens.mint(login, ada, 1)));
    expect(new Set(minted.map(({ token }) => decodeJwt(token).jti)).size).toBe(600);
  });

  it("expire at the exact second outside, and here after Home Assistant's ten seconds of leeway", async () => {
    const { token, expiresAt } = await node.tokens.mint(session(), user(), 1);
    opened.clock.time = expiresAt - 1;
    expect(node.tokens.read(token).ok).toBe(true);
    await verifyOutside(token);
    opened.clock.time = expiresAt + 9_999;
    expect(node.tokens.read(token).ok).toBe(true);
    opened.clock.time = expiresAt + 10_000;
    expect(node.tokens.read(token)).toEqual({ ok: false, reason: "expired" });
    await expect(verifyOutside(token)).rejects.toMatchObject({ code: "ERR_JWT_EXPIRED" });
  });

  it("never outlive their session", async () => {
    const ending = session({ expiresAt: startOfTime + 60_500 });
    const { token, expiresAt } = await node.tokens.mint(ending, user(), 1);
    expect(expiresAt).toBe(startOfTime + 60_000);
    expect(decodeJwt(token).exp).toBe(expiresAt / 1000);
  });

  it("tolerate a node whose clock is a minute behind, and no more", async () => {
    const { token } = await node.tokens.mint(session(), user(), 1);
    opened.clock.time = startOfTime - 60_000;
    expect(node.tokens.read(token).ok).toBe(true);
    opened.clock.time = startOfTime - 60_001;
    expect(node.tokens.read(token)).toEqual({ ok: false, reason: "not_yet_valid" });
  });
});
