import { addressShare } from "../../net/address-share.ts";
import type { Clock } from "../clock/clock.ts";
import type { Peer } from "../model.ts";
import { providerKey } from "../record-keys.ts";
import type { Store } from "../store.ts";
import { rateLimited, rateLimitOnConflict } from "./attempts.ts";
import { type Budget, refund, spend } from "./budget.ts";
import {
  type Counter,
  clearCounter,
  counterOf,
  fullAtOf,
  knownUntilOf,
  writeCounter,
} from "./counter-record.ts";
import { createCounters, type Draft } from "./counters.ts";

export interface LoginBudgets {
  /** For an account from one address (one IPv6 /64). */
  readonly pair: Budget;
  /** For an account from all addresses together that it has not logged in from recently. */
  readonly account: Budget;
  /** For an address and all accounts together that have not logged in from it recently. */
  readonly address: Budget;
  /** For an account on one device that it has logged in on. */
  readonly device: Budget;
  /** For wrong codes of a person's second factors, who has proved the first one. */
  readonly secondFactor: Budget;
  /** How long an address stays known to an account after a login. */
  readonly knownMs: number;
}

/** One address alone cannot exhaust an account's budget: its pair refills more slowly than the account. */
export const defaultLoginBudgets: LoginBudgets = {
  pair: { attempts: 10, refillMs: 120_000 },
  account: { attempts: 20, refillMs: 30_000 },
  address: { attempts: 50, refillMs: 10_000 },
  device: { attempts: 10, refillMs: 120_000 },
  secondFactor: { attempts: 10, refillMs: 300_000 },
  knownMs: 30 * 86_400_000,
};

/** The account that a guess is for: a login name in its normal form, whether or not such a login exists. */
export interface GuessedAccount {
  readonly provider: readonly [type: string, id: string | null];
  readonly name: string;
}

/** A guess that was charged. */
export interface Guess {
  readonly account: GuessedAccount;
  readonly deviceId: string | undefined;
  /** Whether the account logged in on this device, or from this address recently. */
  readonly known: boolean;
  /** The secret was right: the charge is refunded, and the address is known to the account from now on. */
  succeeded(): Promise<void>;
  /** The guess was not carried out: the charge is refunded. */
  refund(): Promise<void>;
}

/**
 * Limits guesses at login secrets for each account and address together, for each account, and for each address. The
 * counters are in the store, so all nodes, sockets and flows share them. A device that the account logged in on has
 * its own budget with that account, which nobody else can exhaust. An address that the account logged in from recently
 * has one too, for clients that keep no device token; strangers behind the same address share it. Unknown names are
 * counted like existing ones. The records hold hashes, and addresses once a budget is exhausted. They expire when their
 * budget is full again. NOT limited: a store that lost writes has lost their charges too.
 */
export interface LoginThrottle {
  /**
   * Charges a guess before it is carried out. `deviceId`: of a device that the account logged in on. Throws
   * `rate_limited` with the time until the next one, and the store's `unavailable`.
   */
  charge(account: GuessedAccount, peer: Peer, deviceId?: string): Promise<Guess>;
}

type Charge = Omit<Guess, "account" | "deviceId">;

interface Tools {
  readonly counters: ReturnType<typeof createCounters>;
  readonly clock: Clock;
  readonly budgets: LoginBudgets;
  /** Called when a counter was listed. */
  readonly onListed: () => void;
}

/** The three counters of a guess from a device that the account has not logged in on. */
interface SharedCounters {
  readonly pair: Counter;
  readonly account: Counter;
  readonly address: Counter;
}

export function createLoginThrottle(options: {
  readonly store: Store;
  readonly clock: Clock;
  readonly budgets?: Partial<LoginBudgets> | undefined;
  readonly onListed?: (() => void) | undefined;
}): LoginThrottle {
  const { store, clock, onListed = () => undefined } = options;
  const budgets = { ...defaultLoginBudgets, ...options.budgets };
  const tools = { counters: createCounters(store), clock, budgets, onListed };
  // Commits of their own: guesses of strangers, which conflict with those at other nodes, do not delay known devices.
  const deviceTools = { ...tools, counters: createCounters(store) };
  return {
    async charge(account, peer, deviceId) {
      const [type, id] = account.provider;
      const at = { provider: providerKey(type, id), name: account.name };
      const share = addressShare(peer.address);
      const pair = counterOf.pair(at, share);
      if (deviceId !== undefined) {
        const device = counterOf.device(at, deviceId);
        return { ...(await chargeDevice(deviceTools, { device, pair })), account, deviceId };
      }
      const shared = { pair, account: counterOf.account(at), address: counterOf.address(share) };
      return { ...(await chargeShared(tools, shared)), account, deviceId };
    },
  };
}

