import { errors, type JWTPayload, jwtVerify } from "jose";
import { UpstreamRequestError } from "../../../net/bounded-fetch.ts";
import type { Clock } from "../../clock/clock.ts";
import { AuthError } from "../../errors.ts";
import type { Session } from "../../model.ts";
import { recordKeys } from "../../record-keys.ts";
import type { Revocation } from "../../revocation/revocation.ts";
import type { Sessions } from "../../sessions/sessions.ts";
import { readRecord, type Step, type Store } from "../../store.ts";
import type { Credentials } from "../../users/credentials.ts";
import type { ProviderRegistry } from "../registry.ts";
import { isIdentifier, subjectOf } from "./identity.ts";
import { markLogoutStep } from "./logout-marks.ts";
import { isOidcProvider, type OidcProvider, oidcType, sessionNameOf } from "./provider.ts";
import type { LogoutKeys } from "./upstream.ts";

export interface LogoutTools {
  readonly store: Store;
  readonly clock: Clock;
  readonly registry: ProviderRegistry;
  readonly credentials: Pick<Credentials, "find">;
  readonly sessions: Pick<Sessions, "list">;
  readonly revocation: Pick<Revocation, "revoke">;
}

/** What a logout token ended. */
export interface LoggedOut {
  /** Undefined if nobody here has this subject's credential. */
  readonly userId: string | undefined;
  readonly sessions: number;
}

const eventName = "http://schemas.openid.net/event/backchannel-logout";
/** A token without `exp`, as drafts of the standard had it, is good for this long after its `iat`, seconds. */
const longestAgeSeconds = 300;
const clockToleranceSeconds = 60;
const longestToken = 16_384;
const longestJti = 255;
/** A session that was approved by one that was approved needs a round more. Nobody approves that many that fast. */
const maxRounds = 4;

/**
 * OpenID Connect Back-Channel Logout 1.0. Ends the sessions that this provider gave and that the token names: those of
 * its `sid`, or all of its `sub`. A session that remembers no `sid` counts as one of every `sid` of its `sub`. Long-lived
 * tokens stay: the user created them, not a login.
 *
 * Resolves when the end is durable and this node has closed the sockets. A login that is under way, or a code that was
 * not redeemed yet, opens nothing afterwards (see `LogoutMarks`). The token is noted at last: one whose work failed may
 * be sent again. Throws `invalid_logout_token`, `provider_unavailable` (its keys cannot be read), `conflict`,
 * `unavailable`.
 */
export async function logOut(
  tools: LogoutTools,
  providerId: string | null,
  token: string,
): Promise<LoggedOut> {
  const provider = tools.registry.find(oidcType, providerId);
  if (provider === undefined || !isOidcProvider(provider)) throw invalid("there is no such provider");
  const verified = await verifyLogoutToken(tools, provider, token);
  const used = recordKeys.oidcLogoutToken(provider.key, verified.jti);
  if ((await readRecord(tools.store, used)) !== undefined) throw invalid("the token was used before");
  const session = verified.sid === undefined ? null : sessionNameOf(verified.issuer, verified.sid);
  const subject = await subjectFor(tools, provider, verified, session);
  await tools.store.commit({
    ...markLogoutStep(provider.key, { subject, session }, tools.clock.now()),
    durable: true,
  });
  const note = { put: [{ key: used, value: {}, expiresAt: verified.forgetAt }] };
  return await endSessions(tools, provider, { subject, session }, note);
}

interface VerifiedLogout {
  readonly issuer: string;
  readonly sub: string | undefined;
  readonly sid: string | undefined;
  readonly jti: string;
  /** The token is not accepted any more, ms. */
  readonly forgetAt: number;
}

async function verifyLogoutToken(
  { clock }: LogoutTools,
  { options: { upstream, clientId } }: OidcProvider,
  token: string,
): Promise<VerifiedLogout> {
  if (token.length > longestToken) throw invalid("the token is too long");
  const { issuer, algorithms, keys } = await upstream.logoutKeys();
  const { payload, protectedHeader } = await verify(token, keys, {
    issuer,
    audience: clientId,
    algorithms: [...algorithms],
    requiredClaims: ["iat", "jti"],
    clockTolerance: clockToleranceSeconds,
    currentDate: new Date(clock.now()),
  });
  checkType(protectedHeader.typ);
  return { issuer, ...logoutClaims(payload, clock) };
}

