import { addressShare } from "../../net/address-share.ts";
import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import type { Peer } from "../model.ts";
import { providerKey } from "../record-keys.ts";
import type { JsonObject, Store } from "../store.ts";
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
  /** How long an address stays known to an account after a login, at least. */
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

/** A guess that may be judged. */
export interface Guess {
  readonly account: GuessedAccount;
  readonly deviceId: string | undefined;
  /** Whether the account logged in on this device, or from this address recently. */
  readonly known: boolean;
  /**
   * Call it with the verdict, and before anybody learns that. If the secret was right, what was charged is refunded, and
   * the address is known to the account from now on. A guess that was charged before it was judged is never refused here.
   * One that is charged with its verdict is: throws what `charge` does.
   */
  judged(isRight: boolean): Promise<void>;
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
  /**
   * As `charge`, for a guess that costs next to nothing to judge. Now it is refused if none is left, and it is charged with
   * its verdict. So a right one at an account that nobody guesses at commits nothing. Guesses are counted in the order of
   * their verdicts, so of many at once, no more are told theirs than the budgets have left. If a verdict could not be
   * counted, this node charges all guesses first for a while: that what follows takes longer could tell a right one.
   */
  chargeWithVerdict(account: GuessedAccount, peer: Peer, deviceId?: string): Promise<Guess>;
}

interface Tools {
  readonly store: Pick<Store, "get">;
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
  const tools = { store, counters: createCounters(store), clock, budgets, onListed };
  // Commits of their own: guesses of strangers, which conflict with those at other nodes, do not delay known devices.
  const deviceTools = { ...tools, counters: createCounters(store) };
  const countersOf = (
    { provider: [type, id], name }: GuessedAccount,
    { address }: Peer,
    deviceId?: string,
  ) => {
    const at = { provider: providerKey(type, id), name };
    const share = addressShare(address);
    const pair = counterOf.pair(at, share);
    return deviceId === undefined
      ? sharedCounters(tools, { pair, account: counterOf.account(at), address: counterOf.address(share) })
      : deviceCounters(deviceTools, { device: counterOf.device(at, deviceId), pair });
  };
  let chargesFirstUntil = Number.NEGATIVE_INFINITY;
  return {
    async charge(account, peer, deviceId) {
      const { charge, succeed, refund } = countersOf(account, peer, deviceId);
      const known = await charge().catch(rateLimitOnConflict);
      // A failed refund only delays later guesses.
      const judged = async (isRight: boolean) => {
        if (isRight) await succeed(known).catch(() => undefined);
      };
      return { account, deviceId, known, judged, refund: () => refund(known) };
    },
    async chargeWithVerdict(account, peer, deviceId) {
      if (clock.monotonic() < chargesFirstUntil) return await this.charge(account, peer, deviceId);
      const { look, charge, pass } = countersOf(account, peer, deviceId);
      const known = await look();
      const judged = async (isRight: boolean) => {
        await untilCounted(isRight ? pass : charge).catch((error: unknown) => {
          if (!isRateLimit(error)) chargesFirstUntil = clock.monotonic() + chargesFirstMs;
          return rateLimitOnConflict(error);
        });
      };
      return { account, deviceId, known, judged, refund: async () => undefined };
    },
  };
}

/** How long guesses are charged before they are judged, after a verdict that could not be counted. */
const chargesFirstMs = 60_000;

/** Each of them is eight conflicts, and each conflict is somebody else's commit. */
const maxTries = 16;

/**
 * A wrong guess must not go uncounted because others guess at the same account at other nodes: they may be the same
 * attacker. A right one writes less and meets fewer conflicts, so giving up would tell which it was.
 */
async function untilCounted(count: () => Promise<unknown>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await count();
      return;
    } catch (error) {
      if (tries === maxTries || !isConflict(error)) throw error;
    }
  }
}

const isConflict = (error: unknown) => error instanceof AuthError && error.code === "conflict";
const isRateLimit = (error: unknown) => error instanceof AuthError && error.code === "rate_limited";

/** What a guess does to its counters. All of it throws the store's errors, and `conflict` after many conflicts. */
interface GuessCounters {
  /** Charges the guess. Resolves with whether the account is known here. Throws `rate_limited`. */
  charge(): Promise<boolean>;
  /** As `charge`, but only looks, and may look too early. */
  look(): Promise<boolean>;
  /** After `charge`: the guess was right. */
  succeed(known: boolean): Promise<void>;
  /** Without `charge`: the guess was right. Throws `rate_limited` if it came after the last one that is left. */
  pass(): Promise<void>;
  /** After `charge`: the guess was not carried out. */
  refund(known: boolean): Promise<void>;
}

