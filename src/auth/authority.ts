import { type Authentication, createAuthentication } from "./authentication.ts";
import { type ClientAuthentication, createClientAuthentication } from "./clients/client-authentication.ts";
import { type ClientPages, createClientPages, noClientPages } from "./clients/client-page.ts";
import type { RegisteredClient } from "./clients/client-record.ts";
import { createRegisteredClients, type RegisteredClients } from "./clients/registered-clients.ts";
import type { Clock } from "./clock/clock.ts";
import { createLocalEventBus, type EventBus } from "./event-bus.ts";
import type { Assurance } from "./factors/assurance.ts";
import { composeFactors } from "./factors/compose.ts";
import { createDemandTable, type DemandTable } from "./factors/demand-table.ts";
import type { Factor } from "./factors/factor.ts";
import type { FactorTools } from "./factors/factor-type.ts";
import { createSecondFactors, type SecondFactors } from "./factors/second-factors.ts";
import { createLoginFlows, type LoginFlowLimits, type LoginFlows } from "./login/login-flows.ts";
import type { AuditRecord } from "./model.ts";
import { type ClientCredentials, createClientCredentials } from "./oauth/client-credentials.ts";
import { createDeviceAuthorizations, type DeviceAuthorizations } from "./oauth/device-authorizations.ts";
import { createPushedRequests, type PushedRequests } from "./oauth/pushed-requests.ts";
import { createPasswords, type PasswordsOptions } from "./passwords/passwords.ts";
import {
  composeGroups,
  composePermissions,
  createPermissionTables,
  type PermissionTables,
} from "./permissions/compose.ts";
import { createExplainer, type Explainer } from "./permissions/explainer.ts";
import type { Groups } from "./permissions/groups.ts";
import type { PermissionsReader } from "./permissions/permissions.ts";
import type { Resources } from "./permissions/resources.ts";
import { createLocalLogins, type LocalLogins } from "./providers/homeassistant/local-logins.ts";
import { localType } from "./providers/homeassistant/login-record.ts";
import { createHomeAssistantProvider } from "./providers/homeassistant/provider.ts";
import { createOidc, type Oidc } from "./providers/oidc/oidc.ts";
import type { LoginProvider } from "./providers/provider.ts";
import type { ProviderTools } from "./providers/provider-type.ts";
import { createProviderAdmission, createProviderRegistry } from "./providers/registry.ts";
import { composeRevocation } from "./revocation/compose.ts";
import type { Revocation, RevocationOptions } from "./revocation/revocation.ts";
import type { DisabledSafeguards } from "./safeguards.ts";
import { createLoopYielder, type LoopYielder } from "./scheduling/loop-yielder.ts";
import { createStepUps, type StepUpSettings, type StepUps } from "./sessions/recent-login.ts";
import type { SessionCaps } from "./sessions/session-caps.ts";
import {
  createSessions,
  defaultAccessTokenTtlMs,
  defaultSessionIdleMs,
  type Sessions,
} from "./sessions/sessions.ts";
import type { Store } from "./store.ts";
import { createDeviceTokens } from "./throttling/device-tokens.ts";
import { createLoginThrottle, defaultLoginBudgets, type LoginBudgets } from "./throttling/login-throttle.ts";
import { createThrottles, type Throttles } from "./throttling/throttle-list.ts";
import { createAccessTokens } from "./tokens/access-tokens.ts";
import { type AuthorizationCodes, createAuthorizationCodes } from "./tokens/authorization-codes.ts";
import { dropKeys, type KeysDropped } from "./tokens/drop-keys.ts";
import { createIdTokens, type IdTokens } from "./tokens/id-tokens.ts";
import { createKeyring, type Keyring } from "./tokens/keyring.ts";
import { createKeyringReloader } from "./tokens/keyring-reloader.ts";
import { createRefreshTokens } from "./tokens/refresh-tokens.ts";
import { createSealing } from "./tokens/sealing.ts";
import { createSignedPaths, type SignedPaths } from "./tokens/signed-paths.ts";
import { type ApprovalOptions, type Approvals, createApprovals } from "./users/approvals.ts";
import { type CredentialRemovals, createCredentialRemovals } from "./users/credential-removal.ts";
import { type Credentials, createCredentials } from "./users/credentials.ts";
import { createOnboarding, type Onboarding } from "./users/onboarding.ts";
import { createOwnership, type Ownership } from "./users/ownership.ts";
import { createSystemUsers, type SystemUsers } from "./users/system-users.ts";
import { createUsers, type Users } from "./users/users.ts";

