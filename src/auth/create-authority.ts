import { createAuthentication } from "./authentication.ts";
import type { Authority } from "./authority.ts";
import type { Clock } from "./clock.ts";
import { dropKeys } from "./key-dropping.ts";
import { createKeyringUpkeep } from "./keyring-upkeep.ts";
import { createLoginFlows, type LoginFlowLimits } from "./login/create-login-flows.ts";
import { createLoopSlices, type LoopSlices } from "./loop-slices.ts";
import { createPasswords, type PasswordsOptions } from "./passwords/create-passwords.ts";
import type { Weakened } from "./protections.ts";
import { createLocalLogins } from "./providers/create-local-logins.ts";
import { createHomeAssistantProvider } from "./providers/homeassistant.ts";
import { createLoginLessening } from "./providers/login-lessening.ts";
import type { LoginProvider } from "./providers/provider.ts";
import { createProviderRegistry } from "./providers/registry.ts";
import { recordKeys } from "./record-keys.ts";
import { createRevocation, type RevocationOptions } from "./revocation/create-revocation.ts";
import { createSessions, defaultAccessTokenTtlMs, defaultSessionIdleMs } from "./sessions/create-sessions.ts";
import type { SessionCaps } from "./sessions/session-caps.ts";
import { readRecord, type Store } from "./store.ts";
import { createCounters } from "./throttling/counters.ts";
import { createLoginThrottle, type LoginBudgets } from "./throttling/login-throttle.ts";
import { createAccessTokens } from "./tokens/access-tokens.ts";
import { createAuthorizationCodes } from "./tokens/authorization-codes.ts";
import { createKeyring } from "./tokens/keyring.ts";
import { createRefreshTokens } from "./tokens/refresh-tokens.ts";
import { createSealing } from "./tokens/sealing.ts";
import { createSignedPaths } from "./tokens/signed-paths.ts";
import { createCredentials } from "./users/create-credentials.ts";
import { createOnboarding } from "./users/create-onboarding.ts";
import { createUsers } from "./users/create-users.ts";
import { createGroups } from "./users/groups.ts";
import { createUserLessening } from "./users/user-lessening.ts";

