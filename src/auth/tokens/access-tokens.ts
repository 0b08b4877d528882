import { randomFillSync } from "node:crypto";

import { type Clock, isCertainlyPast } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import type { AssuranceLevel, Principal, Session, SessionType, User } from "../model.ts";
import type { ProviderAdmission } from "../providers/registry.ts";
import { providerOf } from "../sessions/session-record.ts";
import { splitToken } from "./access-token-format.ts";
import type { Keyring, KeyringKeys } from "./keyring.ts";

export type AccessTokenReading =
  /** Genuine and not expired. NOT yet verified: whether its session is live (see the revocation view). */
  | { readonly ok: true; readonly principal: Principal }
  | {
      readonly ok: false;
      /**
       * `not_yet_valid`: issued more than a minute ahead of this node's clock, so one of two clocks is wrong.
       * `unsure`: expired by this node's clock, but the clocks disagree. `key_dropped`: it names a dropped key;
       * nothing of it was verified.
       */
      readonly reason: keyof typeof refused;
    };

/**
 * Access tokens: JWTs of the RFC 9068 profile with an ES256 signature, which any backend verifies with the JWKS. They
 * also contain a MAC over header and claims, which gateway nodes verify instead of the signature because it costs
 * less.
 */
export interface AccessTokens {
  /** `epoch` is the highest of the session's epochs that the caller's commit checked. */
  mint(session: Session, user: User, epoch: number, ttlMs?: number): Promise<MintedToken>;
  /**
   * Throws what `mint` throws where nobody can be given a token: a command that does not know the issuer. Ask before the
   * commit that creates a session.
   */
  requireIssuer(): void;
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
  readonly providers: Pick<ProviderAdmission, "judges">;
}

/** `client_id` of a session without a client: RFC 9068 demands the claim, and no client id (a URL) equals it. */
export const noClient = "gatehouse";

const tokenIdBytes = 16;
/** How far a token's `iat` may be ahead of this node's clock, ms. */
const clockSkewMs = 60_000;
/**
 * Home Assistant's leeway, ms. Clients count a token's life from when they received it, and use it until then. Home
 * Assistant's client gives up for good if its token is refused, so a token must not be refused in its last second.
 */
const leewayMs = 10_000;

/** The claims of RFC 9068 section 2.2, `sid` of OpenID Connect, and the rest of a principal. `hmac` follows last. */
interface AccessClaims {
  readonly iss: string;
  readonly aud: string;
  readonly sub: string;
  readonly client_id: string;
  /** RFC 9068 section 2.2.3. Absent: the token may do everything that the user may do. */
  readonly scope?: string | undefined;
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
    /** `aud` is a backend alone. Compared instead of `aud`, because the gateway's own may change with its address. */
    readonly other_audience?: true | undefined;
    /** The policy that narrows the token, as JSON. Absent: it is not narrowed. */
    readonly policy?: string | undefined;
    /** Of the provider that judges from where the session may be used. */
    readonly judged_by?: readonly [type: string, id: string | null] | undefined;
  };
}

/**
 * `mint` uses the session's own token life if `ttlMs` is not given. No token outlives its session's expiry. Rejects
 * with `AuthError("unavailable")` if a long life could not be recorded on the signing key, or if the keys were
 * dropped and the new one cannot be read.
 *
 * `read` compares neither issuer nor audience: the MAC key belongs to this installation alone, and tokens must stay
 * valid if its address changes.
 */
export function createAccessTokens(options: AccessTokenOptions): AccessTokens {
  const { keyring, clock } = options;
  const interner = createInterner();
  const tokenId = createTokenIds();
  return {
    async mint(session, user, epoch, ttlMs = session.accessTokenTtl) {
      if (session.clientId === noClient)
        throw new AuthError("invalid_client", { detail: "this client id means that there is no client" });
      const now = clock.now();
      const end = Math.min(now + ttlMs, session.expiresAt ?? Number.POSITIVE_INFINITY);
      const claims: AccessClaims = {
        iss: options.issuer(),
        aud: session.resource ?? options.audience(),
        ...claimsOf(session, user, epoch, judgeOf(options.providers, session)),
        iat: Math.floor(now / 1000),
        exp: Math.floor(end / 1000),
        jti: tokenId(),
      };
      const expiresAt = claims.exp * 1000;
      const { token, keyId } = await sign(keyring, claims, expiresAt);
      return { token, expiresAt, principal: principalOf(claims, keyId, interner) };
    },
    requireIssuer() {
      options.issuer();
    },
    read(token) {
      const parts = splitToken(token);
      if (parts === undefined) return refused.malformed;
      const verifier = keyring.findVerifier(parts.headerSegment);
      if (verifier === undefined)
        return keyring.isDroppedHeader(parts.headerSegment) ? refused.key_dropped : refused.unknown_key;
      const payload = verifier.tokenMac.verifiedPayload(parts);
      if (payload === undefined) return refused.forged;
      // `mint` of this installation wrote it, as the MAC proves, so its shape needs no check.
      const claims: AccessClaims = JSON.parse(payload);
      const now = clock.now();
      const end = claims.exp * 1000 + leewayMs;
      if (now >= end) return isCertainlyPast(clock, end) ? refused.expired : refused.unsure;
      if (claims.iat * 1000 > now + clockSkewMs) return refused.not_yet_valid;
      return { ok: true, principal: principalOf(claims, verifier.kid, interner) };
    },
  };
}

