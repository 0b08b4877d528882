import { uptime } from "node:os";
import path from "node:path";

import type { Authority } from "../auth/authority.ts";
import { type AuthorityOptions, createAuthority } from "../auth/authority.ts";
import type { Clock } from "../auth/clock/clock.ts";
import { startClockSync } from "../auth/clock/clock-sync.ts";
import { type ClockObserver, QuorumClock } from "../auth/clock/quorum-clock.ts";
import { AuthError } from "../auth/errors.ts";
import type { EventBus } from "../auth/event-bus.ts";
import type { FactorTools } from "../auth/factors/factor-type.ts";
import { createFactors } from "../auth/factors/factor-types.ts";
import type { LoginProvider } from "../auth/providers/provider.ts";
import { retentionMs } from "../auth/revocation/view.ts";
import type { DisabledSafeguards } from "../auth/safeguards.ts";
import { commitsInTurns } from "../auth/scheduling/commits-in-turns.ts";
import type { Store } from "../auth/store.ts";
import { defaultLoginBudgets } from "../auth/throttling/login-throttle.ts";
import { wrongSecretDetail } from "../auth/tokens/sealing.ts";
import type { Log } from "../observability/log.ts";
import { measuredStore, type StoreCallObserver } from "../observability/measured-store.ts";
import { storeFileName } from "../store/embedded/files.ts";
import { openStore } from "../store/open.ts";
import { openEventBus } from "../store/open-event-bus.ts";
import type { Config } from "./config/schema.ts";
import { configuredClients } from "./configured-clients.ts";
import {
  configuredProviders,
  loadConfiguredModules,
  noModules,
  type ProvidersOf,
} from "./configured-providers.ts";
import {
  isInstalled,
  refuseOtherThanFile,
  requireKeys,
  requireStoreFile,
  warnOfNewInstallation,
} from "./installation.ts";
import { issuerForCommands, storedIssuer } from "./issuer.ts";
import { publicUrlOf } from "./public-url.ts";
import {
  exposedSecretFile,
  installationSecret,
  isNamedSecret,
  requireDataFile,
  wrongSecretError,
} from "./secret.ts";
import { retryAtStartup } from "./startup-retry.ts";

export interface OpenAuthorityOptions {
  /** One gateway may hold an embedded store. Commands open it beside the gateway. */
  readonly role: "gateway" | "cli";
  /** Whether missing store, secret and keys are created. Default: for a gateway only. */
  readonly creates?: boolean;
  readonly clock?: Clock | undefined;
  /** Gets warnings about a store that answers late, and about an event bus that receives nothing. */
  readonly log?: Pick<Log, "warn">;
  /** The port that clients use. Default: the configured one. */
  readonly port?: () => number;
  /** Called if clocks disagree. */
  readonly onClock?: ClockObserver;
  readonly onStoreCall?: StoreCallObserver;
  /** Called if a revocation listener threw. */
  readonly onFault?: ((error: unknown) => void) | undefined;
  readonly revocation?: NonNullable<AuthorityOptions["revocation"]> | undefined;
  /** Returns the login providers to use, given the configured ones: a program may add its own. */
  readonly providers?: ProvidersOf | undefined;
  /** For tests that show what a safeguard prevents. */
  readonly disabledSafeguards?: DisabledSafeguards | undefined;
}

export interface OpenAuthority {
  readonly authority: Authority;
  /** The ways to log in, in their order. */
  readonly providers: readonly LoginProvider[];
  readonly store: Store;
  readonly events: EventBus;
  /** The time on which machine and store agree. */
  readonly clock: QuorumClock;
  /** The `iss` of access tokens, and how clients reach the gateway. For commands `issuer` throws `IssuerError`. */
  readonly issuer: () => string;
  readonly publicUrl: () => string;
  close(): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  // CLOCK_BOOTTIME, or this system's equivalent.
  uptime: () => uptime() * 1000,
};

const clockCheckIntervalMs = 1_000;
const expiryIntervalMs = 10 * 60_000;

/**
 * Opens the domain on its store, as configured, for the gateway and for commands. Without a revocation feed it
 * authenticates nobody. Rejects with an error that an operator can read: there is no installation
 * (`InstallationError`), the secret cannot be read, the store cannot be used or another process holds it, or the stored
 * data was sealed with another secret.
 */
