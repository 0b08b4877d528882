import { hash, randomBytes, timingSafeEqual } from "node:crypto";
import { type Static, Type } from "typebox";
import { Compile } from "typebox/compile";

import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import type { AssuranceLevel, Peer } from "../model.ts";
import type { ProviderSession } from "../providers/provider.ts";
import { recordKeys } from "../record-keys.ts";
import { epochChecks, readEpochs } from "../sessions/session-record.ts";
import { areUnchanged, mergeSteps, readRecord, type Step, type Store } from "../store.ts";
import { restoredChecks, StoredChecks, storedChecks } from "../stored-checks.ts";

/** What a code stands for: a completed login that its client redeems at `/auth/token`. */
export interface CodeGrant {
  readonly userId: string;
  /**
   * The version of the user's epoch record at the login. The commit that opens the session checks it again: a code
   * from before a password change, or another revocation of all the user's sessions, opens none.
   */
  readonly userEpoch: number;
  readonly credentialId: string;
  readonly clientId: string;
  readonly clientName: string | null;
  readonly redirectUri: string | null;
  /** PKCE S256. Null if the client sent none (Home Assistant's clients do not). */
  readonly codeChallenge: string | null;
  readonly assurance: AssuranceLevel;
  readonly amr: readonly string[];
  readonly authenticatedAt: number;
  /** The provider's session that the login belongs to. The code opens nothing once the provider has ended it. */
  readonly providerSession?: ProviderSession | undefined;
  /** What the session's tokens may do, for which backend they are, and the client's nonce for its ID token. */
  readonly scope?: string | null | undefined;
  readonly resource?: string | null | undefined;
  readonly nonce?: string | null | undefined;
}

/**
 * Authorization codes (RFC 6749 section 4.1): 128 bits, stored hashed, single use, valid for 10 minutes as in Home
 * Assistant.
 */
export interface AuthorizationCodes {
  /** Makes a code and the part of the caller's commit that stores it. */
  prepare(grant: CodeGrant): { readonly code: string; readonly step: Step };
  /**
   * Redeems a code. Returns its grant, with the step that marks the code as used, which the caller commits together
   * with the session. A second use ends the session that the first one opened (RFC 6749 section 4.1.2), but only if
   * it proves the PKCE verifier: otherwise anybody who saw the code in a URL could end the session. Throws
   * `AuthError("invalid_code")` alike for an unknown, expired or used code, another client, another redirect URI, and
   * a wrong PKCE verifier.
   *
   * `redirectUri` is optional, as in OAuth 2.1: Home Assistant's clients do not send it. If present, it must equal
   * the one of the login, character by character.
   *
   * The caller's commit decides that a code is used once: the step checks the version that was read here, so only one
   * of several parallel calls commits. If the commit is in conflict, the caller calls `redeem` again. If the code was
   * used meanwhile, that is the second use.
   */
  redeem(request: {
    readonly code: string;
    readonly clientId: string;
    readonly codeVerifier?: string | undefined;
    readonly redirectUri?: string | undefined;
    readonly peer: Peer;
  }): Promise<{ readonly grant: CodeGrant; readonly consume: (sessionId: string) => Step }>;
}

export interface AuthorizationCodeOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Life of a code, ms; 10 minutes by default. */
  readonly ttlMs?: number | undefined;
  /** Ends the session that the first use opened. The second use is refused after it resolves or rejects. */
  readonly onReplay: (grant: { readonly userId: string; readonly sessionId: string }) => Promise<void>;
}

const defaultTtlMs = 600_000;
/** Home Assistant's format (uuid4 hex). */
const codeShape = /^[0-9a-f]{32}$/;
/** Base64url of SHA-256: 32 bytes, so the last character has two bits that must be 0. */
const challengeShape = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;
/** RFC 7636 section 4.1. */
const verifierShape = /^[A-Za-z0-9._~-]{43,128}$/;

const Text = Type.Union([Type.String(), Type.Null()]);
const StoredCode = Type.Object({
  grant: Type.Object({
    userId: Type.String(),
    userEpoch: Type.Number(),
    credentialId: Type.String(),
    clientId: Type.String(),
    clientName: Text,
    redirectUri: Text,
    codeChallenge: Text,
    assurance: Type.Union([Type.Literal(1), Type.Literal(2)]),
    amr: Type.Array(Type.String()),
    authenticatedAt: Type.Number(),
    providerSession: Type.Optional(Type.Object({ name: Text, open: StoredChecks })),
    scope: Type.Optional(Text),
    resource: Type.Optional(Text),
    nonce: Type.Optional(Text),
  }),
  expires_at: Type.Number(),
  /** The session that the code opened. The record stays until the code's expiry, so that a second use is detected. */
  used_by: Text,
});
type StoredCode = Static<typeof StoredCode>;
const storedCode = Compile(StoredCode);

