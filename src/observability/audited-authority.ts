import type { Authority } from "../auth/authority.ts";
import type { Actor, Session, User } from "../auth/model.ts";
import type { RevokeTarget } from "../auth/revocation/receipt.ts";
import type { Audit } from "./audit.ts";
import { secondFactors } from "./audited-factors.ts";
import { isOver, type Recorder, recordLogin } from "./recorded-login.ts";
import { type About, notRecorded, type Rules, recorded, records } from "./recording-rules.ts";

/** The domain, and the domain as an actor uses it. */
export interface AuditedAuthority extends Authority {
  /** Records what is changed through it with this actor. */
  as(actor: Actor): Authority;
}

/**
 * The same domain, whose decisions become audit records: the one place for sockets and for the command line. HTTP's
 * endpoints refuse much before they call the domain, so they record their own decisions. `onLogin` is called for each
 * decision on a login with `ok` or a fixed word that says why not.
 */
export function auditedAuthority(
  authority: Authority,
  audit: Audit,
  onLogin: (result: string) => void = () => undefined,
): AuditedAuthority {
  return {
    ...recorded(parts)(authority, { actor: undefined, audit, onLogin }),
    as: (actor) => recordedOnUse(authority, { actor, audit, onLogin }),
  };
}

/** A command uses one part of the domain, so only that one is built: all of them take 9 µs, which a refresh would pay. */
function recordedOnUse(authority: Authority, recorder: Recorder): Authority {
  const part = <Name extends keyof Authority>(name: Name) => parts[name](authority[name], recorder);
  return new Proxy(authority, { get: (_, name) => part(name as keyof Authority) });
}

const aboutUser = ({ id: userId }: User): About => ({ userId });
const aboutSession = ({ id: sessionId, userId, clientId }: Session): About => ({
  sessionId,
  userId,
  clientId,
});

function aboutTarget(target: RevokeTarget): About {
  if (target.kind === "sessions") return { target: "sessions", userId: target.userId };
  if (target.kind === "user") return { target: "user", userId: target.userId };
  return target.kind === "client" ? { target: "client", clientId: target.clientId } : { target: "all" };
}

const sessions: Rules<Authority["sessions"]> = {
  // A part of a login, which is recorded as one, or of a grant, which HTTP records.
  open: notRecorded,
  openLongLived: records(
    "token",
    ({ userId }) => ({ grant: "long_lived_access_token", userId }),
    ({ session }) => aboutSession(session),
  ),
  refresh: records(
    "token",
    ({ peer }) => ({ grant: "refresh_token", address: peer.address }),
    ({ session }) => aboutSession(session),
  ),
  findByRefreshToken: notRecorded,
  findByGoodRefreshToken: notRecorded,
  get: notRecorded,
  list: notRecorded,
  listPage: notRecorded,
  setExpiry: records("session_expiry", ({ userId }, sessionId) => ({ userId, sessionId })),
  expireIfDue: notRecorded,
  // HTTP records the grant.
  issueAccessToken: notRecorded,
};

const devices: Rules<Authority["devices"]> = {
  begin: notRecorded,
  // HTTP and sockets record what came of it.
  redeem: notRecorded,
  watch: notRecorded,
  requireForSocket: notRecorded,
  find: notRecorded,
  approve: records(
    "device_approval",
    () => ({}),
    ({ clientId }) => ({ clientId }),
  ),
  refuse: records(
    "device_refusal",
    () => ({}),
    ({ clientId }) => ({ clientId }),
  ),
  close: notRecorded,
};

const clients: Rules<Authority["clients"]> = {
  find: notRecorded,
  all: notRecorded,
  page: notRecorded,
  register: records("client_registration", ({ id, userId }) => ({
    clientId: id,
    userId: userId ?? undefined,
  })),
  update: records("client_change", (clientId) => ({ clientId })),
  renewSecret: records("client_secret", (clientId) => ({ clientId })),
  remove: records("client_removal", (clientId) => ({ clientId })),
  // The revocations that it makes are.
  watch: notRecorded,
  endWhatConfigurationTook: notRecorded,
};

