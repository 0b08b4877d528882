import type { Authority } from "./authority.ts";
import { AuthError } from "./errors.ts";
import type { RevocationView } from "./revocation/revocation.ts";

/**
 * The same domain, for who serves strangers. While this node cannot know what was revoked (D10), or has lost its place in
 * the log, the store that it sees may be one that was left behind or went back in time: nobody logs in, refreshes, or is
 * given a token, a code, a signed path or more time by it. Such a call rejects with `unavailable` at once, before it reads
 * or changes anything, so that a login flow, a code and a refresh token are as good as before. What takes away, and what
 * only looks, goes on; so does what an administrator who is still served changes. NOT held back: a call that was let in
 * and is under way when trust ends.
 */
export function trustGated(authority: Authority): Authority {
  const { view } = authority.revocation;
  return {
    ...authority,
    sessions: gatedSessions(authority.sessions, view),
    logins: gatedLogins(authority.logins, view),
    codes: { ...authority.codes, redeem: gated(view, authority.codes.redeem) },
    onboarding: gatedOnboarding(authority.onboarding, view),
    signedPaths: gatedSignedPaths(authority.signedPaths, view),
  };
}

type View = Pick<RevocationView, "current">;

function gated<Args extends readonly unknown[], Result>(
  view: View,
  call: (...args: Args) => Promise<Result>,
): (...args: Args) => Promise<Result> {
  return (...args) => (view.current ? call(...args) : Promise.reject(untrusted()));
}

function untrusted(): AuthError {
  return new AuthError("unavailable", {
    detail: "the revocation view is not up to date",
    retryAfterSeconds: 1,
  });
}

function gatedSessions(sessions: Authority["sessions"], view: View): Authority["sessions"] {
  const withoutEnd = gated(view, sessions.setExpiry);
  return {
    ...sessions,
    open: gated(view, sessions.open),
    openLongLived: gated(view, sessions.openLongLived),
    refresh: gated(view, sessions.refresh),
    setExpiry: (principal, sessionId, enabled) =>
      (enabled ? sessions.setExpiry : withoutEnd)(principal, sessionId, enabled),
  };
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
      if (sessionId !== undefined && !view.current) throw untrusted();
      return sessionId;
    },
  };
}
