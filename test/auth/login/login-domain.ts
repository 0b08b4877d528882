import { expect } from "vitest";
import type { CreateEntryStep, FlowStep, SessionGrant } from "../../../protocol/flow.ts";
import { noClientPages } from "../../../src/auth/clients/client-page.ts";
import { createRegisteredClients } from "../../../src/auth/clients/registered-clients.ts";
import { AuthError } from "../../../src/auth/errors.ts";
import { createLocalEventBus, type EventBus } from "../../../src/auth/event-bus.ts";
import { composeFactors } from "../../../src/auth/factors/compose.ts";
import { createDemandTable } from "../../../src/auth/factors/demand-table.ts";
import type { Factor } from "../../../src/auth/factors/factor.ts";
import type { FactorTools } from "../../../src/auth/factors/factor-type.ts";
import type { FlowAnswer, FlowHolder, LoginFlows, StartLogin } from "../../../src/auth/login/login-flows.ts";
import { createLoginFlows, type LoginFlowLimits } from "../../../src/auth/login/login-flows.ts";
import type { Peer, Principal, User } from "../../../src/auth/model.ts";
import { createPushedRequests } from "../../../src/auth/oauth/pushed-requests.ts";
import { createPasswords, type PasswordsOptions } from "../../../src/auth/passwords/passwords.ts";
import { createGroupTable } from "../../../src/auth/permissions/group-table.ts";
import { followGroups } from "../../../src/auth/permissions/known-groups.ts";
import { createLocalLogins } from "../../../src/auth/providers/homeassistant/local-logins.ts";
import { createHomeAssistantProvider } from "../../../src/auth/providers/homeassistant/provider.ts";
import type { LoginProvider } from "../../../src/auth/providers/provider.ts";
import { createProviderRegistry } from "../../../src/auth/providers/registry.ts";
import { createRevocation } from "../../../src/auth/revocation/revocation.ts";
import { createLoopYielder } from "../../../src/auth/scheduling/loop-yielder.ts";
import { createSessions } from "../../../src/auth/sessions/sessions.ts";
import { createDeviceTokens } from "../../../src/auth/throttling/device-tokens.ts";
import {
  createLoginThrottle,
  defaultLoginBudgets,
  type LoginBudgets,
} from "../../../src/auth/throttling/login-throttle.ts";
import { createAuthorizationCodes } from "../../../src/auth/tokens/authorization-codes.ts";
import { createRefreshTokens } from "../../../src/auth/tokens/refresh-tokens.ts";
import { createApprovals } from "../../../src/auth/users/approvals.ts";
import { createCredentials } from "../../../src/auth/users/credentials.ts";
import { createUsers } from "../../../src/auth/users/users.ts";
import { openProviders } from "../../support/people.ts";
import { createNode, halfAnHour, type OpenStore } from "../tokens/installation.ts";

export const peer: Peer = { address: "203.0.113.7" };
export const client = "https://app.example/";
export const redirect = "https://app.example/callback";
export const ada = { username: "ada", password: "canary-horse-battery" } as const;
/** Cheap parameters: scrypt is not under test. */
export const quick = { N: 16, r: 8, p: 1 };

/** All domains of a test are nodes of one installation. */
const installationSecret = Buffer.alloc(32, 7);

export interface DomainOptions {
  readonly passwords?: PasswordsOptions;
  readonly limits?: Partial<LoginFlowLimits>;
  readonly budgets?: Partial<LoginBudgets>;
  readonly onboardingRequired?: boolean;
  readonly events?: EventBus;
  readonly factors?: (tools: FactorTools) => readonly Factor[];
  /** Wraps the local provider. */
  readonly wrapProvider?: (provider: LoginProvider) => LoginProvider;
  /** Runs after the engine has read the user and what is demanded of them, before it commits. */
  readonly beforeCommit?: () => Promise<unknown>;
}

export type LoginDomain = Awaited<ReturnType<typeof loginDomain>>;

