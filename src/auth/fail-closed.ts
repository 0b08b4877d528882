import type { Authority } from "./authority.ts";
import { consistentRead, requireFollowedLog, untrusted } from "./consistent-read.ts";
import type { User } from "./model.ts";
import type { RevocationView } from "./revocation/view.ts";

type View = Pick<RevocationView, "followGeneration">;

/** What becomes of one member of the domain while the revocation log is not followed. */
type Rule<Member> = (member: Member, view: View) => Member;

/** A rule for every member: one that is added to a part of the domain, and forgotten here, does not compile. */
type Rules<Part> = { readonly [Name in keyof Part]: Rule<Part[Name]> };

/** It takes away, or is for the console, or changes what an administrator who is still served may change. */
const unrestricted = <Member>(member: Member): Member => member;

/** It gives something on the store's word. Rejects with `unavailable` before it reads or changes anything. */
function needsFollowedLog<Args extends readonly unknown[], Result>(
  call: (...args: Args) => Promise<Result>,
  view: View,
): (...args: Args) => Promise<Result> {
  return (...args) => requireFollowedLog(view, () => call(...args));
}

/** It only looks. It goes on, but what `isOver` finds to be gone or blocked is said only if the log is followed. */
function readsConsistently<Args extends readonly unknown[], Found>(isOver: (found: Found) => boolean) {
  return (look: (...args: Args) => Promise<Found>, view: View): ((...args: Args) => Promise<Found>) =>
    (...args) =>
      consistentRead(view, () => look(...args), isOver);
}

/** The same: only what is not there is over. */
function findsConsistently<Args extends readonly unknown[], Found>(
  look: (...args: Args) => Promise<Found>,
  view: View,
): (...args: Args) => Promise<Found> {
  return (...args) =>
    consistentRead(
      view,
      () => look(...args),
      (found) => found === undefined,
    );
}

/** From everywhere, or from everywhere but near. */
function isRestricted({ isActive, localOnly }: User): boolean {
  return !isActive || localOnly;
}

const sessions: Rules<Authority["sessions"]> = {
  open: needsFollowedLog,
  openLongLived: needsFollowedLog,
  refresh: needsFollowedLog,
  findByRefreshToken: findsConsistently,
  get: findsConsistently,
  expireIfDue: findsConsistently,
  // More time is given; an end is only taken away from it.
  setExpiry(setExpiry, view) {
    const remove = needsFollowedLog(setExpiry, view);
    return (principal, sessionId, enabled) =>
      enabled ? setExpiry(principal, sessionId, enabled) : remove(principal, sessionId, enabled);
  },
  list: unrestricted,
  listPage: unrestricted,
};

const users: Rules<Authority["users"]> = {
  read: readsConsistently((found) => found === undefined || isRestricted(found.user)),
  current: readsConsistently((found) => found?.isActive !== true),
  list: unrestricted,
  page: unrestricted,
  create: unrestricted,
  update: unrestricted,
  remove: unrestricted,
};

const logins: Rules<Authority["logins"]> = {
  providers: unrestricted,
  start: needsFollowedLog,
  advance: needsFollowedLog,
  resume: needsFollowedLog,
  next: needsFollowedLog,
  continueFromOutside: needsFollowedLog,
  cancel: unrestricted,
  left: unrestricted,
  close: unrestricted,
};

const codes: Rules<Authority["codes"]> = {
  // Synchronous, and worth nothing without the commit of the login that it is a part of.
  prepare: unrestricted,
  redeem: needsFollowedLog,
};

const onboarding: Rules<Authority["onboarding"]> = {
  required: unrestricted,
  setupCode: unrestricted,
  createOwner: unrestricted,
  createOwnerWithSession: needsFollowedLog,
  createOwnerWithCode: needsFollowedLog,
};

const signedPaths: Rules<Authority["signedPaths"]> = {
  sign: needsFollowedLog,
  // A signature that is not ours is refused whatever else is known.
  verify: (verify, view) => async (pathAndQuery) => {
    const sessionId = await verify(pathAndQuery);
    if (sessionId !== undefined && view.followGeneration === undefined) throw untrusted();
    return sessionId;
  },
};

const parts: Rules<Authority> = {
  sessions: guarded(sessions),
  users: guarded(users),
  logins: guarded(logins),
  codes: guarded(codes),
  onboarding: guarded(onboarding),
  signedPaths: guarded(signedPaths),
  // Asks the view by itself.
  authentication: unrestricted,
  revocation: unrestricted,
  groups: unrestricted,
  credentials: unrestricted,
  localLogins: unrestricted,
  localLoginsOf: unrestricted,
  keyring: unrestricted,
  dropKeys: unrestricted,
  relayAudit: unrestricted,
  load: unrestricted,
  close: unrestricted,
};

/**
 * The same domain, for whoever serves strangers. While this node cannot know what was revoked, or has lost its place in the
 * log, the store that it sees may have been left behind, or have gone back in time: nobody logs in, refreshes, or is
 * given a token, a code, a signed path or more time by it. Such a call rejects with `unavailable` at once, so that a login
 * flow, a code and a refresh token are as good as before. The rules above say what goes on. NOT held back: what is given
 * by a call that was let in and is under way when trust ends.
 */
export function failClosed(authority: Authority): Authority {
  return guarded(parts)(authority, authority.revocation.view);
}

/** Applies the rules of a part to its members. */
function guarded<Part extends object>(rules: Rules<Part>): Rule<Part> {
  return (part, view) => {
    const apply = <Name extends keyof Part>(name: Name): [Name, Part[Name]] => [
      name,
      rules[name](part[name], view),
    ];
    const names = Object.keys(rules) as (keyof Part)[];
    return Object.fromEntries(names.map(apply)) as Part;
  };
}