export interface AuthorityOptions {
  readonly store: Store;
  /** The installation's secret, at least 32 bytes: the same on every node. */
  readonly secret: Uint8Array;
  readonly clock: Clock;
  /** See `RevocationOptions`. */
  readonly machineClock?: Clock;
  /** `iss` and `aud` of access tokens; asked at every token, so that an address may be learnt late. */
  readonly issuer: () => string;
  readonly audience: () => string;
  /** The ways to log in, in order; by default the local one alone, which is handed in. */
  readonly providers?: (local: LoginProvider) => readonly LoginProvider[];
  /** Life of an access token, ms; 30 minutes by default. */
  readonly accessTokenTtlMs?: number;
  /** Life of a session without use, ms; 90 days by default. */
  readonly sessionIdleMs?: number;
  /** How many sessions and long-lived tokens a user may have; as many as they like by default. */
  readonly sessionCaps?: Partial<SessionCaps>;
  /** Life of an authorization code, ms; 10 minutes by default. */
  readonly codeTtlMs?: number;
  readonly passwords?: PasswordsOptions;
  readonly loginLimits?: Partial<LoginFlowLimits>;
  /** Guesses at login secrets; `defaultLoginBudgets` where nothing is said. */
  readonly loginBudgets?: Partial<LoginBudgets>;
  /** Whether a session that is opened on a socket rotates its refresh token; by default it does (D5). */
  readonly rotatingClients?: (clientId: string | null, via: "socket" | "http") => boolean;
  /** Told of a listener of cuts that threw. */
  readonly onFault?: (error: unknown) => void;
  /** This node's part in keeping revocations in effect. */
  readonly revocation?: Pick<RevocationOptions, "policy" | "isolationMs" | "observer" | "counting">;
  /** For tests that show what a protection is there for; nothing is switched off by default. */
  readonly weakened?: Weakened;
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
  const upkeep = createKeyringUpkeep(keyring);
  const slices = createLoopSlices();
  const credentials = createCredentials(store);
  const revocation = createRevocation({
    ...{ store, clock, sealing, longestTokenMs },
    async restoreKeyring() {
      // Rejects while the store is away. A record that is damaged or gone keeps no node from going on with the keys it has.
      await readRecord(store, recordKeys.keyring);
      await keyring.reload().catch(upkeep.changed);
    },
    onKeyringChanged(dropped) {
      keyring.drop(dropped);
      upkeep.changed();
    },
    lessenings: {
      ofUser: createUserLessening({ store, credentials }),
      ofLogin: createLoginLessening({ store, clock, credentials, slices }),
    },
    ...(options.onFault === undefined ? {} : { onListenerFault: options.onFault }),
    ...(options.machineClock === undefined ? {} : { machineClock: options.machineClock }),
    ...options.revocation,
    ...(options.weakened === undefined ? {} : { weakened: options.weakened }),
  });
  const accessTokens = createAccessTokens({ keyring, clock, issuer, audience });
  const refreshTokens = createRefreshTokens(sealing);
  const sessions = createSessions({
    ...{ store, clock, revocation, accessTokens, refreshTokens, slices, caps: options.sessionCaps ?? {} },
    ...{ accessTokenTtlMs: longestTokenMs, sessionIdleMs: options.sessionIdleMs ?? defaultSessionIdleMs },
    ...(options.weakened === undefined ? {} : { weakened: options.weakened }),
  });
  const codes = createAuthorizationCodes({
    ...{ store, clock, ...(options.codeTtlMs === undefined ? {} : { ttlMs: options.codeTtlMs }) },
    onReplay: async ({ userId, sessionId }) => {
      await revocation.revoke({ kind: "sessions", userId, sessionIds: [sessionId] }, "token_reused");
    },
  });
  const base = { store, clock, sealing, revocation, sessions, codes, credentials, slices };
  const { passwords, ...people } = composePeople(options, base);

  return {
    ...{ sessions, codes, keyring, revocation, ...people },
    dropKeys: () => dropKeys(keyring, revocation),
    authentication: createAuthentication({ accessTokens, keyring, store, clock, revocation }),
    signedPaths: createSignedPaths({ sealing, clock }),
    load: {
      get passwordsWaiting() {
        return passwords.load().waiting;
      },
    },
    async close() {
      upkeep.stop();
      await passwords.close();
    },
  };
}

type Base = Pick<Authority, "sessions" | "codes"> & {
  readonly store: Store;
  readonly clock: Clock;
  readonly sealing: ReturnType<typeof createSealing>;
  readonly revocation: ReturnType<typeof createRevocation>;
  readonly credentials: ReturnType<typeof createCredentials>;
  readonly slices: LoopSlices;
};

/** Users, and the ways in which a person becomes one or proves to be one. */
function composePeople(options: AuthorityOptions, base: Base) {
  const { store, clock, credentials } = base;
  const rotates = (clientId: string | null) => options.rotatingClients?.(clientId, "socket") ?? true;
  const groups = createGroups();
  const users = createUsers({ ...base, groups });
  const passwords = createPasswords(options.passwords);
  const localLogins = createLocalLogins({ ...base, passwords, users, groups });
  const onboarding = createOnboarding({ ...base, localLogins, rotates });
  const throttle = createLoginThrottle({
    ...{ counters: createCounters(store), clock },
    ...(options.loginBudgets === undefined ? {} : { budgets: options.loginBudgets }),
  });
  const local = createHomeAssistantProvider({ store, passwords, credentials, users, clock });
  const logins = createLoginFlows({
    ...{ ...base, users, rotates, throttle },
    registry: createProviderRegistry(options.providers?.(local) ?? [local]),
    onboardingRequired: onboarding.required,
    ...(options.loginLimits === undefined ? {} : { limits: options.loginLimits }),
  });
  return { passwords, users, groups, credentials, localLogins, onboarding, logins };
}
