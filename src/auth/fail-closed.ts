import type { Authority } from "./authority.ts";
import { consistentRead, requireFollowedLog, untrusted } from "./consistent-read.ts";
import { noPermissions } from "./permissions/caller-permissions.ts";
import type { RevocationView } from "./revocation/view.ts";
import { isActive, isRestricted } from "./users/account-status.ts";

type View = Pick<RevocationView, "followGeneration">;

/** What happens to one member of the domain while the revocation log is not followed. */
type Rule<Member> = (member: Member, view: View) => Member;

/**
 * A rule for every member. If a member is added to a part of the domain and forgotten here, this does not compile.
 */
type Rules<Part> = { readonly [Name in keyof Part]: Rule<Part[Name]> };

/**
 * Always allowed: it removes rights, or serves the command line, or an administrator who is still served may do it.
 */
const unrestricted = <Member>(member: Member): Member => member;

/**
 * It grants something because of what the store says. Rejects with `unavailable` before it reads or changes anything.
 */
function needsFollowedLog<Args extends readonly unknown[], Result>(
  call: (...args: Args) => Promise<Result>,
  view: View,
): (...args: Args) => Promise<Result> {
  return (...args) => requireFollowedLog(view, () => call(...args));
}

/**
 * It only reads. It is allowed, but a result for which `isNegative` holds is returned only if the log is followed.
 */
function readsConsistently<Args extends readonly unknown[], Found>(isNegative: (found: Found) => boolean) {
  return (look: (...args: Args) => Promise<Found>, view: View): ((...args: Args) => Promise<Found>) =>
    (...args) =>
      consistentRead(view, () => look(...args), isNegative);
}

/** The same; the negative result is "not found". */
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

const sessions: Rules<Authority["sessions"]> = {
  open: needsFollowedLog,
  openLongLived: needsFollowedLog,
  refresh: needsFollowedLog,
  issueAccessToken: needsFollowedLog,
  findByRefreshToken: findsConsistently,
  findByGoodRefreshToken: findsConsistently,
  get: findsConsistently,
  expireIfDue: findsConsistently,
  // Switching expiry off extends the session. Switching it on only limits it.
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
  current: readsConsistently((found) => found === undefined || !isActive(found)),
  list: unrestricted,
  page: unrestricted,
  create: unrestricted,
  update: unrestricted,
  remove: unrestricted,
};

const permissions: Rules<Authority["permissions"]> = {
  of: readsConsistently((found) => found === noPermissions),
  watch: needsFollowedLog,
};

const groups: Rules<Authority["groups"]> = {
  list: unrestricted,
  get: unrestricted,
  existing: unrestricted,
  among: unrestricted,
  unchanged: unrestricted,
  // The policy in the store may be older than the one that an administrator has seen.
  create: needsFollowedLog,
  update: needsFollowedLog,
  delete: unrestricted,
  addMember: needsFollowedLog,
  removeMember: unrestricted,
};

const resources: Rules<Authority["resources"]> = {
  page: unrestricted,
  // Where an entity is may give rights.
  change: needsFollowedLog,
};

const logins: Rules<Authority["logins"]> = {
  providers: unrestricted,
  waysOf: unrestricted,
  start: needsFollowedLog,
  advance: needsFollowedLog,
  resume: needsFollowedLog,
  next: needsFollowedLog,
  completeExternalStep: needsFollowedLog,
  linkByCode: needsFollowedLog,
  addressClaim: unrestricted,
  cancel: unrestricted,
  detach: unrestricted,
  close: unrestricted,
};

const oidc: Rules<Authority["oidc"]> = {
  start: needsFollowedLog,
  returned: needsFollowedLog,
  answer: needsFollowedLog,
  logOut: unrestricted,
};

const codes: Rules<Authority["codes"]> = {
  // Synchronous, and without effect until the login that it belongs to commits.
  prepare: unrestricted,
  redeem: needsFollowedLog,
};

const ownership: Rules<Authority["ownership"]> = {
  transfer: needsFollowedLog,
  owner: unrestricted,
};

const systemUsers: Rules<Authority["systemUsers"]> = {
  create: needsFollowedLog,
  issueToken: needsFollowedLog,
};

