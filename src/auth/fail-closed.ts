import type { Authority } from "./authority.ts";
import { consistentRead, requireFollowedLog, untrusted } from "./consistent-read.ts";
import type { User } from "./model.ts";
import type { RevocationView } from "./revocation/view.ts";

/**
 * The same domain, for who serves strangers. While this node cannot know what was revoked (D10), or has lost its place in
 * the log, the store that it sees may be one that was left behind or went back in time: nobody logs in, refreshes, or is
 * given a token, a code, a signed path or more time by it. Such a call rejects with `unavailable` at once, before it reads
 * or changes anything, so that a login flow, a code and a refresh token are as good as before. What takes away, and what
 * only looks, goes on; so does what an administrator who is still served changes. Whatever is found to be over, or wrong,
 * is said only where it is to be `consistentRead`. NOT held back: what is given by a call that was let in and is under way when
 * trust ends.
 */
export function failClosed(authority: Authority): Authority {
  const { view } = authority.revocation;
  return {
    ...authority,
    sessions: gatedSessions(authority.sessions, view),
    users: gatedUsers(authority.users, view),
    logins: gatedLogins(authority.logins, view),
    codes: { ...authority.codes, redeem: gated(view, authority.codes.redeem) },
    onboarding: gatedOnboarding(authority.onboarding, view),
    signedPaths: gatedSignedPaths(authority.signedPaths, view),
  };
}

type View = Pick<RevocationView, "followGeneration">;

function gated<Args extends readonly unknown[], Result>(
  view: View,
  call: (...args: Args) => Promise<Result>,
): (...args: Args) => Promise<Result> {
  return (...args) => requireFollowedLog(view, () => call(...args));
}

/** For what only looks: it goes on, but what it says is not there has to be true. */
function looking<Args extends readonly unknown[], Found>(
  view: View,
  look: (...args: Args) => Promise<Found>,
  isOver: (found: Found) => boolean,
): (...args: Args) => Promise<Found> {
  return (...args) => consistentRead(view, () => look(...args), isOver);
}

function gatedSessions(sessions: Authority["sessions"], view: View): Authority["sessions"] {
  const withoutEnd = gated(view, sessions.setExpiry);
  return {
    ...sessions,
    open: gated(view, sessions.open),
    openLongLived: gated(view, sessions.openLongLived),
    refresh: gated(view, sessions.refresh),
    ofRefreshToken: looking(view, sessions.ofRefreshToken, isMissing),
    get: looking(view, sessions.get, isMissing),
    expireIfDue: looking(view, sessions.expireIfDue, isMissing),
    setExpiry: (principal, sessionId, enabled) =>
      (enabled ? sessions.setExpiry : withoutEnd)(principal, sessionId, enabled),
  };
}

function gatedUsers(users: Authority["users"], view: View): Authority["users"] {
  return {
    ...users,
    read: looking(view, users.read, (found) => found === undefined || isShutOut(found.user)),
    current: looking(view, users.current, (found) => found?.isActive !== true),
  };
}

function isMissing(found: unknown): boolean {
  return found === undefined;
}

/** From everywhere, or from everywhere but near. */
function isShutOut({ isActive, localOnly }: User): boolean {
  return !isActive || localOnly;
}

function gatedLogins(logins: Authority["logins"], view: View): Authority["logins"] {
  return {
    ...logins,
    start: gated(view, logins.start),
    advance: gated(view, logins.advance),
    resume: gated(view, logins.resume),
  };
}

function gatedOnboarding(onboarding: Authority["onboarding"], view: View): Authority["onboarding"] {
  return {
    ...onboarding,
    createOwnerWithSession: gated(view, onboarding.createOwnerWithSession),
    createOwnerWithCode: gated(view, onboarding.createOwnerWithCode),
  };
}

/** A signature that is not ours is refused whatever else is known. */
function gatedSignedPaths(paths: Authority["signedPaths"], view: View): Authority["signedPaths"] {
  return {
    sign: gated(view, paths.sign),
    async verify(pathAndQuery) {
      const sessionId = await paths.verify(pathAndQuery);
      if (sessionId !== undefined && view.followGeneration === undefined) throw untrusted();
      return sessionId;
    },
  };
}
