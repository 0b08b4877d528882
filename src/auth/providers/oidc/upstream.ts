import { readFile } from "node:fs/promises";
import type { RemoteJWKSet } from "jose";
import {
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  type Configuration,
  type CustomFetch,
  calculatePKCECodeChallenge,
  customFetch,
  discovery,
  enableNonRepudiationChecks,
  fetchUserInfo,
  None,
} from "openid-client";
import { type BoundedFetch, createBoundedFetch } from "../../../net/bounded-fetch.ts";
import type { Clock } from "../../clock/clock.ts";
import { AuthError } from "../../errors.ts";
import type { JsonObject } from "../../store.ts";
import type { RequestSecrets } from "./browser-binding.ts";
import { createRemoteKeys } from "./remote-keys.ts";
import { cachedUpstream } from "./upstream-cache.ts";
import { upstreamError } from "./upstream-error.ts";

export interface UpstreamOptions {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string | undefined;
  readonly clientSecretFile: string | undefined;
  readonly clientAuth: "client_secret_basic" | "client_secret_post" | undefined;
  readonly scopes: readonly string[];
  readonly clock: Pick<Clock, "monotonic">;
}

/** An authorization request, and where the provider sends the browser afterwards. */
export interface UpstreamRequest extends RequestSecrets {
  readonly state: string;
  readonly redirectUri: string;
  /** The person must authenticate at the provider now, or have done so at most so many ms ago; absent: whenever. */
  readonly maxAgeMs?: number | undefined;
}

export interface LogoutKeys {
  readonly issuer: string;
  /** Algorithms of the provider's tokens; never symmetric ones, and never `none`. */
  readonly algorithms: readonly string[];
  readonly keys: RemoteJWKSet;
}

/** What the provider says in tokens whose signature, issuer, audience, times and nonce are verified. */
export interface VerifiedClaims {
  readonly issuer: string;
  readonly sub: string;
  readonly claims: JsonObject;
}

/**
 * An OpenID provider, as this gateway talks to it. Its metadata is read when it is first needed, is kept for an hour, and
 * for longer while it cannot be read again. Answers are bounded in size and time. Every method rejects with
 * `provider_unavailable` or `provider_error`.
 */
export interface Upstream {
  /** Resolves if the provider's metadata is known. */
  ready(): Promise<void>;
  authorizationUrl(request: UpstreamRequest): Promise<URL>;
  /**
   * Checks the answer of the authorization endpoint (`state`, and `iss` of RFC 9207), redeems its code and verifies the
   * tokens. `needs`: whether the claims of an ID token lack something that the UserInfo endpoint may have. Rejects with
   * `provider_refused` too: the person did not log in there, or did not consent.
   */
  redeem(
    answer: URLSearchParams,
    request: UpstreamRequest,
    needs: (claims: JsonObject) => boolean,
  ): Promise<VerifiedClaims>;
  logoutKeys(): Promise<LogoutKeys>;
}

/** A discovery document or JWKS of a large provider has some ten kilobytes, a token with many groups some more. */
const maxBytes = 262_144;
const timeoutMs = 5_000;
const symmetricOrNone = /^(?:HS|none)/i;
const defaultAlgorithms = ["RS256"];

export function createUpstream(options: UpstreamOptions): Upstream {
  const issuer = new URL(options.issuer);
  const fetch = createBoundedFetch({ trustedOrigin: issuer.origin, maxBytes, timeoutMs });
  const configuration = cachedUpstream(options.clock, () => discover(options, issuer, fetch));
  const keys = createRemoteKeys(options.clock, fetch, timeoutMs);
  return {
    async ready() {
      await configuration();
    },
    async authorizationUrl({ redirectUri, state, nonce, codeVerifier, maxAgeMs }) {
      const parameters = {
        redirect_uri: redirectUri,
        scope: [...new Set(["openid", ...options.scopes])].join(" "),
        state,
        nonce,
        code_challenge: await calculatePKCECodeChallenge(codeVerifier),
        code_challenge_method: "S256",
        ...(maxAgeMs === undefined ? {} : { max_age: String(Math.floor(maxAgeMs / 1000)) }),
      };
      const known = await configuration();
      return await upstreamCall(async () => buildAuthorizationUrl(known, parameters));
    },
    redeem: async (answer, request, needs) => await redeem(await configuration(), answer, request, needs),
    async logoutKeys() {
      const metadata = (await configuration()).serverMetadata();
      if (metadata.jwks_uri === undefined)
        throw new AuthError("provider_unavailable", { detail: "the provider's metadata has no jwks_uri" });
      const named = metadata.id_token_signing_alg_values_supported ?? defaultAlgorithms;
      const algorithms = named.filter((name) => !symmetricOrNone.test(name));
      return { issuer: metadata.issuer, algorithms, keys: keys(metadata.jwks_uri) };
    },
  };
}

