// Better Auth's OAuth provider: refresh tokens redeemed, which it always rotates, and access tokens introspected by another
// client. Argument: the format of its access tokens, `jwt` (ES256; a client gets it by naming a resource) or `opaque`, its
// default. Records are in SQLite in memory, with the tables and indexes of its own migration: its memory adapter searches
// whole tables.
import { createHash, randomUUID } from "node:crypto";
import { createServer, type RequestListener } from "node:http";
import { oauthProvider } from "@better-auth/oauth-provider";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import { jwt } from "better-auth/plugins";
import Database from "better-sqlite3";
import type { Post } from "../load/posts.ts";
import { answer, collectGarbage } from "../support/answering.ts";
import { installedVersion } from "./installed.ts";
import { listening } from "./listening.ts";
import { basic, redeemed } from "./oauth-client.ts";

const APP = "gatehouse-bench";
const BACKEND = "gatehouse-bench-backend";
const SECRET = randomUUID();
const RESOURCE = "http://127.0.0.1/api";
const SCOPES = ["api", "offline_access"];

const format = process.argv[2] === "opaque" ? "opaque" : "jwt";
const hashed = (text: string) => createHash("sha256").update(text).digest("base64url");
const http = createServer();
const port = await listening(http);

const options = {
  baseURL: `http://127.0.0.1:${port}`,
  secret: randomUUID() + randomUUID(),
  database: new Database(":memory:"),
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  plugins: [
    jwt({ jwks: { keyPairConfig: { alg: "ES256" } }, disableSettingJwtHeader: true }),
    oauthProvider({
      loginPage: "/login",
      consentPage: "/consent",
      scopes: SCOPES,
      resources: [{ identifier: RESOURCE, name: "API", signingAlgorithm: "ES256" }],
      cachedTrustedClients: new Set([APP, BACKEND]),
      silenceWarnings: { oauthAuthServerConfig: true },
      rateLimit: { token: false, introspect: false },
    }),
  ],
};
await (await getMigrations(options)).runMigrations();
const auth = betterAuth(options);
const { adapter, internalAdapter } = await auth.$context;
async function addClient(clientId: string, about: object): Promise<void> {
  await adapter.create({
    model: "oauthClient",
    data: {
      clientId,
      redirectUris: ["http://127.0.0.1/callback"],
      scopes: SCOPES,
      createdAt: new Date(),
      updatedAt: new Date(),
      ...about,
    },
  });
  if (format === "opaque") return;
  const link = { clientId, resourceId: RESOURCE, createdAt: new Date() };
  await adapter.create({ model: "oauthClientResource", data: link });
}

const confidential = { clientSecret: hashed(SECRET), tokenEndpointAuthMethod: "client_secret_basic" };
const grantTypes = ["authorization_code", "refresh_token"];
// Another client may ask about a token only if it is for a resource. An opaque one is for none: its own client asks.
const asks = format === "jwt" ? BACKEND : APP;
if (format === "jwt") {
  await addClient(APP, { grantTypes, tokenEndpointAuthMethod: "none" });
  await addClient(BACKEND, { ...confidential, grantTypes: ["client_credentials"] });
} else await addClient(APP, { ...confidential, grantTypes });
http.on("request", toNodeHandler(auth) as RequestListener);

/** As the code of a finished login would issue it: of a user and a session of its own. */
async function refreshToken(): Promise<string> {
  const token = randomUUID().replaceAll("-", "");
  const user = await internalAdapter.createUser({ name: "Somebody", email: `${token}@example.org` });
  const session = await internalAdapter.createSession(user.id);
  await adapter.create({
    model: "oauthRefreshToken",
    data: {
      token: hashed(token),
      clientId: APP,
      sessionId: session.id,
      userId: user.id,
      authTime: new Date(),
      scopes: SCOPES,
      ...(format === "jwt" ? { resources: [RESOURCE] } : {}),
      createdAt: new Date(),
      expiresAt: new Date(Date.now() + 14 * 86_400_000),
    },
  });
  return token;
}

async function mint({ n }: { n: number }): Promise<string[]> {
  const tokens: string[] = [];
  while (tokens.length < n) tokens.push(await refreshToken());
  return tokens;
}

const form = { "content-type": "application/x-www-form-urlencoded" };
const authenticated = { ...form, authorization: basic(asks, SECRET) };

const refresh = (): Post => ({
  path: "/api/auth/oauth2/token",
  headers: format === "jwt" ? form : authenticated,
  body: `grant_type=refresh_token${format === "jwt" ? `&client_id=${APP}` : ""}&refresh_token=`,
});

const introspection = (): Post => ({
  path: "/api/auth/oauth2/introspect",
  headers: authenticated,
  body: "token=",
});

answer(
  { port, version: installedVersion("better-auth") },
  {
    mint,
    refresh,
    introspection,
    "access-tokens": async (wanted: { n: number }) => redeemed(port, refresh(), await mint(wanted)),
    settle: collectGarbage,
  },
);
