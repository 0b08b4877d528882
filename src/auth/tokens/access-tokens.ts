import { randomFillSync } from "node:crypto";

import { type Clock, isCertainlyPast } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import type { AssuranceLevel, Principal, Session, SessionType, User } from "../model.ts";
import { splitToken } from "./access-token-format.ts";
import type { Keyring, KeyringKeys } from "./keyring.ts";

export type AccessTokenReading =
  /** Genuine and not expired. NOT yet verified: whether its session still lives (revocation view). */
  | { readonly ok: true; readonly principal: Principal }
  | {
      readonly ok: false;
      /**
       * `not_yet_valid`: made more than a minute ahead of this node's clock, so one of two clocks is wrong. `unsure`: expired by
       * this node's clock, and others disagree. `key_dropped`: it names a key that was dropped; nothing of it was verified.
       */
      readonly reason: keyof typeof refused;
    };

/**
 * Access tokens (D3): JWTs of the RFC 9068 profile, ES256, which any backend checks through JWKS, with a MAC over
 * everything but itself, which gateway nodes check instead of the signature.
 */
export interface AccessTokens {
  /** `epoch` is the highest of the session's epochs that the caller's commit checked. */
  mint(session: Session, user: User, epoch: number, ttlMs?: number): Promise<MintedToken>;
  /** Hot path: synchronous, no signature check, no store. */
  read(token: string): AccessTokenReading;
}

export interface MintedToken {
  readonly token: string;
  readonly expiresAt: number;
  /** As `read` gives it. */
  readonly principal: Principal;
}

type TokenKeys = KeyringKeys & Pick<Keyring, "reload">;

export interface AccessTokenOptions {
  readonly keyring: TokenKeys;
  readonly clock: Clock;
  /** `iss` and `aud` (RFC 9068 section 2.2) of tokens made from now on. */
  readonly issuer: () => string;
  readonly audience: () => string;
}

/** `client_id` of a session without a client: RFC 9068 demands the claim, and no client id (a URL) equals it. */
export const noClient = "gatehouse";

const tokenIdBytes = 16;
/** How far a token's `iat` may be ahead of this node's clock. */
const clockSkewMs = 60_000;
/**
 * Home Assistant's leeway (reference 1.6). Clients count from when the answer reached them and show a token until then;
 * Home Assistant's gives up for good when it is refused, so the last second must not be.
 */
const leewayMs = 10_000;

/** RFC 9068 section 2.2, `sid` of OpenID Connect, and what the rest of a principal needs. `hmac` follows last. */
interface AccessClaims {
  readonly iss: string;
  readonly aud: string;
  readonly sub: string;
  readonly client_id: string;
  /** Seconds, as RFC 7519 has them; so are `exp` and `auth_time`. */
  readonly iat: number;
  readonly exp: number;
  readonly jti: string;
  readonly sid: string;
  readonly auth_time: number;
  readonly amr: readonly string[];
  readonly acr: "aal1" | "aal2";
  readonly gatehouse: {
    readonly epoch: number;
    readonly session_type: SessionType;
    /** Milliseconds since the epoch; null: does not expire. */
    readonly session_end: number | null;
    readonly local_only: boolean;
  };
}

/**
 * `mint` takes the session's own token life when `ttlMs` is not given, and never outlives the session's end. It
 * rejects with `AuthError("unavailable")` when a long life could not be recorded on its key, and when the keys were dropped
 * and the new one cannot be read.
 *
 * `read` compares neither issuer nor audience: the key that makes the MAC belongs to this installation alone, and
 * tokens must outlive a change of its address.
 */
export function createAccessTokens(options: AccessTokenOptions): AccessTokens {
  const { keyring, clock } = options;
  const alike = createInterner();
  const tokenId = createTokenIds();
  return {
    async mint(session, user, epoch, ttlMs = session.accessTokenTtl) {
      if (session.clientId === noClient)
        throw new AuthError("invalid_client", { detail: "this client id means that there is no client" });
      const now = clock.now();
      const end = Math.min(now + ttlMs, session.expiresAt ?? Number.POSITIVE_INFINITY);
      const claims: AccessClaims = {
        iss: options.issuer(),
        aud: options.audience(),
        ...claimsOf(session, user, epoch),
        iat: Math.floor(now / 1000),
        exp: Math.floor(end / 1000),
        jti: tokenId(),
      };
      const expiresAt = claims.exp * 1000;
      const { token, keyId } = await sign(keyring, claims, expiresAt);
      return { token, expiresAt, principal: principalOf(claims, keyId, alike) };
    },
    read(token) {
      const parts = splitToken(token);
      if (parts === undefined) return refused.malformed;
      const verifier = keyring.findVerifier(parts.headerSegment);
      if (verifier === undefined)
        return keyring.isDroppedHeader(parts.headerSegment) ? refused.key_dropped : refused.unknown_key;
      const payload = verifier.tokenMac.verifiedPayload(parts);
      if (payload === undefined) return refused.forged;
      // Written by `mint` of this installation: the shape needs no check after the MAC.
      const claims: AccessClaims = JSON.parse(payload);
      const now = clock.now();
      const end = claims.exp * 1000 + leewayMs;
      if (now >= end) return isCertainlyPast(clock, end) ? refused.expired : refused.unsure;
      if (claims.iat * 1000 > now + clockSkewMs) return refused.not_yet_valid;
      return { ok: true, principal: principalOf(claims, verifier.kid, alike) };
    },
  };
}