const users: Rules<Authority["users"]> = {
  read: notRecorded,
  current: notRecorded,
  list: notRecorded,
  page: notRecorded,
  create: records("user_creation", () => ({}), aboutUser),
  update: records("user_change", (userId, { isActive, state, localOnly, groupIds }) => ({
    userId,
    isActive: state === undefined ? isActive : state === "active",
    localOnly,
    groupIds,
  })),
  remove: records("user_removal", (userId) => ({ userId })),
};

const groups: Rules<Authority["groups"]> = {
  list: notRecorded,
  get: notRecorded,
  existing: notRecorded,
  among: notRecorded,
  unchanged: notRecorded,
  create: records(
    "group_creation",
    () => ({}),
    ({ group }) => ({ groupIds: [group.id] }),
  ),
  update: records("group_change", (id) => ({ groupIds: [id] })),
  delete: records("group_deletion", (id) => ({ groupIds: [id] })),
  addMember: records("group_member_addition", ({ groupId, userId }) => ({ userId, groupIds: [groupId] })),
  removeMember: records("group_member_removal", ({ groupId, userId }) => ({ userId, groupIds: [groupId] })),
};

const resources: Rules<Authority["resources"]> = {
  page: notRecorded,
  change: records("resource_change", () => ({})),
};

const localLogins: Rules<Authority["localLogins"]> = {
  create: records("login_creation", (userId) => ({ userId })),
  createUser: records("user_creation", ({ groupIds }) => ({ groupIds }), aboutUser),
  importUsers: records(
    "user_import",
    () => ({}),
    ({ users }) => ({ users: users.length }),
  ),
  createResetCode: records("password_reset_code", (userId) => ({ userId })),
  cancelResetCode: records("password_reset_cancellation", (userId) => ({ userId })),
  listImported: notRecorded,
  dropImported: records("imported_password_removal", (userId) => ({ userId })),
  prepareLogin: notRecorded,
  conflictOf: notRecorded,
  // The login name is what somebody typed. The revocation that follows names the user.
  remove: records("login_removal", () => ({})),
  changeOwnPassword: records("password_change", ({ userId }) => ({ userId })),
  setPassword: records("password_change", (userId) => ({ userId })),
  changeUsername: records("login_rename", (userId) => ({ userId })),
  retireParameters: notRecorded,
  usernameOf: notRecorded,
  userIdOf: notRecorded,
};

const ownership: Rules<Authority["ownership"]> = {
  transfer: records("owner_transfer", (userId) => ({ userId })),
  owner: notRecorded,
};

const systemUsers: Rules<Authority["systemUsers"]> = {
  create: records(
    "user_creation",
    ({ groupIds, localOnly }) => ({ grant: "system", groupIds, localOnly }),
    ({ session }) => aboutSession(session),
  ),
  issueToken: records(
    "token",
    (userId) => ({ grant: "system", userId }),
    ({ session }) => aboutSession(session),
  ),
};

const throttles: Rules<Authority["throttles"]> = {
  page: notRecorded,
  mayConcern: notRecorded,
  // Whom it was about, only its id says.
  lift: records("throttle_lift", (throttleId) => ({ throttleId })),
  sweep: notRecorded,
};

const onboarding: Rules<Authority["onboarding"]> = {
  required: notRecorded,
  setupCode: notRecorded,
  createOwner: records("owner", () => ({}), aboutUser),
  createOwnerWithSession: records(
    "owner",
    ({ peer, clientId }) => ({ address: peer.address, clientId }),
    ({ grant }) => aboutSession(grant.session),
  ),
  // HTTP's, which tells its own.
  createOwnerWithCode: notRecorded,
};

const revocation: Rules<Authority["revocation"]> = {
  revoke: records("revocation_request", aboutTarget),
  dropKeys: notRecorded,
  node: notRecorded,
  // The change that it follows is recorded.
  track: notRecorded,
  onRecovery: notRecorded,
  view: notRecorded,
  lease: notRecorded,
  progress: notRecorded,
  whenApplied: notRecorded,
  apply: notRecorded,
  logBroke: notRecorded,
  setFeed: notRecorded,
  setWatch: notRecorded,
  onSecurityEvent: notRecorded,
  watch: notRecorded,
  settled: notRecorded,
};

