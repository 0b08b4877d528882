import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { describe, expect, it } from "vitest";

import { createClientAuthentication } from "../../../src/auth/clients/client-authentication.ts";
import type { RegisteredClient } from "../../../src/auth/clients/client-record.ts";
import { registration } from "../../support/registered-app.ts";
import { openStore } from "../tokens/installation.ts";

describe("client authentication", () => {
  it.each<[string, Record<string, string>]>([
    ["is no key of its kind", { kty: "EC", crv: "P-256", x: "AA", y: "AA" }],
    ["is of another kind than the assertion's algorithm", { kty: "RSA", n: "AQAB", e: "AQAB" }],
    ["has an unknown curve", { kty: "EC", crv: "P-999", x: "AA", y: "AA" }],
  ])("refuses an assertion of a client whose key %s, as any other", async (_, key) => {
    const opened = await openStore();
    // Registered by an older version, which did not look.
    const client: RegisteredClient = {
      ...registration,
      authMethod: "private_key_jwt",
      jwks: { keys: [key] },
      secretHash: null,
      source: "configuration",
      version: 0,
    };
    const authentication = createClientAuthentication({
      ...opened,
      clients: { find: async () => client },
      audiences: () => ["https://gate.example"],
    });
    const { privateKey } = await generateKeyPair("ES256");
    const assertion = await new SignJWT({ iss: "app", sub: "app", aud: "https://gate.example", jti: "1" })
      .setProtectedHeader({ alg: "ES256" })
      .setExpirationTime("1m")
      .sign(privateKey);
    const proof = { kind: "assertion", clientId: "app", assertion } as const;
    await expect(authentication.authenticate(proof)).rejects.toMatchObject({
      code: "invalid_client_authentication",
    });
    await opened.dispose();
  });

  it("refuses claims of another type as any other fault, signed or not", async () => {
    const opened = await openStore();
    const { privateKey, publicKey } = await generateKeyPair("ES256");
    const client: RegisteredClient = {
      ...registration,
      id: "app",
      authMethod: "private_key_jwt",
      jwks: { keys: [{ ...(await exportJWK(publicKey)) }] },
      secretHash: null,
      source: "configuration",
      version: 0,
    };
    const authentication = createClientAuthentication({
      ...opened,
      clients: { find: async (id) => (id === "app" ? client : undefined) },
      audiences: () => ["https://gate.example"],
    });
    const claims = { iss: "app", sub: "app", aud: "https://gate.example", jti: "1" };
    const verdict = async (more: object) => {
      const assertion = await new SignJWT({ ...claims, ...more } as JWTPayload)
        .setProtectedHeader({ alg: "ES256" })
        .setExpirationTime(Math.floor(opened.clock.now() / 1000) + 60)
        .sign(privateKey);
      const proof = { kind: "assertion", clientId: undefined, assertion } as const;
      return await authentication.authenticate(proof).then(
        ({ id }) => id,
        (error: { code?: string }) => error.code,
      );
    };
    expect(await verdict({})).toBe("app");
    for (const value of [["app"], null, 5, true, {}, "nobody"])
      expect([value, await verdict({ sub: value, jti: "2" })]).toEqual([
        value,
        "invalid_client_authentication",
      ]);
    for (const jti of [5, {}, [], null, true])
      expect([jti, await verdict({ jti })]).toEqual([jti, "invalid_client_authentication"]);
    await opened.dispose();
  });
});