/** The domain as everything outside src/auth sees it. This file composes it and adds no rules. */
export interface Authority {
  readonly authentication: Authentication;
  readonly sessions: Sessions;
  /** What needs a recent login. */
  readonly stepUps: StepUps;
  /** How good a user's login must be. */
  readonly assurance: Assurance;
  readonly secondFactors: SecondFactors;
  readonly codes: AuthorizationCodes;
  readonly idTokens: IdTokens;
  /** Registered clients, how they prove who they are, and what they may get. */
  readonly clients: RegisteredClients;
  readonly clientAuthentication: ClientAuthentication;
  readonly clientCredentials: ClientCredentials;
  readonly pushedRequests: PushedRequests;
  readonly clientPages: ClientPages;
  readonly devices: DeviceAuthorizations;
  readonly signedPaths: SignedPaths;
  readonly users: Users;
  readonly systemUsers: SystemUsers;
  readonly ownership: Ownership;
  readonly groups: Groups;
  readonly permissions: PermissionsReader;
  readonly explainer: Explainer;
  readonly resources: Resources;
  readonly credentials: Credentials;
  readonly credentialRemovals: CredentialRemovals;
  readonly approvals: Approvals;
  readonly logins: LoginFlows;
  /** What browsers and OpenID providers send to the gateway. */
  readonly oidc: Oidc;
  /** Of the first provider of the type `homeassistant`. */
  readonly localLogins: LocalLogins;
  /** Of the provider of that type with this id; undefined where none is configured. */
  localLoginsOf(providerId: string | null): LocalLogins | undefined;
  readonly throttles: Throttles;
  readonly onboarding: Onboarding;
  readonly keyring: Keyring;
  /** Replaces all signing keys with one new key, at once. */
  dropKeys(): Promise<KeysDropped>;
  readonly revocation: Revocation;
  /** How many passwords wait for a thread, for metrics. */
  readonly load: { readonly passwordsWaiting: number };
  /** Makes every node write the record to its audit log. Rejects with `unavailable`. */
  relayAudit(record: AuditRecord): Promise<void>;
  close(): Promise<void>;
}

export interface AuthorityOptions {
  readonly store: Store;
  /** The installation's secret, at least 32 bytes: the same on every node. */
  readonly secret: Uint8Array;
  readonly clock: Clock;
  /** Events between the nodes of the installation. By default this node is alone. The caller closes it. */
  readonly events?: EventBus | undefined;
  /** See `RevocationOptions`. */
  readonly machineClock?: Clock | undefined;
  /** `iss` and `aud` of access tokens. Called for every token, because the address may become known late. */
  readonly issuer: () => string;
  readonly audience: () => string;
  /** How clients and browsers reach the gateway, without a trailing slash; `issuer` by default. */
  readonly publicUrl?: (() => string) | undefined;
  /** The ways to log in, in order; by default one of the type `homeassistant`. */
  readonly providers?: ((tools: ProviderTools) => readonly LoginProvider[]) | undefined;
  /** The second factors, in order; by default codes of an authenticator app, and recovery codes. */
  readonly factors?: ((tools: FactorTools) => readonly Factor[]) | undefined;
  /** Clients of the configuration; none by default. */
  readonly clients?: readonly RegisteredClient[] | undefined;
  /** Whether redirect URIs are read from the pages of clients that nobody registered; false by default. */
  readonly readsClientPages?: boolean | undefined;
  /** Life of an access token, ms; 30 minutes by default. */
  readonly accessTokenTtlMs?: number;
  /** How long a session lives without use, ms; 90 days by default. */
  readonly sessionIdleMs?: number;
  /** How long a login counts as recent, ms; 15 minutes by default. */
  readonly recentLoginMs?: number | undefined;
  /** What needs one; see `defaultStepUpSettings`. */
  readonly stepUp?: Partial<StepUpSettings> | undefined;
  /** How many sessions and long-lived tokens a user may have; unlimited by default. */
  readonly sessionCaps?: Partial<SessionCaps> | undefined;
  /** Life of an authorization code, ms; 10 minutes by default. */
  readonly codeTtlMs?: number | undefined;
  readonly passwords?: PasswordsOptions;
  readonly loginLimits?: Partial<LoginFlowLimits> | undefined;
  /** Limits of guesses at login secrets; `defaultLoginBudgets` for the ones left out. */
  readonly loginBudgets?: Partial<LoginBudgets> | undefined;
  /** Who may approve, and how many users may wait for approval; see `defaultApprovalLimits`. */
  readonly approvals?: Pick<ApprovalOptions, "approvers" | "limits"> | undefined;
  /** Whether a session that is opened on a socket rotates its refresh token; true by default. */
  readonly rotatingClients?: (clientId: string | null, via: "socket" | "http") => boolean;
  /** Called if a listener of revocations or of the event bus throws. */
  readonly onFault?: ((error: unknown) => void) | undefined;
  /** This node's part in keeping revocations in effect. */
  readonly revocation?: Pick<RevocationOptions, "policy" | "stalePrimaryWindowMs" | "observer"> | undefined;
  /** For tests that show what a safeguard prevents; none is disabled by default. */
  readonly disabledSafeguards?: DisabledSafeguards | undefined;
}

