import { hash } from "node:crypto";

import type { IndexKey, RecordKey } from "./store.ts";

/**
 * The layout of everything that is stored. A key is a kind and opaque ids. User input is hashed first, so no input
 * can change the structure of a key. Adapters add a prefix. The prefix on Redis contains the hash tag that keeps
 * everything in one slot, so that every step is atomic.
 */
const record = (kind: string, ...parts: string[]) => [kind, ...parts].join(":") as RecordKey;
const index = (kind: string, ...parts: string[]) => [kind, ...parts].join(":") as IndexKey;

/** SHA-256 of user input, 43 characters of base64url. */
export function hashed(input: string): string {
  return hash("sha256", input, "base64url");
}

/** The key of a provider instance. Both parts come from configuration; the hash gives them one format. */
export function providerKey(type: string, id: string | null): string {
  return hashed(JSON.stringify([type, id])).slice(0, 16);
}

export const recordKeys = {
  /** `{id, created_at}` of this installation; created once. */
  instance: record("instance"),
  /** `{issuer}` of the gateway that started last. */
  issuer: record("issuer"),
  /** `{user_id}`: ensures that there is one owner. */
  owner: record("owner"),
  /** Signing keys, sealed. */
  keyring: record("keyring"),
  /** `{at}`: ms, a time that is certainly past; see `ClockSync`. */
  clock: record("clock"),
  user: (userId: string) => record("user", userId),
  /** Bumped by everything that ends all of a user's sessions. Its version is the user's epoch. */
  userEpoch: (userId: string) => record("epoch", "user", userId),
  /** Bumped by what ends all sessions of a client. `allEpoch`: of the installation. */
  clientEpoch: (clientId: string) => record("epoch", "client", hashed(clientId)),
  allEpoch: record("epoch", "all"),
  credential: (credentialId: string) => record("credential", credentialId),
  /** `{credential_id}`: one credential per subject of a provider. */
  credentialOf: (provider: string, subject: string) => record("credential-of", provider, hashed(subject)),
  /** The same, for a subject of which only the hash is known. */
  credentialOfHash: (provider: string, subjectHash: string) => record("credential-of", provider, subjectHash),
  /** `{credential_id}`: one credential per provider of a user. */
  credentialSlot: (userId: string, provider: string) => record("credential-slot", userId, provider),
  /** A group that is not one of the system's. */
  group: (groupId: string) => record("group", groupId),
  /** `{entries: [[kind, id, parent, version], ...]}`: what is registered, see `permissions/resource-shards.ts`. */
  resources: (shard: string) => record("resources", shard),
  /** `{}`: written by everything that creates a group. */
  groupTurn: record("group-turn"),
  /** `{waiting: [...]}`: the users who wait for approval, see `Approvals`. */
  approvals: record("approvals"),
  /** `{sets: [[N, r, p], ...], imported?: [...]}`: what stored passwords may cost, see `passwords/parameters-in-use.ts`. */
  scryptParameters: record("scrypt-parameters"),
  /** `{key}`, sealed: of the salts of names without a login, once the installation's secret was replaced. */
  standIns: record("scram-stand-ins"),
  /** The local provider's verifier of one login name. */
  password: (provider: string, username: string) => record("password", provider, hashed(username)),
  /** A code with which a user sets a new password, see `homeassistant/reset-codes.ts`. */
  passwordReset: (userId: string) => record("password-reset", userId),
  /** `{enrolments: [...]}`: the second factors of a user, see `factors/enrolments.ts`. */
  factors: (userId: string) => record("factors", userId),
  /** What was used of them, by enrolment. */
  factorUses: (userId: string) => record("factor-uses", userId),
  /** `{groups: [...]}`: the groups whose members must have a second factor. */
  factorDemands: record("factor-demands"),
  /** The set-up of a factor that the user has begun. */
  factorSetup: (userId: string) => record("factor-setup", userId),
  session: (sessionId: string) => record("session", sessionId),
  /** `{session_id}`: a long-lived token's name is unique per user. */
  clientName: (userId: string, clientName: string) => record("client-name", userId, hashed(clientName)),
  /** `{full_at, known_until?, about?}`: a counter of guesses; see `throttling/counter-record.ts`. */
  throttle: (id: string) => record("throttle", id),
  flow: (flowId: string) => record("flow", flowId),
  /** `{hold}`: of the socket that resumed the flow last; absent while the one that began it has it. */
  flowHolder: (flowId: string) => record("flow-holder", flowId),
  /** A browser that has returned from an OpenID provider, see `providers/oidc/return-record.ts`. */
  oidcReturn: (flowId: string) => record("oidc-return", flowId),
  /** `{subject}`: whose session at the provider this is. */
  oidcSession: (provider: string, session: string) => record("oidc-session", provider, session),
  /** `{at}`: the provider ended all sessions of a subject, or one session. */
  oidcLogout: (provider: string, whose: string) => record("oidc-logout", provider, hashed(whose)),
  /** A logout token that was carried out, by its `jti`. */
  oidcLogoutToken: (provider: string, jti: string) => record("oidc-logout-token", provider, hashed(jti)),
  /** A registered client. */
  client: (clientId: string) => record("client", hashed(clientId)),
  /** `{clients: [...]}`: those of the configuration of the gateway that started last; see `clients/end-unconfigured-clients.ts`. */
  configuredClients: record("configured-clients"),
  /** `{session_id}`: the session of a client that gets tokens for itself. */
  clientSession: (clientId: string) => record("client-session", hashed(clientId)),
  /** A client's assertion that was accepted, by its `jti`. */
  clientAssertion: (clientId: string, jti: string) =>
    record("client-assertion", hashed(clientId), hashed(jti)),
  /** A device that waits for a person's decision, by the hash of its code. */
  device: (deviceCode: string) => record("device", hashed(deviceCode)),
  deviceOfHash: (hash: string) => record("device", hash),
  /** `{device}`: the hash of the device's code; by a MAC of what the person types. */
  deviceUserCode: (mac: string) => record("device-user-code", mac),
  /** A pushed authorization request, by the hash of its URI. */
  pushedRequest: (requestUri: string) => record("pushed-request", hashed(requestUri)),
  /** A notice of a logout that a node has claimed; `what`: a session, or a user or everybody and an epoch. */
  logoutNotice: (clientId: string, what: string) => record("logout-notice", hashed(clientId), hashed(what)),
  /** A code with which a session links a login that was proved, by its hash. */
  linkCode: (code: string) => record("link-code", hashed(code)),
  /** The last value of a topic; see `topics/stored-values.ts`. */
  lastValueOfHash: (topicHash: string) => record("last-value", topicHash),
  /** An authorization code, by its hash. */
  code: (code: string) => record("code", hashed(code)),
} as const;

export const indexKeys = {
  users: index("users"),
  groups: index("groups"),
  /** Hashes of the topics that have a last value. */
  lastValues: index("last-values"),
  /** Registered clients that the user has or had sessions of. */
  clientsOf: (userId: string) => index("clients-of", userId),
  /** Ids of registered clients. */
  clients: index("clients"),
  credentialsOf: (userId: string) => index("credentials-of", userId),
  sessionsOf: (userId: string) => index("sessions-of", userId),
  /** Ids of credentials whose password is an imported hash. */
  importedPasswords: index("imported-passwords"),
  /** Ids of counters of guesses that are exhausted, or were and are not full yet. May contain expired ones. */
  throttles: index("throttles"),
} as const;
