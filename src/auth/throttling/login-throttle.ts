import { addressShare } from "../../net/address-share.ts";
import type { Clock } from "../clock/clock.ts";
import type { Peer } from "../model.ts";
import { providerKey, recordKeys } from "../record-keys.ts";
import type { JsonObject, RecordKey } from "../store.ts";
import { rateLimited, rateLimitOnConflict } from "./attempts.ts";
import { type Budget, refund, spend } from "./budget.ts";
import type { Counters, Draft } from "./counters.ts";

export interface LoginBudgets {
  /** For an account from one address (one IPv6 /64). */
  readonly pair: Budget;
  /** For an account from all addresses together that it has not logged in from recently. */
  readonly account: Budget;
  /** For an address and all accounts together that have not logged in from it recently. */
  readonly address: Budget;
  /** How long an address stays known to an account after a login. */
  readonly knownMs: number;
}

/** One address alone cannot exhaust an account's budget: its pair refills more slowly than the account. */
export const defaultLoginBudgets: LoginBudgets = {
  pair: { attempts: 10, refillMs: 120_000 },
  account: { attempts: 20, refillMs: 30_000 },
  address: { attempts: 50, refillMs: 10_000 },
  knownMs: 30 * 86_400_000,
};

/** The account that a guess is for: a login name in its normal form, whether or not such a login exists. */
export interface GuessedAccount {
  readonly provider: readonly [type: string, id: string | null];
  readonly name: string;
}

/** A guess that was charged. */
export interface Guess {
  /** Whether the account logged in from this address recently. */
  readonly known: boolean;
  /** The secret was right: the charge is refunded, and the address is known to the account from now on. */
  succeeded(): Promise<void>;
  /** The guess was not carried out: the charge is refunded. */
  refund(): Promise<void>;
}

/**
 * Limits guesses at login secrets for each account and address together, for each account, and for each address. The
 * counters are in the store, so all nodes, sockets and flows share them. An address that the account logged in from
 * recently has its own budget with that account, which unknown addresses cannot exhaust. Unknown names are counted
 * like existing ones. The records hold hashes and expire when their budget is full again. NOT limited: a store that
 * lost writes has lost their charges too.
 */
export interface LoginThrottle {
  /**
   * Charges a guess before it is carried out. Throws `rate_limited` with the time until the next one, and the store's
   * `unavailable`.
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

/** Returns whether the address is known to the account. If it is, only the counter of the pair is charged. */
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

/** Keeps a record's other content. Removes a record that has no content any more. */
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
