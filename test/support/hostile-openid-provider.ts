import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { exportJWK, generateKeyPair, type JWTHeaderParameters, type JWTPayload, SignJWT } from "jose";

import { closed, listening } from "./openid-provider.ts";

/** What the provider answers at one address. */
export type Answer = (
  request: { readonly url: URL; readonly body: URLSearchParams; readonly authorization: string | undefined },
  response: ServerResponse,
) => unknown;

/** An OpenID provider whose every answer a test replaces. By default its answers are right. */
export interface HostileOpenIdProvider {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Members of the discovery document that differ. */
  metadata: Readonly<Record<string, unknown>>;
  /** By path: `/.well-known/openid-configuration`, `/jwks`, `/token`, `/userinfo`. */
  readonly answers: Map<string, Answer>;
  /** Paths that were asked for, in order. */
  readonly asked: string[];
  /** Bodies of the requests at `/token`. */
  readonly redeemed: URLSearchParams[];
  /** The claims of the next ID token, given the right ones. */
  claims: (right: JWTPayload) => JWTPayload;
  /** The next ID token, given its claims. */
  sign: (claims: JWTPayload) => Promise<string> | string;
  /** A token signed with the provider's key. */
  signed(claims: JWTPayload, header?: Partial<JWTHeaderParameters>): Promise<string>;
  /** The nonce of the authorization request that the next code is for. */
  nonce: string;
  /** Answers right again, and forgets what it was asked. */
  reset(): void;
  stop(): Promise<void>;
}

export async function startHostileOpenIdProvider(): Promise<HostileOpenIdProvider> {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const key = { ...(await exportJWK(publicKey)), kid: "k1", alg: "ES256", use: "sig" };
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  const issuer = `http://127.0.0.1:${await listening(server)}`;
  const signed: HostileOpenIdProvider["signed"] = (claims, header = {}) =>
    new SignJWT(claims).setProtectedHeader({ alg: "ES256", kid: "k1", ...header }).sign(privateKey);
  const provider: HostileOpenIdProvider = {
    issuer,
    clientId: "gatehouse",
    clientSecret: "a canary of a client secret",
    metadata: {},
    answers: new Map(),
    asked: [],
    redeemed: [],
    claims: (right) => right,
    sign: signed,
    signed,
    nonce: "",
    reset() {
      Object.assign(provider, {
        metadata: {},
        claims: (right: JWTPayload) => right,
        sign: signed,
        nonce: "",
      });
      provider.answers.clear();
      for (const list of [provider.asked, provider.redeemed]) list.length = 0;
    },
    stop: () => closed(server),
  };

  const documents: Readonly<Record<string, () => unknown>> = {
    "/.well-known/openid-configuration": () => ({
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/jwks`,
      id_token_signing_alg_values_supported: ["ES256", "HS256", "none"],
      ...provider.metadata,
    }),
    "/jwks": () => ({ keys: [key] }),
    "/token": async () => {
      const now = Math.floor(Date.now() / 1000);
      const right = { iss: issuer, aud: provider.clientId, sub: "rita", iat: now, exp: now + 300 };
      const claims = provider.claims({ ...right, nonce: provider.nonce, name: "Rita" });
      return { access_token: "at", token_type: "Bearer", id_token: await provider.sign(claims) };
    },
  };
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? "", issuer);
    const body = new URLSearchParams(await textOf(request));
    const { authorization } = request.headers;
    provider.asked.push(url.pathname);
    if (url.pathname === "/token") provider.redeemed.push(body);
    const own = provider.answers.get(url.pathname);
    if (own !== undefined) {
      await own({ url, body, authorization }, response);
      return;
    }
    const document = documents[url.pathname];
    response.writeHead(document === undefined ? 404 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify((await document?.()) ?? {}));
  };
  return provider;
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** An answer with this body. */
export function answering(body: string | object, status = 200, headers: Record<string, string> = {}): Answer {
  return (_request, response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  };
}

/** An answer of 2 MB. */
export const huge: Answer = answering({ keys: [], padding: "x".repeat(2_000_000) });
