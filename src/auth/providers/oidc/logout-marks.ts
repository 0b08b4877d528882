import { AuthError } from "../../errors.ts";
import { recordKeys } from "../../record-keys.ts";
import type { Checks, RecordKey, Step, Store } from "../../store.ts";
import { subjectOf } from "./identity.ts";

/**
 * Records that a logout writes before it looks for sessions. A login that is under way reads them when the person is
 * known, and its commit checks that they are unchanged. So a session that is opened before the logout's write is found
 * by it, and one that would be opened after it is refused.
 */
export interface LogoutMarks {
  readonly ofSubject: RecordKey;
  /** Null if the provider names no session. */
  readonly ofSession: RecordKey | null;
}

/** How long a mark is kept, ms: longer than a login flow, or an authorization code after it, lives. */
const keptMs = 3_600_000;

export function logoutMarks(
  provider: string,
  issuer: string,
  sub: string,
  session: string | null,
): LogoutMarks {
  return { ofSubject: ofSubject(provider, subjectOf(issuer, sub)), ofSession: ofSession(provider, session) };
}

function ofSubject(provider: string, subject: string): RecordKey {
  return recordKeys.oidcLogout(provider, `subject ${subject}`);
}

function ofSession(provider: string, session: string | null): RecordKey | null {
  return session === null ? null : recordKeys.oidcLogout(provider, `session ${session}`);
}

/** The part of a commit that marks what a logout token names: one session, or all of a subject. */
export function markLogoutStep(
  provider: string,
  { subject, session }: { readonly subject: string | undefined; readonly session: string | null },
  now: number,
): Step {
  const key = ofSession(provider, session) ?? (subject === undefined ? null : ofSubject(provider, subject));
  return key === null ? {} : { put: [{ key, value: { at: now }, expiresAt: now + keptMs }] };
}

/**
 * The checks for a login's commit. Throws `provider_refused` if the provider has ended this session, or all of this
 * subject's by a later commit than `since`, which was made before the tokens were asked for.
 */
export async function refuseIfLoggedOut(
  store: Store,
  { ofSubject: subjectMark, ofSession: sessionMark }: LogoutMarks,
  since: number,
): Promise<Checks> {
  const keys = sessionMark === null ? [subjectMark] : [subjectMark, sessionMark];
  const [subject, session] = await store.get(keys);
  if (session !== undefined || (subject?.version ?? 0) > since)
    throw new AuthError("provider_refused", { detail: "the provider has ended this session meanwhile" });
  return keys.map((key, place) => ({ key, version: [subject, session][place]?.version ?? 0 }));
}