async function chargeDevice(
  { counters, clock, budgets, onListed }: Tools,
  { device, pair }: { readonly device: Counter; readonly pair: Counter },
): Promise<Charge> {
  const budget = budgets.device;
  const listed = await counters
    .change([device.key], (draft) => {
      const now = clock.now();
      const spending = spend(budget, fullAtOf(draft.get(device.key)), now);
      if (!spending.ok) throw rateLimited(spending.retryAfterMs);
      return writeCounter(draft, device, { budget, fullAt: spending.fullAt, now });
    })
    .catch(rateLimitOnConflict);
  if (listed) onListed();
  return {
    known: true,
    async succeeded() {
      await counters.change([device.key], (draft) => clearCounter(draft, device, clock.now()));
      await counters.change([pair.key], (draft) => rememberAddress(draft, pair, budgets, clock.now()));
    },
    refund: () =>
      counters.change([device.key], (draft) => giveBack(draft, device, { budget, now: clock.now() })),
  };
}

async function chargeShared(
  { counters, clock, budgets, onListed }: Tools,
  shared: SharedCounters,
): Promise<Charge> {
  const { pair } = shared;
  const change = <Result>(work: (draft: Draft) => Result) =>
    counters.change([pair.key, shared.account.key, shared.address.key], work);
  const { known, listed } = await change((draft) => chargeAll(draft, shared, budgets, clock.now())).catch(
    rateLimitOnConflict,
  );
  if (listed) onListed();
  const refundOthers = (draft: Draft, now: number) => {
    if (known) return;
    giveBack(draft, shared.account, { budget: budgets.account, now });
    giveBack(draft, shared.address, { budget: budgets.address, now });
  };
  return {
    known,
    succeeded: () =>
      change((draft) => {
        const now = clock.now();
        refundOthers(draft, now);
        rememberAddress(draft, pair, budgets, now);
      }),
    refund: () =>
      change((draft) => {
        const now = clock.now();
        refundOthers(draft, now);
        giveBack(draft, pair, { budget: budgets.pair, now });
      }),
  };
}

/** `known`: the address is known to the account. If it is, only the counter of the pair is charged. */
function chargeAll(
  draft: Draft,
  shared: SharedCounters,
  budgets: LoginBudgets,
  now: number,
): { readonly known: boolean; readonly listed: boolean } {
  const until = knownUntilOf(draft.get(shared.pair.key), now);
  const known = until !== undefined && until <= now + budgets.knownMs;
  const counted = known ? (["pair"] as const) : (["pair", "account", "address"] as const);
  const spendings = counted.map((which) => ({
    counter: shared[which],
    budget: budgets[which],
    spending: spend(budgets[which], fullAtOf(draft.get(shared[which].key)), now),
  }));
  const waits = spendings.map(({ spending }) => (spending.ok ? 0 : spending.retryAfterMs));
  const longest = Math.max(...waits);
  if (longest > 0) throw rateLimited(longest);
  const listed = spendings.map(
    ({ counter, budget, spending }) =>
      spending.ok && writeCounter(draft, counter, { budget, fullAt: spending.fullAt, now }),
  );
  return { known, listed: listed.includes(true) };
}

function giveBack(
  draft: Draft,
  counter: Counter,
  { budget, now }: { readonly budget: Budget; readonly now: number },
): void {
  const fullAt = refund(budget, fullAtOf(draft.get(counter.key)));
  writeCounter(draft, counter, { budget, fullAt, now });
}

function rememberAddress(draft: Draft, pair: Counter, { knownMs }: LoginBudgets, now: number): void {
  clearCounter(draft, pair, now, now + knownMs);
}