/** True for a code challenge that can be a SHA-256. */
export function isCodeChallenge(text: string): boolean {
  return challengeShape.test(text);
}

/** `prepare` throws `AuthError("invalid_format")` for a code challenge that cannot be a SHA-256. */
export function createAuthorizationCodes(options: AuthorizationCodeOptions): AuthorizationCodes {
  const { store, clock, onReplay, ttlMs = defaultTtlMs } = options;
  return {
    prepare(grant) {
      if (grant.codeChallenge !== null && !isCodeChallenge(grant.codeChallenge))
        throw new AuthError("invalid_format", { publicMessage: "The code challenge is not an S256 one." });
      const code = randomBytes(16).toString("hex");
      const { providerSession, scope = null, resource = null, nonce = null, ...always } = grant;
      const stored = {
        grant: { ...always, scope, resource, nonce, amr: [...grant.amr], ...storedSession(providerSession) },
        expires_at: clock.now() + ttlMs,
        used_by: null,
      };
      return { code, step: write(code, 0, stored) };
    },
    async redeem({ code, clientId, codeVerifier, redirectUri }) {
      if (!codeShape.test(code)) throw invalid("the code is not one of ours");
      const record = await readRecord(store, recordKeys.code(code));
      if (record === undefined) throw invalid("the code is unknown");
      const stored = parse(record.value);
      // Checked first, so that another client can neither use up the code nor end the session.
      if (stored.grant.clientId !== clientId) throw invalid("the code belongs to another client");
      if (clock.now() >= stored.expires_at) throw invalid("the code has expired");
      if (redirectUri !== undefined && redirectUri !== stored.grant.redirectUri)
        throw invalid("the redirect URI is not the one of the login");
      checkVerifier(stored.grant.codeChallenge, codeVerifier);
      if (stored.used_by !== null) {
        await onReplay({ userId: stored.grant.userId, sessionId: stored.used_by });
        throw invalid("the code was used before");
      }
      const epochs = await readEpochs(store, stored.grant);
      if (record.version < Math.max(epochs.all, epochs.client))
        throw invalid("all sessions of the client or the installation were revoked since the login");
      const providerSession = restoredSession(stored.grant);
      if (providerSession !== undefined && !(await areUnchanged(store, providerSession.open)))
        throw invalid("the login provider has ended the session since the login");
      const unchanged = { check: [...epochChecks(stored.grant, epochs), ...(providerSession?.open ?? [])] };
      const consume = (sessionId: string) =>
        mergeSteps(unchanged, write(code, record.version, { ...stored, used_by: sessionId }));
      return { grant: { ...stored.grant, providerSession }, consume };
    },
  };
}

function storedSession(session: ProviderSession | undefined) {
  if (session === undefined) return {};
  return { providerSession: { name: session.name, open: storedChecks(session.open) } };
}

function restoredSession({ providerSession }: StoredCode["grant"]): ProviderSession | undefined {
  if (providerSession === undefined) return undefined;
  return { name: providerSession.name, open: restoredChecks(providerSession.open) };
}

function write(code: string, version: number, stored: StoredCode): Step {
  const key = recordKeys.code(code);
  return { check: [{ key, version }], put: [{ key, value: stored, expiresAt: stored.expires_at }] };
}

function parse(value: unknown): StoredCode {
  if (!storedCode.Check(value))
    throw new AuthError("unavailable", { detail: "a code record has a shape that this version cannot read" });
  return value;
}

/** RFC 7636 section 4.6, S256 only. A verifier without a challenge is refused too (RFC 9700 section 4.8.2). */
function checkVerifier(challenge: string | null, verifier: string | undefined): void {
  if (challenge === null && verifier === undefined) return;
  if (challenge === null) throw invalid("a PKCE verifier was sent for a code without a challenge");
  if (verifier === undefined) throw invalid("the PKCE verifier is missing");
  if (!verifierShape.test(verifier)) throw invalid("the PKCE verifier has a wrong shape");
  const given = hash("sha256", verifier, "buffer");
  if (!timingSafeEqual(given, Buffer.from(challenge, "base64url")))
    throw invalid("the PKCE verifier is wrong");
}

function invalid(detail: string): AuthError {
  return new AuthError("invalid_code", { detail });
}
