// oidc-provider: refresh tokens redeemed at its token endpoint, rotated by its default policy for public clients, and
// access tokens introspected by another client. Arguments: the format of its access tokens, `jwt` (ES256) or `opaque`, its
// default; the URL of a Redis, without which its records are in memory. It introspects opaque tokens only.
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer, type RequestListener } from "node:http";
import Provider from "oidc-provider";
import type { Post } from "../load/posts.ts";
import { answer, collectGarbage } from "../support/answering.ts";
import { installedVersion } from "./installed.ts";
import { listening } from "./listening.ts";
import { MemoryRecords } from "./memory-records.ts";
import { basic, redeemed } from "./oauth-client.ts";
import { RedisRecords } from "./redis-records.ts";

const CLIENT = "gatehouse-bench";
const RESOURCE = "http://127.0.0.1/api";
const SCOPE = "api";
const BACKEND = "gatehouse-bench-backend";
const SECRET = randomUUID();

const [, , wanted, redis] = process.argv;
const format = wanted === "opaque" ? "opaque" : "jwt";

const http = createServer();
const port = await listening(http);
const signing = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" });

const provider = new Provider(`http://127.0.0.1:${port}`, {
  adapter: redis === undefined ? MemoryRecords.factory() : RedisRecords.factory(redis),
  clients: [
    {
      client_id: CLIENT,
      token_endpoint_auth_method: "none",
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      redirect_uris: ["http://127.0.0.1/callback"],
      application_type: "native",
      id_token_signed_response_alg: "ES256",
    },
    {
      client_id: BACKEND,
      client_secret: SECRET,
      token_endpoint_auth_method: "client_secret_basic",
      grant_types: [],
      response_types: [],
      redirect_uris: [],
      id_token_signed_response_alg: "ES256",
    },
  ],
  jwks: { keys: [{ ...signing, alg: "ES256", use: "sig", kid: "signing" }] },
  cookies: { keys: [randomUUID()] },
  findAccount: (_: unknown, accountId: string) => ({ accountId, claims: () => ({ sub: accountId }) }),
  features: {
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    // Its access tokens are JWTs only for a resource server that asks for the format.
    resourceIndicators: {
      enabled: true,
      defaultResource: () => RESOURCE,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: SCOPE,
        audience: RESOURCE,
        accessTokenFormat: format,
        accessTokenTTL: 1800,
        ...(format === "jwt" ? { jwt: { sign: { alg: "ES256" } } } : {}),
      }),
    },
  },
  ttl: { RefreshToken: 14 * 86_400, Grant: 14 * 86_400 },
});
http.on("request", provider.callback() as RequestListener);

/** As the authorization code of a finished login would issue it, without the preceding pages. */
async function refreshToken(client: unknown): Promise<string> {
  const accountId = randomUUID();
  const grant = new provider.Grant({ accountId, clientId: CLIENT });
  grant.addResourceScope(RESOURCE, SCOPE);
  const grantId = await grant.save();
  const now = Math.floor(Date.now() / 1000);
  return new provider.RefreshToken({
    accountId,
    client,
    grantId,
    scope: SCOPE,
    resource: RESOURCE,
    authTime: now,
    iiat: now,
    gty: "authorization_code",
    rotations: 0,
  }).save();
}

async function mint({ n }: { n: number }): Promise<string[]> {
  const client = await provider.Client.find(CLIENT);
  return Promise.all(Array.from({ length: n }, () => refreshToken(client)));
}

const refresh = (): Post => ({
  path: "/token",
  headers: { "content-type": "application/x-www-form-urlencoded" },
  body: `grant_type=refresh_token&client_id=${CLIENT}&refresh_token=`,
});

const introspection = (): Post => ({
  path: "/token/introspection",
  headers: {
    "content-type": "application/x-www-form-urlencoded",
    authorization: basic(BACKEND, SECRET),
  },
  body: "token=",
});

answer(
  { port, version: installedVersion("oidc-provider") },
  {
    mint,
    refresh,
    introspection,
    "access-tokens": async (wanted: { n: number }) => redeemed(port, refresh(), await mint(wanted)),
    settle: collectGarbage,
  },
);