/**
 * 128 random bits, base64url. Drawn in batches: a system call for each token costs 1.5 µs, a batch 0.1 µs a token.
 */
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
  // The session is committed already, so this waits for the new key instead of failing.
  if (!keyring.canSign()) await keyring.reload();
  const { kid } = keyring.signingKey();
  await keyring.ensureNeededUntil(kid, expiresAt);
  const key = keyring.signingKey();
  // The signing key changed while its promise was written. The key that signs needs a promise of its own.
  if (key.kid !== kid) return sign(keyring, claims, expiresAt);
  const payload = key.tokenMac.payloadWithMac(claims, key.headerSegment);
  const signingInput = `${key.headerSegment}.${payload.toString("base64url")}`;
  return { token: `${signingInput}.${key.sign(signingInput)}`, keyId: kid };
}

function judgeOf(providers: Pick<ProviderAdmission, "judges">, session: Session) {
  const provider = providerOf(session);
  return provider !== undefined && providers.judges(provider) ? provider : undefined;
}

function claimsOf(session: Session, user: User, epoch: number, judge: [string, string | null] | undefined) {
  return {
    sub: user.id,
    client_id: session.clientId ?? noClient,
    scope: session.scope ?? undefined,
    sid: session.id,
    auth_time: Math.floor(session.authenticatedAt / 1000),
    amr: session.amr,
    acr: session.assurance === 2 ? "aal2" : "aal1",
    gatehouse: {
      epoch,
      session_type: session.type,
      session_end: session.expiresAt,
      local_only: user.localOnly,
      other_audience: session.resource == null ? undefined : true,
      policy: session.policy,
      judged_by: judge,
    },
  } as const;
}

interface Interner {
  text(text: string): string;
  amr(methods: readonly string[]): readonly string[];
}

/** Limit of each map. A full map is cleared. */
const maxInterned = 1024;

/** Keeps values that many tokens have in common once: 100 bytes less for each socket. Only for genuine tokens. */
function createInterner(): Interner {
  const texts = new Map<string, string>();
  const methods = new Map<string, readonly string[]>();
  const kept = <Value>(map: Map<string, Value>, key: string, value: Value): Value => {
    const known = map.get(key);
    if (known !== undefined) return known;
    if (map.size >= maxInterned) map.clear();
    map.set(key, value);
    return value;
  };
  return {
    text: (text) => kept(texts, text, text),
    amr: (list) => kept(methods, list.length === 1 ? (list[0] ?? "") : JSON.stringify(list), list),
  };
}

function principalOf(claims: AccessClaims, keyId: string, interner: Interner): Principal {
  const assurance: AssuranceLevel = claims.acr === "aal2" ? 2 : 1;
  return {
    userId: claims.sub,
    sessionId: claims.sid,
    epoch: claims.gatehouse.epoch,
    keyId,
    sessionType: claims.gatehouse.session_type,
    clientId: claims.client_id === noClient ? null : interner.text(claims.client_id),
    scope: claims.scope === undefined ? null : interner.text(claims.scope),
    policy: claims.gatehouse.policy === undefined ? null : interner.text(claims.gatehouse.policy),
    isForOtherAudience: claims.gatehouse.other_audience ?? false,
    assurance,
    amr: interner.amr(claims.amr),
    authenticatedAt: claims.auth_time * 1000,
    tokenIssuedAt: claims.iat * 1000,
    tokenExpiresAt: claims.exp * 1000,
    sessionExpiresAt: claims.gatehouse.session_end,
    localOnly: claims.gatehouse.local_only,
    judgedBy: claims.gatehouse.judged_by ?? null,
  };
}