/** 128 random bits, base64url. A call for each token's own costs the kernel a question: 1.5 µs against 0.1. */
function createTokenIds(): () => string {
  const bytes = Buffer.alloc(256 * tokenIdBytes);
  let used = bytes.length;
  return () => {
    if (used === bytes.length) {
      randomFillSync(bytes);
      used = 0;
    }
    used += tokenIdBytes;
    return bytes.toString("base64url", used - tokenIdBytes, used);
  };
}

const refused = {
  malformed: { ok: false, reason: "malformed" },
  unknown_key: { ok: false, reason: "unknown_key" },
  key_dropped: { ok: false, reason: "key_dropped" },
  forged: { ok: false, reason: "forged" },
  expired: { ok: false, reason: "expired" },
  unsure: { ok: false, reason: "unsure" },
  not_yet_valid: { ok: false, reason: "not_yet_valid" },
} as const;

interface Signed {
  readonly token: string;
  readonly keyId: string;
}

async function sign(keyring: TokenKeys, claims: AccessClaims, expiresAt: number): Promise<Signed> {
  // What the token is for is committed already: it waits for the new key rather than fail.
  if (!keyring.canSign()) await keyring.reload();
  const { kid } = keyring.signingKey();
  await keyring.ensureNeededUntil(kid, expiresAt);
  const key = keyring.signingKey();
  // The switch came while the promise was written: the promise is owed to the key that signs.
  if (key.kid !== kid) return sign(keyring, claims, expiresAt);
  const payload = key.tokenMac.payloadWithMac(claims, key.headerSegment);
  const signingInput = `${key.headerSegment}.${payload.toString("base64url")}`;
  return { token: `${signingInput}.${key.sign(signingInput)}`, keyId: kid };
}

function claimsOf(session: Session, user: User, epoch: number) {
  return {
    sub: user.id,
    client_id: session.clientId ?? noClient,
    sid: session.id,
    auth_time: Math.floor(session.authenticatedAt / 1000),
    amr: session.amr,
    acr: session.assurance === 2 ? "aal2" : "aal1",
    gatehouse: {
      epoch,
      session_type: session.type,
      session_end: session.expiresAt,
      local_only: user.localOnly,
    },
  } as const;
}

interface Interner {
  clientId(text: string): string;
  amr(methods: readonly string[]): readonly string[];
}

/** Beyond so many of a kind they are forgotten and kept anew. */
const maxInterned = 1024;

/** What many tokens have in common is kept once: 100 bytes less for every socket. Only of genuine tokens. */
function createInterner(): Interner {
  const clientIds = new Map<string, string>();
  const methods = new Map<string, readonly string[]>();
  const kept = <Value>(map: Map<string, Value>, key: string, value: Value): Value => {
    const known = map.get(key);
    if (known !== undefined) return known;
    if (map.size >= maxInterned) map.clear();
    map.set(key, value);
    return value;
  };
  return {
    clientId: (text) => kept(clientIds, text, text),
    amr: (list) => kept(methods, list.length === 1 ? (list[0] ?? "") : JSON.stringify(list), list),
  };
}

function principalOf(claims: AccessClaims, keyId: string, alike: Interner): Principal {
  const assurance: AssuranceLevel = claims.acr === "aal2" ? 2 : 1;
  return {
    userId: claims.sub,
    sessionId: claims.sid,
    epoch: claims.gatehouse.epoch,
    keyId,
    sessionType: claims.gatehouse.session_type,
    clientId: claims.client_id === noClient ? null : alike.clientId(claims.client_id),
    assurance,
    amr: alike.amr(claims.amr),
    authenticatedAt: claims.auth_time * 1000,
    tokenIssuedAt: claims.iat * 1000,
    tokenExpiresAt: claims.exp * 1000,
    sessionExpiresAt: claims.gatehouse.session_end,
    localOnly: claims.gatehouse.local_only,
  };
}