async function verify(
  token: string,
  keys: LogoutKeys["keys"],
  options: Parameters<typeof jwtVerify>[2],
): Promise<Awaited<ReturnType<typeof jwtVerify>>> {
  try {
    return await jwtVerify(token, keys, options);
  } catch (error) {
    if (error instanceof UpstreamRequestError)
      throw new AuthError("provider_unavailable", { detail: error.message });
    // These are of the answer with the keys, not of the token.
    if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid || isPlain(error))
      throw new AuthError("provider_unavailable", { detail: "the provider's keys cannot be read" });
    throw invalid(error instanceof Error ? error.message.slice(0, 200) : "it cannot be verified");
  }
}

/** jose's generic error stands for an answer that is no JWKS. */
function isPlain(error: unknown): boolean {
  return error instanceof errors.JOSEError && error.code === "ERR_JOSE_GENERIC";
}

/** Recommended is `logout+jwt`; older providers send `JWT` or nothing. A token of another kind is none of these. */
function checkType(typ: unknown): void {
  const type = typeof typ === "string" ? typ.toLowerCase().replace(/^application\//, "") : typ;
  if (type !== undefined && type !== "jwt" && type !== "logout+jwt")
    throw invalid("the token is of another type");
}

function logoutClaims(payload: JWTPayload, clock: Clock): Omit<VerifiedLogout, "issuer"> {
  const { sub, sid, jti, iat = 0, exp, events, nonce } = payload;
  // An ID token has a nonce. Without this rule a stolen one would do as a logout token, and the reverse.
  if (nonce !== undefined) throw invalid("the token has a nonce");
  if (!isObject(events) || !isObject(events[eventName])) throw invalid("the token has no logout event");
  if (!isIdentifier(jti) || jti.length > longestJti) throw invalid("the jti is missing or too long");
  if (sub !== undefined && !isIdentifier(sub)) throw invalid("the sub cannot be one");
  if (sid !== undefined && !isIdentifier(sid)) throw invalid("the sid cannot be one");
  if (sub === undefined && sid === undefined) throw invalid("the token names neither sub nor sid");
  const end = Math.min(exp ?? Number.POSITIVE_INFINITY, iat + longestAgeSeconds) + clockToleranceSeconds;
  const now = clock.now();
  if (end * 1000 <= now) throw invalid("the token is too old");
  if ((iat - clockToleranceSeconds) * 1000 > now) throw invalid("the token is from the future");
  // Twice the tolerance: a node whose clock is behind accepts it for longer.
  return { sub, sid, jti, forgetAt: (end + clockToleranceSeconds) * 1000 };
}

async function subjectFor(
  { store }: LogoutTools,
  { key }: OidcProvider,
  { issuer, sub }: VerifiedLogout,
  session: string | null,
): Promise<string | undefined> {
  if (sub !== undefined) return subjectOf(issuer, sub);
  const remembered =
    session === null ? undefined : await readRecord(store, recordKeys.oidcSession(key, session));
  const subject = remembered?.value.subject;
  return typeof subject === "string" ? subject : undefined;
}

async function endSessions(
  { store, credentials, sessions, revocation }: LogoutTools,
  { id }: OidcProvider,
  { subject, session }: { readonly subject: string | undefined; readonly session: string | null },
  note: Step,
): Promise<LoggedOut> {
  const found = subject === undefined ? undefined : await credentials.find(oidcType, id, subject);
  const credential = found?.credential;
  let ended = 0;
  // Again while there are some: before one of them ended, a device may have got a session by its approval.
  for (let round = 0; credential !== undefined && round < maxRounds; round += 1) {
    const { userId } = credential;
    const sessionIds = (await sessions.list(userId))
      .filter((each) => isOfLogin(each, credential.id, session))
      .map((each) => each.id);
    if (sessionIds.length === 0) break;
    await revocation.revoke({ kind: "sessions", userId, sessionIds }, "session_revoked");
    ended += sessionIds.length;
  }
  await store.commit(note);
  return { userId: credential?.userId, sessions: ended };
}

function isOfLogin(
  { credentialId, type, providerSession }: Session,
  credential: string,
  session: string | null,
): boolean {
  if (type !== "normal" || credentialId !== credential) return false;
  return session === null || providerSession === undefined || providerSession === session;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(detail: string): AuthError {
  return new AuthError("invalid_logout_token", { detail });
}
