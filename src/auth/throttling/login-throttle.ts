import { addressShare } from "../../net/address-share.ts";
import type { Clock } from "../clock/clock.ts";
import type { Peer } from "../model.ts";
import { providerKey, recordKeys } from "../record-keys.ts";
import type { JsonObject, RecordKey } from "../store.ts";
import { rateLimited, rateLimitOnConflict } from "./attempts.ts";
import { type Budget, refund, spend } from "./budget.ts";
import type { Counters, Draft } from "./counters.ts";

export interface LoginBudgets {
  /** Of an account, from one address (one IPv6 /64). */
  readonly pair: Budget;
  /** Of an account, from all addresses together that it has not logged in from lately. */
  readonly account: Budget;
  /** Of an address, for all accounts together that have not logged in from there lately. */
  readonly address: Budget;
  /** How long an address stays known to an account after a login. */
  readonly knownMs: number;
}

/** One address alone never uses an account's budget up: it gets tries back more slowly than the account does. */
export const defaultLoginBudgets: LoginBudgets = {
  pair: { attempts: 10, refillMs: 120_000 },
  account: { attempts: 20, refillMs: 30_000 },
  address: { attempts: 50, refillMs: 10_000 },
  knownMs: 30 * 86_400_000,
};

/** The account that a guess is at: a login name in its normal form, whether or not there is such a login. */
export interface GuessedAccount {
  readonly provider: readonly [type: string, id: string | null];
  readonly name: string;
}

/** A try that was charged. */
export interface Guess {
  /** The account logged in from this address lately. */
  readonly known: boolean;
  /** The secret was right: the charge is taken back, and the address is known to the account from now on. */
  succeeded(): Promise<void>;
  /** Nothing was tried: the charge is taken back. */
  refund(): Promise<void>;
}

/**
 * Bounds guesses at login secrets: per account and address, per account, and per address. The counters are in the store, so
 * that nodes, sockets and flows share them. An address that the account logged in from lately has a budget of its own with
 * that account, whatever strangers have used up. Unknown names are counted like known ones. The records hold hashes and end
 * by themselves once all tries are back. NOT bounded: what is guessed while a store that lost writes comes back.
 */
export interface LoginThrottle {
  /**
   * Charges a try before it is made. Throws `rate_limited` with the time until the next one, and the store's `unavailable`.
   */
  charge(account: GuessedAccount, peer: Peer): Promise<Guess>;
}

interface Keys {
  readonly pair: RecordKey;
  readonly account: RecordKey;
  readonly address: RecordKey;
}

export function createLoginThrottle(options: {
  readonly counters: Counters;
  readonly clock: Clock;
  readonly budgets?: Partial<LoginBudgets> | undefined;
}): LoginThrottle {
  const { counters, clock } = options;
  const budgets = { ...defaultLoginBudgets, ...options.budgets };
  const change = <Result>(keys: Keys, work: (draft: Draft) => Result) =>
    counters.change([keys.pair, keys.account, keys.address], work);
  return {
    async charge({ provider: [type, id], name }, peer) {
      const share = addressShare(peer.address);
      const provider = providerKey(type, id);
      const keys = {
        pair: recordKeys.throttledPair(provider, name, share),
        account: recordKeys.throttledAccount(provider, name),
        address: recordKeys.throttledAddress(share),
      };
      const known = await change(keys, (draft) => chargeAll(draft, keys, budgets, clock.now())).catch(
        rateLimitOnConflict,
      );
      return {
        known,
        succeeded: () =>
          change(keys, (draft) => {
            const now = clock.now();
            if (!known) refundShared(draft, keys, budgets, now);
            const knownUntil = now + budgets.knownMs;
            draft.put(keys.pair, { known_until: knownUntil }, knownUntil);
          }),
        refund: () =>
          change(keys, (draft) => {
            const now = clock.now();
            if (!known) refundShared(draft, keys, budgets, now);
            write(draft, keys.pair, refund(budgets.pair, parseFullAt(draft.get(keys.pair))), now);
          }),
      };
    },
  };
}

/** Whether the address is known to the account; then only the two's own counter counts. */
function chargeAll(draft: Draft, keys: Keys, budgets: LoginBudgets, now: number): boolean {
  const knownUntil = draft.get(keys.pair)?.known_until;
  const known = typeof knownUntil === "number" && knownUntil > now && knownUntil <= now + budgets.knownMs;
  const counted = known ? (["pair"] as const) : (["pair", "account", "address"] as const);
  const spendings = counted.map((which) => ({
    key: keys[which],
    spending: spend(budgets[which], parseFullAt(draft.get(keys[which])), now),
  }));
  const waits = spendings.map(({ spending }) => (spending.ok ? 0 : spending.retryAfterMs));
  const longest = Math.max(...waits);
  if (longest > 0) throw rateLimited(longest);
  for (const { key, spending } of spendings) if (spending.ok) write(draft, key, spending.fullAt, now);
  return known;
}

function refundShared(draft: Draft, keys: Keys, budgets: LoginBudgets, now: number): void {
  for (const which of ["account", "address"] as const)
    write(draft, keys[which], refund(budgets[which], parseFullAt(draft.get(keys[which]))), now);
}

/** What a record says beside its counter stays; one that says nothing any more goes. */
function write(draft: Draft, key: RecordKey, fullAt: number, now: number): void {
  const { known_until: knownUntil } = draft.get(key) ?? {};
  const known = typeof knownUntil === "number" && knownUntil > now ? knownUntil : undefined;
  const end = Math.max(fullAt, known ?? 0);
  if (end <= now) draft.remove(key);
  else draft.put(key, { full_at: fullAt, known_until: known }, end);
}

function parseFullAt(value: JsonObject | undefined): number | undefined {
  return typeof value?.full_at === "number" ? value.full_at : undefined;
}