/**
 * Composes the domain. The caller owns the store, closes it after the authority, and feeds `revocation` from the
 * store's log; without a feed nobody is authenticated (the CLI authenticates nobody).
 */
export async function createAuthority(options: AuthorityOptions): Promise<Authority> {
  const { store, clock, issuer, audience } = options;
  const sealing = createSealing(options.secret);
  const longestTokenMs = options.accessTokenTtlMs ?? defaultAccessTokenTtlMs;
  const keyring = await createKeyring({ store, sealing, clock, longestTokenMs });
  const keyringReloader = createKeyringReloader(keyring);
  const yielder = createLoopYielder();
  const credentials = createCredentials(store);
  const tables = createPermissionTables();
  const shared = { sealing, credentials, yielder, tables, demandTable: createDemandTable() };
  const revocation = composeRevocation(options, { ...shared, keyring, keyringReloader });
  const ways = composeProviders(options, { ...shared, revocation });
  const { providers, users, clients, assurance } = ways;
  const accessTokens = createAccessTokens({ keyring, clock, issuer, audience, providers });
  const sessions = createSessions({
    store,
    clock,
    revocation,
    accessTokens,
    refreshTokens: createRefreshTokens(sealing),
    providers,
    assurance,
    clients,
    yielder,
    caps: options.sessionCaps ?? {},
    accessTokenTtlMs: longestTokenMs,
    sessionIdleMs: options.sessionIdleMs ?? defaultSessionIdleMs,
    disabledSafeguards: options.disabledSafeguards,
  });
  const codes = composeCodes(options, revocation);
  const { recentLoginMs: windowMs, stepUp: settings } = options;
  const stepUps = createStepUps({ clock, sessions, windowMs, settings });
  const base = { store, clock, sealing, revocation, sessions, stepUps, codes, credentials, yielder };
  const applications = composeApplications(options, { ...base, users, clients });
  const people = composePeople(options, { ...base, ...ways, ...applications });

  return {
    sessions,
    stepUps,
    assurance,
    codes,
    keyring,
    revocation,
    ...people,
    explainer: createExplainer({ ...ways, tables, sessions, isOwnersAlone: people.approvals.isOwnersAlone }),
    resources: ways.resources,
    idTokens: createIdTokens({ keyring, clock, issuer }),
    ...applications,
    dropKeys: () => dropKeys(keyring, revocation),
    async relayAudit(record) {
      await revocation.commit({ log: [{ type: "audited", record }] });
    },
    authentication: createAuthentication({ ...base, ...ways, accessTokens, keyring }),
    signedPaths: createSignedPaths({ sealing, clock }),
    load: {
      get passwordsWaiting() {
        return ways.passwords.load().waiting;
      },
    },
    async close() {
      keyringReloader.stop();
      people.logins.close();
      people.devices.close();
      await ways.passwords.close();
    },
  };
}

function composeCodes(
  { store, clock, codeTtlMs: ttlMs }: AuthorityOptions,
  { revoke }: Pick<Revocation, "revoke">,
): AuthorizationCodes {
  const onReplay = async ({ userId, sessionId }: { readonly userId: string; readonly sessionId: string }) => {
    await revoke({ kind: "sessions", userId, sessionIds: [sessionId] }, "token_reused");
  };
  return createAuthorizationCodes({ store, clock, ttlMs, onReplay });
}

/** RFC 7523 section 3 and RFC 9126 section 2: the issuer, or the endpoint that the client asks. */
function audiencesOf({ issuer, publicUrl = issuer }: AuthorityOptions): readonly string[] {
  const endpoints = ["token", "par", "introspect", "revoke", "device_authorization"];
  return [issuer(), ...endpoints.map((endpoint) => `${publicUrl()}/auth/${endpoint}`)];
}