/** One node's login side over a real store, every collaborator real. */
export async function loginDomain(opened: OpenStore, options: DomainOptions = {}) {
  const { store, clock } = opened;
  const { sealing, tokens: accessTokens } = await createNode(opened, installationSecret);
  const revocation = createRevocation({ store, clock, sealing, longestTokenMs: halfAnHour });
  const refreshTokens = createRefreshTokens(sealing);
  const yielder = createLoopYielder();
  const factors = composeFactors({
    store,
    clock,
    yielder,
    revocation,
    tools: { store, clock, sealing, publicUrl: () => "https://gatehouse.test" },
    create: options.factors,
    isDeletedGroup: () => false,
    demandTable: createDemandTable(),
    budget: options.budgets?.secondFactor ?? defaultLoginBudgets.secondFactor,
  });
  const sessions = createSessions({
    store,
    clock,
    revocation,
    accessTokens,
    refreshTokens,
    yielder,
    providers: openProviders,
    assurance: factors.assurance,
    clients: { find: (clientId) => clients.find(clientId) },
  });
  const credentials = createCredentials(store);
  const groups = followGroups({ store, table: createGroupTable(), revocation });
  const users = createUsers({
    store,
    clock,
    revocation,
    groups,
    credentials,
    yielder,
    demands: factors.demands,
  });
  const events = options.events ?? createLocalEventBus();
  const clients = createRegisteredClients({
    store,
    clock,
    revocation,
    users,
    events,
    yielder,
    configured: [],
  });
  const passwords = createPasswords({
    minLength: 8,
    parameters: quick,
    workers: 1,
    queueLimitPerKey: 64,
    ...options.passwords,
  });
  const logins = createLocalLogins({
    providerId: null,
    store,
    clock,
    passwords,
    credentials,
    users,
    groups,
    sessions,
    revocation,
  });
  const throttle = createLoginThrottle({
    store,
    clock,
    budgets: options.budgets,
  });
  const provider = createHomeAssistantProvider({
    store,
    clock,
    passwords,
    credentials,
    users,
    sealing,
    revocation,
  });
  const codes = createAuthorizationCodes({ store, clock, onReplay: async () => undefined });
  const flows = createLoginFlows({
    ...factors,
    store,
    clock,
    credentials,
    sessions,
    codes,
    clients,
    clientPages: noClientPages,
    pushed: createPushedRequests({ store, clock }),
    throttle,
    devices: createDeviceTokens({ sealing, clock }),
    revocation,
    groups,
    approvals: createApprovals({ store, clock, revocation, credentials, groups, events }),
    users,
    assurance: {
      ...factors.assurance,
      demandOn: (userId) => factors.assurance.demandOn(userId).finally(options.beforeCommit),
    },
    events,
    registry: createProviderRegistry([options.wrapProvider?.(provider) ?? provider]),
    onboardingRequired: async () => options.onboardingRequired ?? false,
    rotates: () => true,
    sealing,
    limits: options.limits,
  });
  return {
    store,
    clock,
    revocation,
    sessions,
    credentials,
    users,
    passwords,
    logins,
    provider,
    codes,
    flows,
    close: () => passwords.close(),
  };
}

/** A user with a login; the names of system groups. */
export async function addPerson(
  { logins }: LoginDomain,
  { username, password }: { readonly username: string; readonly password: string } = ada,
): Promise<User> {
  return await logins.createUser({ name: "Ada", username, password, groupIds: ["system-users"] });
}

export function startRequest(changes: Partial<StartLogin> = {}): StartLogin {
  return {
    handler: ["homeassistant", null],
    purpose: "session",
    clientId: client,
    clientName: null,
    redirectUri: null,
    codeChallenge: null,
    ...changes,
  };
}

export const forCode: Partial<StartLogin> = { purpose: "code", redirectUri: redirect };

/** A holder that ignores all calls. */
export function holder(): FlowHolder {
  return { flowContinued: () => undefined };
}

export function claimOf({ step, flowSecret }: FlowAnswer) {
  return { flowId: step.flow_id, flowSecret };
}

/** Starts a flow and sends one form. */
export async function tryLogin(
  flows: LoginFlows,
  input: Readonly<Record<string, unknown>>,
  request: Partial<StartLogin> = {},
): Promise<FlowStep> {
  const started = await flows.start(startRequest(request), peer);
  return (await flows.advance({ ...claimOf(started), input }, peer)).step;
}

export function entryOf(step: FlowStep): CreateEntryStep {
  expect(step.type).toBe("create_entry");
  if (step.type !== "create_entry") throw new Error(`a step of type ${step.type}`);
  return step;
}

export function grantOf(step: FlowStep): SessionGrant {
  const { result } = entryOf(step);
  if (typeof result === "string") throw new Error("a code, no session");
  return result;
}

/** The code of the AuthError that `work` rejects with. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error === undefined) return "no error";
  return error instanceof AuthError ? error.code : `no AuthError: ${String(error)}`;
}

/** A step without its flow's id. */
export function withoutId(step: FlowStep): string {
  return JSON.stringify({ ...step, flow_id: "" });
}

export async function principalOf(domain: LoginDomain, userId: string): Promise<Principal> {
  const grant = grantOf(await tryLogin(domain.flows, ada));
  const { epoch } = (await domain.users.read(userId)) ?? { epoch: 0 };
  const now = domain.clock.now();
  return {
    userId,
    sessionId: grant.session_id,
    epoch,
    keyId: "key",
    sessionType: "normal",
    clientId: client,
    assurance: 1,
    amr: ["pwd"],
    authenticatedAt: now,
    tokenIssuedAt: now,
    tokenExpiresAt: now + halfAnHour,
    sessionExpiresAt: null,
    localOnly: false,
    judgedBy: null,
    scope: null,
    policy: null,
    isForOtherAudience: false,
  };
}