const throttles: Rules<Authority["throttles"]> = {
  page: unrestricted,
  mayConcern: unrestricted,
  lift: unrestricted,
  sweep: unrestricted,
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
  // An invalid signature is refused without the log.
  verify: (verify, view) => async (pathAndQuery) => {
    const sessionId = await verify(pathAndQuery);
    if (sessionId !== undefined && view.followGeneration === undefined) throw untrusted();
    return sessionId;
  },
};

const clients: Rules<Authority["clients"]> = {
  find: findsConsistently,
  all: unrestricted,
  page: unrestricted,
  register: unrestricted,
  // Another secret lets its holder get tokens; the other changes of an administrator do too.
  update: needsFollowedLog,
  renewSecret: needsFollowedLog,
  remove: unrestricted,
  watch: unrestricted,
  endWhatConfigurationTook: unrestricted,
};

const clientAuthentication: Rules<Authority["clientAuthentication"]> = {
  authenticate: needsFollowedLog,
};

const clientCredentials: Rules<Authority["clientCredentials"]> = {
  grant: needsFollowedLog,
};

const devices: Rules<Authority["devices"]> = {
  begin: needsFollowedLog,
  redeem: needsFollowedLog,
  watch: unrestricted,
  requireForSocket: unrestricted,
  find: unrestricted,
  approve: needsFollowedLog,
  refuse: unrestricted,
  close: unrestricted,
};

const pushedRequests: Rules<Authority["pushedRequests"]> = {
  push: needsFollowedLog,
  read: needsFollowedLog,
};

const approvals: Rules<Authority["approvals"]> = {
  mayDecide: unrestricted,
  isDelegable: unrestricted,
  isOwnersAlone: unrestricted,
  // Only logins call it.
  wait: needsFollowedLog,
  list: unrestricted,
  approve: unrestricted,
  refuse: unrestricted,
  removeExpired: unrestricted,
  onRequest: unrestricted,
};

const assurance: Rules<Authority["assurance"]> = {
  keys: unrestricted,
  demandFrom: unrestricted,
  demandOf: needsFollowedLog,
  demandOn: needsFollowedLog,
};

const secondFactors: Rules<Authority["secondFactors"]> = {
  of: unrestricted,
  allOf: unrestricted,
  warnings: unrestricted,
  // It raises the session that asks.
  beginSetup: needsFollowedLog,
  advanceSetup: needsFollowedLog,
  remove: needsFollowedLog,
  // Fewer proofs let the person in after it.
  reset: needsFollowedLog,
  demandingGroups: unrestricted,
  readDemands: unrestricted,
  // It ends sessions. Less is demanded only by an administrator who is still served.
  demand: unrestricted,
  enforce: unrestricted,
};

const parts: Rules<Authority> = {
  assurance: guarded(assurance),
  secondFactors: guarded(secondFactors),
  credentialRemovals: unrestricted,
  approvals: guarded(approvals),
  sessions: guarded(sessions),
  users: guarded(users),
  permissions: guarded(permissions),
  // It only tells.
  explainer: unrestricted,
  resources: guarded(resources),
  logins: guarded(logins),
  oidc: guarded(oidc),
  codes: guarded(codes),
  clients: guarded(clients),
  clientAuthentication: guarded(clientAuthentication),
  clientCredentials: guarded(clientCredentials),
  pushedRequests: guarded(pushedRequests),
  clientPages: unrestricted,
  devices: guarded(devices),
  // It tells a client about a session that was just opened or refreshed.
  idTokens: unrestricted,
  ownership: guarded(ownership),
  systemUsers: guarded(systemUsers),
  throttles: guarded(throttles),
  onboarding: guarded(onboarding),
  signedPaths: guarded(signedPaths),
  // It grants nothing: what it allows is judged where it is done.
  stepUps: unrestricted,
  // Checks the view itself.
  authentication: unrestricted,
  revocation: unrestricted,
  groups: guarded(groups),
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
 * The same domain, failing closed, for everything that serves the network. While this node cannot know what was
 * revoked, or does not follow the log, the store that answers may be stale or may have gone back in time. Then nobody
 * logs in, refreshes, or gets a token, a code, a signed path or a longer session. Such a call rejects with
 * `unavailable` at once, and leaves login flows, codes and refresh tokens unused. The rules above say what is still
 * allowed. NOT covered: a call that has already started when trust ends.
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