export async function openAuthority(config: Config, options: OpenAuthorityOptions): Promise<OpenAuthority> {
  const { role, creates = role === "gateway", port = () => config.port } = options;
  const { clock: machineClock = systemClock } = options;
  const clock = new QuorumClock(machineClock, options.onClock);
  const publicUrl = () => publicUrlOf(config, port());
  const modules = role === "cli" ? noModules : await loadConfiguredModules(config);
  const clients = await configuredClients(config, { readsFiles: role === "gateway" });
  await (creates ? requireRoomForStore(config) : requireStoreFile(config));
  const secret = Buffer.from(await installationSecret(config, { creates }));
  const readable = await exposedSecretFile(config);
  if (readable !== undefined)
    options.log?.warn(readable, "other users can read the installation's secret: chmod it to 600");
  const opened = await openStore({
    folder: config.data,
    role,
    timeoutMs: config.store_timeout_ms,
    // A command trims nothing: its configuration may differ from the gateways'.
    ...(role === "cli" ? {} : { logKeptMs: retentionMs(config.tokens.access_ttl_seconds * 1000) }),
    ...(config.store === null ? { clock } : { url: config.store }),
  });
  const measured = options.onStoreCall === undefined ? opened : measuredStore(opened, options.onStoreCall);
  const store = commitsInTurns(measured);
  const events = await openEventBus({ url: config.store ?? undefined, ...eventBusLog(options.log) });
  const timers: NodeJS.Timeout[] = [];
  try {
    if (!creates) await requireKeys(store);
    const upkeep = await retryAtStartup("ask for the time", options.log, () => startClockSync(store, clock));
    if (role === "gateway") timers.push(setInterval(() => void upkeep.check(), clockCheckIntervalMs).unref());
    const issuer = await issuerOf(config, role, store, publicUrl);
    const ways = configuredProviders(config, modules, options.providers);
    const authorityOptions = {
      store,
      secret,
      clock,
      events,
      machineClock,
      issuer,
      publicUrl,
      audience: () => config.tokens.audience,
      ...domainOptions(config),
      providers: ways.create,
      clients,
      onFault: options.onFault,
      revocation: options.revocation,
      disabledSafeguards: options.disabledSafeguards,
    };
    let isNew: boolean | undefined;
    const authority = await retryAtStartup("read the keys of the installation", options.log, async () => {
      isNew ??= !(await isInstalled(store));
      return await createAuthority(authorityOptions);
    });
    if (isNew === true && isNamedSecret(config)) warnOfNewInstallation(config, options.log);
    if (role === "gateway") timers.push(removeExpiredRegularly(authority, options.log));
    const close = async () => {
      timers.forEach(clearInterval);
      await authority.close();
      await events.close();
      if (role === "gateway") await upkeep.stop();
      await store.close();
    };
    return { authority, providers: ways.all, store, events, clock, issuer, publicUrl, close };
  } catch (error) {
    timers.forEach(clearInterval);
    await events.close();
    await store.close();
    const isForeign = error instanceof AuthError && error.detail?.endsWith(wrongSecretDetail);
    throw isForeign ? wrongSecretError(config, error) : error;
  }
}

async function requireRoomForStore(config: Config): Promise<void> {
  if (config.store === null) refuseOtherThanFile(path.resolve(config.data, storeFileName));
  await requireDataFile(config);
}

async function issuerOf(
  config: Config,
  role: OpenAuthorityOptions["role"],
  store: Store,
  publicUrl: () => string,
): Promise<() => string> {
  if (role === "gateway") return () => config.tokens.issuer ?? publicUrl();
  const remembered = await storedIssuer(store);
  return () => issuerForCommands(config, remembered);
}

/** Users who have waited too long for approval are also removed if nobody logs in and nobody looks. */
function removeExpiredRegularly({ approvals }: Authority, log: OpenAuthorityOptions["log"]): NodeJS.Timeout {
  const remove = () =>
    approvals.removeExpired().catch((error: unknown) => {
      log?.warn({ err: error }, "users who waited too long for approval were not removed; trying again");
    });
  return setInterval(() => void remove(), expiryIntervalMs).unref();
}

function eventBusLog(log: OpenAuthorityOptions["log"]) {
  return {
    onFault: (error: unknown) => log?.warn({ err: error }, "an event for other nodes was lost"),
    onReceiving: (receives: boolean, error?: Error) => {
      if (!receives) log?.warn({ err: error }, "events of other nodes are not received; trying again");
    },
  };
}

function domainOptions({ approvals, tokens, password, limits, ...config }: Config) {
  return {
    factors: (tools: FactorTools) => createFactors(config.auth_mfa_modules, tools),
    readsClientPages: config.read_client_pages,
    approvals: {
      approvers: approvals.by,
      limits: {
        total: approvals.total,
        perProvider: approvals.per_provider,
        perAddress: approvals.per_address,
        waitMs: approvals.wait_days * 86_400_000,
      },
    },
    sessionCaps: {
      sessions: limits.sessions_per_user,
      longLivedTokens: limits.long_lived_tokens_per_user,
    },
    accessTokenTtlMs: tokens.access_ttl_seconds * 1000,
    recentLoginMs: tokens.recent_login_minutes * 60_000,
    stepUp: config.step_up,
    sessionIdleMs: tokens.session_idle_days * 86_400_000,
    loginBudgets: {
      pair: { ...defaultLoginBudgets.pair, attempts: password.tries_per_account_and_address },
      device: { ...defaultLoginBudgets.device, attempts: password.tries_per_account_and_address },
      account: { ...defaultLoginBudgets.account, attempts: password.tries_per_account },
      address: { ...defaultLoginBudgets.address, attempts: password.tries_per_address },
    },
    passwords: {
      parameters: { N: password.scrypt_n, r: password.scrypt_r, p: password.scrypt_p },
      minLength: password.min_length,
      workers: password.workers,
      queueLimit: password.queue,
      queueLimitPerKey: password.queue_per_address,
    },
  } satisfies Partial<AuthorityOptions>;
}