/** Composes the providers, the users whom they ask about, and the clients that log users in. */
function composeProviders(
  options: AuthorityOptions,
  parts: Pick<Base, "sealing" | "credentials" | "revocation" | "yielder"> & {
    readonly tables: PermissionTables;
    readonly demandTable: DemandTable;
  },
) {
  const { store, clock } = options;
  const { tables, revocation } = parts;
  const { publicUrl = options.issuer } = options;
  const budgets = { ...defaultLoginBudgets, ...options.loginBudgets };
  const factors = composeFactors({
    ...parts,
    store,
    clock,
    tools: { store, clock, sealing: parts.sealing, publicUrl },
    create: options.factors,
    isDeletedGroup: (id) => tables.groupTable.latest(id)?.content === null,
    budget: budgets.secondFactor,
  });
  const { demands } = factors;
  // Until then its id means nothing, because this node and the others know that it is deleted.
  const onDeleted = (groupId: string) => demands.set(groupId, false);
  const composed = composeGroups(tables, { store, revocation, demands, onDeleted });
  const users = createUsers({ store, clock, ...parts, groups: composed.groups, demands });
  const permissions = composePermissions(tables, { users, revocation, onFault: options.onFault });
  const configured = options.clients ?? [];
  const events = options.events ?? createLocalEventBus(options.onFault);
  const clients = createRegisteredClients({ ...parts, store, clock, users, events, configured });
  const passwords = createPasswords(options.passwords);
  const tools = {
    store,
    clock,
    passwords,
    credentials: parts.credentials,
    users,
    sealing: parts.sealing,
    revocation,
    publicUrl,
  };
  const registry = createProviderRegistry(options.providers?.(tools) ?? [createHomeAssistantProvider(tools)]);
  const providers = createProviderAdmission(registry);
  return {
    ...composed,
    ...factors,
    budgets,
    users,
    clients,
    events,
    permissions,
    passwords,
    registry,
    providers,
  };
}

type Base = Pick<Authority, "sessions" | "stepUps" | "codes"> & {
  readonly store: Store;
  readonly clock: Clock;
  readonly sealing: ReturnType<typeof createSealing>;
  readonly revocation: ReturnType<typeof composeRevocation>;
  readonly credentials: ReturnType<typeof createCredentials>;
  readonly yielder: LoopYielder;
};

/** Composes what registered clients need. */
function composeApplications(options: AuthorityOptions, base: Base & Pick<Authority, "users" | "clients">) {
  const { clients } = base;
  const audiences = () => audiencesOf(options);
  return {
    clients,
    pushedRequests: createPushedRequests(base),
    clientPages: options.readsClientPages === true ? createClientPages() : noClientPages,
    clientAuthentication: createClientAuthentication({ ...base, clients, audiences }),
    clientCredentials: createClientCredentials(base),
  };
}

/** Composes users, their logins and onboarding. */
function composePeople(
  options: AuthorityOptions,
  parts: Base & ReturnType<typeof composeProviders> & ReturnType<typeof composeApplications>,
) {
  const base = { ...parts, pushed: parts.pushedRequests };
  const { store, clock, credentials, users, groups, permissions, registry, events } = base;
  const rotates = (clientId: string | null) => options.rotatingClients?.(clientId, "socket") ?? true;
  const localLoginsAt = (providerId: string | null) => createLocalLogins({ ...base, providerId });
  const localLogins = localLoginsAt(registry.providers.find(({ type }) => type === localType)?.id ?? null);
  const localLoginsOf = (providerId: string | null) =>
    registry.find(localType, providerId) && localLoginsAt(providerId);
  const ownership = createOwnership(base);
  const credentialRemovals = createCredentialRemovals({ ...base, localLoginsOf });
  const systemUsers = createSystemUsers(base);
  const hasLocalProvider = registry.providers.some(({ type }) => type === localType);
  const onboarding = createOnboarding({ ...base, localLogins, hasLocalProvider, rotates });
  const { budgets } = parts;
  const throttles = createThrottles({ store, clock, credentials, budgets });
  const onListed = () => void throttles.sweep().catch(options.onFault ?? (() => undefined));
  const throttle = createLoginThrottle({ store, clock, budgets, onListed });
  const approvals = createApprovals({ ...base, ...options.approvals, events, onFault: options.onFault });
  const logins = createLoginFlows({
    ...base,
    rotates,
    throttle,
    devices: createDeviceTokens(base),
    events,
    approvals,
    onboardingRequired: onboarding.required,
    limits: options.loginLimits,
  });
  const secondFactors = createSecondFactors({
    ...base,
    nameOf: async (userId) => (await users.read(userId))?.user.name ?? userId,
  });
  const oidc = createOidc({ ...base, logins });
  const devices = createDeviceAuthorizations({
    ...base,
    events,
    publicUrl: options.publicUrl ?? options.issuer,
  });
  const ways = { localLogins, localLoginsOf, onboarding, logins, oidc, devices, secondFactors };
  return {
    users,
    groups,
    permissions,
    credentials,
    credentialRemovals,
    approvals,
    throttles,
    ownership,
    systemUsers,
    ...ways,
  };
}