function deviceCounters(
  { store, counters, clock, budgets, onListed }: Tools,
  { device, pair }: { readonly device: Counter; readonly pair: Counter },
): GuessCounters {
  const budget = budgets.device;
  const remember = () =>
    counters.change([pair.key], (draft) => rememberAddress(draft, pair, budgets, clock.now()));
  return {
    async charge() {
      const listed = await counters.change([device.key], (draft) => {
        const now = clock.now();
        const { fullAt } = requireOne(budget, draft.get(device.key), now);
        return writeCounter(draft, device, { budget, fullAt, now });
      });
      if (listed) onListed();
      return true;
    },
    async look() {
      const [record] = await store.get([device.key]);
      requireOne(budget, record?.value, clock.now());
      return true;
    },
    async succeed() {
      await counters.change([device.key], (draft) => clearCounter(draft, device, clock.now()));
      await remember();
    },
    async pass() {
      await counters.change([device.key], (draft) => {
        const record = draft.get(device.key);
        requireOne(budget, record, clock.now());
        if (record !== undefined) clearCounter(draft, device, clock.now());
      });
      // The guess was let through. That the address is not remembered only delays later ones.
      await remember().catch(() => undefined);
    },
    refund: () =>
      counters.change([device.key], (draft) => giveBack(draft, device, { budget, now: clock.now() })),
  };
}

function sharedCounters(
  { store, counters, clock, budgets, onListed }: Tools,
  shared: SharedCounters,
): GuessCounters {
  const { pair, account, address } = shared;
  const keys = [pair.key, account.key, address.key];
  const change = <Result>(work: (draft: Draft) => Result) => counters.change(keys, work);
  const refundOthers = (draft: Draft, known: boolean, now: number) => {
    if (known) return;
    giveBack(draft, account, { budget: budgets.account, now });
    giveBack(draft, address, { budget: budgets.address, now });
  };
  return {
    async charge() {
      const { known, listed } = await change((draft) => chargeAll(draft, shared, budgets, clock.now()));
      if (listed) onListed();
      return known;
    },
    async look() {
      const records = await store.get(keys);
      const values = new Map(keys.map((key, place) => [key, records[place]?.value]));
      return spendAll(values, shared, budgets, clock.now()).known;
    },
    succeed: (known) =>
      change((draft) => {
        const now = clock.now();
        refundOthers(draft, known, now);
        rememberAddress(draft, pair, budgets, now);
      }),
    pass: () =>
      change((draft) => {
        const now = clock.now();
        spendAll(draft, shared, budgets, now);
        rememberAddress(draft, pair, budgets, now);
      }),
    refund: (known) =>
      change((draft) => {
        const now = clock.now();
        refundOthers(draft, known, now);
        giveBack(draft, pair, { budget: budgets.pair, now });
      }),
  };
}

type Readable = Pick<Draft, "get">;

/** Throws `rate_limited` if no attempt is left. */
function requireOne(budget: Budget, record: JsonObject | undefined, now: number) {
  const spending = spend(budget, fullAtOf(record), now);
  if (!spending.ok) throw rateLimited(spending.retryAfterMs);
  return spending;
}

/** `known`: the address is known to the account. If it is, only the counter of the pair counts. Throws `rate_limited`. */
function spendAll(records: Readable, shared: SharedCounters, budgets: LoginBudgets, now: number) {
  const until = knownUntilOf(records.get(shared.pair.key), now);
  // A time that is too far ahead comes from another clock.
  const known = until !== undefined && until <= now + rememberedMs(budgets);
  const counted = known ? (["pair"] as const) : (["pair", "account", "address"] as const);
  const spendings = counted.map((which) => {
    const { key } = shared[which];
    return { which, spending: spend(budgets[which], fullAtOf(records.get(key)), now) };
  });
  const waits = spendings.map(({ spending }) => (spending.ok ? 0 : spending.retryAfterMs));
  const longest = Math.max(...waits);
  if (longest > 0) throw rateLimited(longest);
  return { known, spendings };
}

function chargeAll(
  draft: Draft,
  shared: SharedCounters,
  budgets: LoginBudgets,
  now: number,
): { readonly known: boolean; readonly listed: boolean } {
  const { known, spendings } = spendAll(draft, shared, budgets, now);
  const listed = spendings.map(
    ({ which, spending }) =>
      spending.ok &&
      writeCounter(draft, shared[which], { budget: budgets[which], fullAt: spending.fullAt, now }),
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

/** The budget of the pair is full again, and the address stays known. */
function rememberAddress(draft: Draft, pair: Counter, budgets: LoginBudgets, now: number): void {
  if (!isRemembered(draft.get(pair.key), budgets, now))
    clearCounter(draft, pair, now, now + rememberedMs(budgets));
}

/** Longer than an address must stay known, so most logins find that it is remembered for long enough, and write nothing. */
function rememberedMs({ knownMs }: LoginBudgets): number {
  return knownMs + knownMs / 30;
}

function isRemembered(record: JsonObject | undefined, budgets: LoginBudgets, now: number): boolean {
  const until = knownUntilOf(record, now) ?? 0;
  const isFull = (fullAtOf(record) ?? 0) <= now && record?.about === undefined;
  return isFull && until >= now + budgets.knownMs && until <= now + rememberedMs(budgets);
}