const keyring: Rules<Authority["keyring"]> = {
  rotate: records("key_rotation", () => ({})),
  reload: notRecorded,
  drop: notRecorded,
  planDrop: notRecorded,
  list: notRecorded,
  jwks: notRecorded,
};

const logins: Rules<Authority["logins"]> = {
  providers: notRecorded,
  waysOf: notRecorded,
  start: (start, recorder) => (request, peer, holder) =>
    recordLogin(recorder, peer, start(request, peer, holder)),
  advance: (advance, recorder) => (request, peer) => recordLogin(recorder, peer, advance(request, peer)),
  // What it shows again was recorded when it was decided; what it ends was not.
  resume: (resume, recorder) => async (request, peer, holder) => {
    const answer = await resume(request, peer, holder);
    return isOver(answer.step) ? await recordLogin(recorder, peer, Promise.resolve(answer)) : answer;
  },
  next: (next, recorder) => async (request, peer, holder) => {
    const answer = await next(request, peer, holder);
    return answer && (await recordLogin(recorder, peer, Promise.resolve(answer)));
  },
  // Whoever takes what follows is recorded, with the address that counts.
  completeExternalStep: notRecorded,
  linkByCode: records(
    "credential_link",
    ({ clientId, asker: { userId, sessionId } }) => ({ userId, sessionId, clientId }),
    (credentialId) => ({ credentialId }),
  ),
  addressClaim: notRecorded,
  cancel: notRecorded,
  detach: notRecorded,
  close: notRecorded,
};

const approvals: Rules<Authority["approvals"]> = {
  mayDecide: notRecorded,
  isDelegable: notRecorded,
  isOwnersAlone: notRecorded,
  wait: notRecorded,
  list: notRecorded,
  approve: records("approval", (userId, groupIds) => ({ userId, groupIds })),
  refuse: records("approval_refusal", (userId) => ({ userId })),
  // The revocation that follows names the user.
  removeExpired: notRecorded,
  onRequest: notRecorded,
};

const credentialRemovals: Rules<Authority["credentialRemovals"]> = {
  isUsable: notRecorded,
  // The login name is what somebody typed. The revocation that follows names the user.
  removeLocal: records("login_removal", () => ({})),
  remove: records("credential_removal", (userId, credentialId) => ({ userId, credentialId })),
};

const parts: Rules<Authority> = {
  secondFactors: recorded(secondFactors),
  // What needs it is recorded.
  assurance: notRecorded,
  credentialRemovals: recorded(credentialRemovals),
  approvals: recorded(approvals),
  sessions: recorded(sessions),
  clients: recorded(clients),
  devices: recorded(devices),
  users: recorded(users),
  localLogins: recorded(localLogins),
  localLoginsOf: (localLoginsOf, recorder) => (providerId) => {
    const found = localLoginsOf(providerId);
    return found && recorded(localLogins)(found, recorder);
  },
  ownership: recorded(ownership),
  systemUsers: recorded(systemUsers),
  throttles: recorded(throttles),
  onboarding: recorded(onboarding),
  revocation: recorded(revocation),
  keyring: recorded(keyring),
  logins: recorded(logins),
  // HTTP's, which tells its own.
  oidc: notRecorded,
  dropKeys: records("key_drop", () => ({})),
  // Sockets tell of each authentication themselves: it is the hot path.
  authentication: notRecorded,
  // The change that needs it is recorded.
  stepUps: notRecorded,
  codes: notRecorded,
  // HTTP records the grants, and who was refused.
  idTokens: notRecorded,
  clientPages: notRecorded,
  clientAuthentication: notRecorded,
  clientCredentials: notRecorded,
  pushedRequests: notRecorded,
  signedPaths: notRecorded,
  groups: recorded(groups),
  permissions: notRecorded,
  explainer: notRecorded,
  resources: recorded(resources),
  credentials: notRecorded,
  load: notRecorded,
  relayAudit: notRecorded,
  close: notRecorded,
};