async function upstreamCall<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw upstreamError(error);
  }
}

async function discover(options: UpstreamOptions, issuer: URL, fetch: BoundedFetch): Promise<Configuration> {
  const secret = await clientSecretOf(options);
  // Plain HTTP is accepted from the configured origin only, see `createBoundedFetch`.
  const insecure = issuer.protocol === "http:" ? [allowInsecureRequests] : [];
  const clientAuth: ClientAuth = (server, ...rest) => {
    const methods = server.token_endpoint_auth_methods_supported;
    authenticationOf(secret, options.clientAuth, methods)(server, ...rest);
  };
  return await discovery(issuer, options.clientId, undefined, clientAuth, {
    [customFetch]: fetch as CustomFetch,
    timeout: timeoutMs / 1000,
    // TLS to the token endpoint would do by the standard. The signature is checked all the same.
    execute: [...insecure, enableNonRepudiationChecks],
  });
}

/** OpenID Connect Discovery section 3: a provider that names no method supports Basic. */
function authenticationOf(
  secret: string | undefined,
  configured: UpstreamOptions["clientAuth"],
  supported: readonly string[] = ["client_secret_basic"],
): ClientAuth {
  if (secret === undefined) return None();
  const chosen =
    configured ?? (supported.includes("client_secret_basic") ? "client_secret_basic" : undefined);
  return chosen === "client_secret_basic" ? ClientSecretBasic(secret) : ClientSecretPost(secret);
}

async function clientSecretOf({
  clientSecret,
  clientSecretFile,
}: UpstreamOptions): Promise<string | undefined> {
  if (clientSecretFile === undefined) return clientSecret;
  const unreadable = (why: string) =>
    new AuthError("provider_unavailable", { detail: `client_secret_file cannot be read (${why})` });
  const text = await readFile(clientSecretFile, "utf8").catch((error: unknown) => {
    throw unreadable(error instanceof Error && "code" in error ? String(error.code) : "unknown error");
  });
  if (text.trim() === "") throw unreadable("it is empty");
  return text.trim();
}

async function redeem(
  configuration: Configuration,
  answer: URLSearchParams,
  { redirectUri, state, nonce, codeVerifier, maxAgeMs }: UpstreamRequest,
  needs: (claims: JsonObject) => boolean,
): Promise<VerifiedClaims> {
  const current = new URL(redirectUri);
  current.search = answer.toString();
  const tokens = await upstreamCall(() =>
    authorizationCodeGrant(configuration, current, {
      expectedState: state,
      expectedNonce: nonce,
      pkceCodeVerifier: codeVerifier,
      idTokenExpected: true,
      ...(maxAgeMs === undefined ? {} : { maxAge: Math.ceil(maxAgeMs / 1000) }),
    }),
  );
  const idToken = tokens.claims();
  if (idToken === undefined) throw new AuthError("provider_error", { detail: "there is no ID token" });
  const { iss: issuer, sub } = idToken;
  const claims = idToken as JsonObject;
  const hasMore = configuration.serverMetadata().userinfo_endpoint !== undefined && needs(claims);
  if (!hasMore) return { issuer, sub, claims };
  const more = await upstreamCall(() => fetchUserInfo(configuration, tokens.access_token, sub));
  // The ID token is signed, so its claims count before those of the UserInfo response.
  return { issuer, sub, claims: { ...(more as JsonObject), ...claims } };
}
