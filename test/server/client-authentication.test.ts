import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { assertionType, type ClientRig, clientRigs, startClientRig } from "../support/client-rig.ts";
import { setUpOwner, sharedIssuer, startNode } from "../support/gateway.ts";
import { startRedis } from "../support/redis-server.ts";
import { newCode, registerApp, sendForm } from "../support/registered-app.ts";

describe.each(clientRigs)("on %s with the store %s:", (transport, store) => {
  let gateway: ClientRig["gateway"];
  let app: ClientRig["app"];
  let token: ClientRig["token"];
  let issuer: string;
  beforeAll(async () => {
    ({ gateway, app, token, issuer } = await startClientRig(transport, store));
  });
  afterAll(() => gateway.stop());

  describe("client authentication", () => {
    it("answers a wrong secret, an unknown client, and another method alike, and repeats no secret", async () => {
      const [id] = await app();
      const [publicId] = await app({ authMethod: "none" });
      const wrong = "canary-canary-canary-canary-canary-canary";
      const ask = (client: string) =>
        token({ grant_type: "refresh_token", refresh_token: "x" }, [client, wrong]);
      const answers = [await ask(id), await ask("nobody"), await ask(publicId)];
      for (const answer of answers) expect(answer).toEqual(answers[0]);
      expect(answers[0]).toMatchObject({
        status: 401,
        challenge: 'Basic realm="gatehouse"',
        body: { error: "invalid_client" },
      });
      expect(JSON.stringify(answers)).not.toContain("canary");
    });

    it.each<
      [string, number, string, (id: string, secret: string) => Promise<{ status: number; body: object }>]
    >([
      [
        "none of a client with a secret",
        400,
        "invalid_client",
        (id) => token({ grant_type: "refresh_token", refresh_token: "x", client_id: id }),
      ],
      ["an empty secret", 401, "invalid_client", (id) => token({ grant_type: "refresh_token" }, [id, ""])],
      [
        "a wrong one in the body",
        400,
        "invalid_client",
        (id) => token({ grant_type: "refresh_token", client_id: id, client_secret: "x" }),
      ],
      [
        "header and body at once",
        400,
        "invalid_request",
        (id, secret) => token({ grant_type: "refresh_token", client_secret: secret }, [id, secret]),
      ],
      [
        "another client id in the body",
        400,
        "invalid_request",
        (id, secret) => token({ grant_type: "refresh_token", client_id: "other" }, [id, secret]),
      ],
      [
        "an assertion of another type",
        400,
        "invalid_request",
        (id) =>
          token({
            grant_type: "refresh_token",
            client_id: id,
            client_assertion: "x",
            client_assertion_type: "saml",
          }),
      ],
      [
        "an assertion that is no JWT",
        400,
        "invalid_client",
        (id) =>
          token({
            grant_type: "refresh_token",
            client_id: id,
            client_assertion: "x",
            client_assertion_type: assertionType,
          }),
      ],
    ])("refuses %s", async (_, status, error, ask) => {
      const [id, secret] = await app();
      expect(await ask(id, secret)).toMatchObject({ status, body: { error } });
    });

    it.each([
      "Basic",
      "Basic !",
      "Basic Og==",
      `Basic ${Buffer.from("%zz:x").toString("base64")}`,
      "Basic\tx",
      `Basic ${"A".repeat(4000)}`,
    ])("is no fault at the header %s", async (authorization) => {
      const answer = await fetch(`${gateway.url}/auth/token`, {
        method: "POST",
        headers: { authorization },
        body: new URLSearchParams({ grant_type: "refresh_token", refresh_token: "x" }),
      });
      expect([400, 401]).toContain(answer.status);
    });

    it("takes each good assertion once, and no other", async () => {
      const { publicKey, privateKey } = await generateKeyPair("ES256");
      const { privateKey: foreign } = await generateKeyPair("ES256");
      const jwks = { keys: [await exportJWK(publicKey)] };
      const { user } = await gateway.authority.systemUsers.create({ name: "assertions" });
      const more = {
        grantTypes: ["client_credentials"],
        userId: user.id,
        authMethod: "private_key_jwt",
        jwks,
      } as const;
      const [id] = await app(more);
      const now = Math.floor(Date.now() / 1000);
      const good = { iss: id, sub: id, aud: issuer, exp: now + 60, jti: "one" };
      const signed = (claims: object, key = privateKey, alg = "ES256") =>
        new SignJWT({ ...good, ...claims }).setProtectedHeader({ alg }).sign(key);
      const ask = async (client_assertion: string) =>
        await token({
          grant_type: "client_credentials",
          client_assertion,
          client_assertion_type: assertionType,
        });
      const secretKey = new TextEncoder().encode(JSON.stringify(jwks.keys[0]));
      const none = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${Buffer.from(JSON.stringify(good)).toString("base64url")}.`;
      const refused = [
        await signed({ aud: "https://other.example" }),
        await signed({ exp: now - 60 }),
        await signed({ exp: now + 3600 }),
        await signed({ exp: undefined }),
        await signed({ jti: undefined }),
        await signed({ iss: "other" }),
        await signed({ sub: "other" }),
        await signed({}, foreign),
        await new SignJWT(good).setProtectedHeader({ alg: "HS256" }).sign(secretKey),
        none,
      ];
      for (const assertion of refused)
        expect(await ask(assertion)).toMatchObject({ status: 400, body: { error: "invalid_client" } });
      expect(await ask(await signed({}))).toMatchObject({ status: 200 });
      expect(await ask(await signed({}))).toMatchObject({ status: 400, body: { error: "invalid_client" } });
      expect(await ask(await signed({ jti: "two", aud: [`${gateway.url}/auth/token`, "x"] }))).toMatchObject({
        status: 200,
      });
    });
  });
});

describe("two nodes", () => {
  it("redeem a code once, rotate once, and take an assertion once, however many ask at once", async () => {
    const redis = await startRedis();
    const nodes = [await startNode({ store: redis.url }), await startNode({ store: redis.url })];
    try {
      const [first] = nodes;
      if (first === undefined) throw new Error("no node");
      const owner = await setUpOwner(first.authority);
      const basic = await registerApp(first.authority);
      const everywhere = (count: number, fields: Record<string, string>) =>
        Promise.all(
          Array.from({ length: count }, (_, place) =>
            sendForm(`${nodes[place % 2]?.url}/auth/token`, fields, basic),
          ),
        );
      const code = await newCode({ url: first.url, owner });
      const redeemed = await everywhere(100, code);
      expect(redeemed.filter(({ status }) => status === 200)).toHaveLength(1);
      // A second use is a theft, so what the first one opened has ended.
      const { refresh_token = "" } = redeemed.find(({ status }) => status === 200)?.body ?? {};
      const [ended] = await everywhere(1, { grant_type: "refresh_token", refresh_token });
      expect(ended).toMatchObject({ status: 400, body: { error: "invalid_grant" } });

      const again = await newCode({ url: first.url, owner });
      const [opened] = await everywhere(1, again);
      const refresh = { grant_type: "refresh_token", refresh_token: opened?.body.refresh_token ?? "" };
      const refreshed = await everywhere(50, refresh);
      expect(new Set(refreshed.map(({ status }) => status))).toEqual(new Set([200]));
      expect(new Set(refreshed.map(({ body }) => body.refresh_token)).size).toBe(1);

      const { publicKey, privateKey } = await generateKeyPair("ES256");
      const { user } = await first.authority.systemUsers.create({ name: "assertions" });
      await registerApp(first.authority, {
        id: "service",
        grantTypes: ["client_credentials"],
        redirectUris: [],
        userId: user.id,
        authMethod: "private_key_jwt",
        jwks: { keys: [await exportJWK(publicKey)] },
      });
      const claims = { iss: "service", sub: "service", aud: sharedIssuer, jti: "one" };
      const client_assertion = await new SignJWT(claims)
        .setProtectedHeader({ alg: "ES256" })
        .setExpirationTime("1m")
        .sign(privateKey);
      const asserted = await Promise.all(
        Array.from({ length: 30 }, (_, place) =>
          sendForm(`${nodes[place % 2]?.url}/auth/token`, {
            grant_type: "client_credentials",
            client_assertion,
            client_assertion_type: assertionType,
          }),
        ),
      );
      expect(asserted.filter(({ status }) => status === 200)).toHaveLength(1);
      for (const { status, body } of asserted)
        expect([status, body.error]).toBeOneOf([
          [200, undefined],
          [400, "invalid_client"],
        ]);
    } finally {
      for (const node of nodes) await node.stop();
      await redis.dispose();
    }
  });
});
