import { hashed, indexKeys, recordKeys } from "../record-keys.ts";
import type { JsonObject, RecordKey } from "../store.ts";
import { attemptsLeft, type Budget } from "./budget.ts";
import type { Draft } from "./counters.ts";

export const throttleKinds = {
  a: "account",
  p: "account_and_address",
  d: "device",
  i: "address",
  o: "password_change",
  u: "user_code",
  m: "second_factor",
  s: "second_factor_message",
} as const;
export type ThrottleKind = (typeof throttleKinds)[keyof typeof throttleKinds];

/** A login name at a provider, by hashes: those of the keys of its credential. */
export interface AccountHash {
  readonly provider: string;
  readonly subject: string;
}

/** What a list says of a counter. Stored once the counter is exhausted. */
export interface CounterSubject {
  readonly account?: AccountHash;
  readonly address?: string;
}

/**
 * One counter of guesses. Its id names it in lists, and is its key in the store: a letter of `throttleKinds`, then
 * hashes.
 */
export interface Counter {
  readonly id: string;
  readonly key: RecordKey;
  readonly about: CounterSubject;
}

interface Account {
  readonly provider: string;
  readonly name: string;
}

const counter = (id: string, about: CounterSubject): Counter => ({ id, key: recordKeys.throttle(id), about });
const pairHash = (...parts: readonly string[]) => hashed(JSON.stringify(parts));
const accountHash = ({ provider, name }: Account) => ({ provider, subject: hashed(name) });

/** `share`: an address, or an IPv6 /64; see `addressShare`. */
export const counterOf = {
  account: (account: Account) =>
    counter(`a${account.provider}${hashed(account.name)}`, { account: accountHash(account) }),
  pair: (account: Account, share: string) =>
    counter(`p${account.provider}${pairHash(account.name, share)}`, {
      account: accountHash(account),
      address: share,
    }),
  device: (account: Account, deviceId: string) =>
    counter(`d${account.provider}${pairHash(account.name, deviceId)}`, { account: accountHash(account) }),
  address: (share: string) => counter(`i${hashed(share)}`, { address: share }),
  passwordChange: (userId: string) => counter(`o${userId}`, {}),
  userCode: (userId: string) => counter(`u${userId}`, {}),
  secondFactor: (userId: string) => counter(`m${userId}`, {}),
  factorMessage: (userId: string) => counter(`s${userId}`, {}),
};

/** When the bucket will be full again (ms); undefined if it is. */
export function fullAtOf(record: JsonObject | undefined): number | undefined {
  return typeof record?.full_at === "number" ? record.full_at : undefined;
}

/** Until when the address is known to the account (ms), if it is. */
export function knownUntilOf(record: JsonObject | undefined, now: number): number | undefined {
  const until = record?.known_until;
  return typeof until === "number" && until > now ? until : undefined;
}

/**
 * Writes the counter, and lists it once it is exhausted. Keeps how long the address is known. Removes a record that has
 * no content any more. Returns whether it was listed now.
 */
export function writeCounter(
  draft: Draft,
  { id, key, about }: Counter,
  state: { readonly budget: Budget; readonly fullAt: number; readonly now: number },
): boolean {
  const { budget, fullAt, now } = state;
  const before = draft.get(key);
  const isListed = before?.about !== undefined;
  if (fullAt <= now) {
    clearCounter(draft, { id, key }, now);
    return false;
  }
  const isExhausted = attemptsLeft(budget, fullAt, now) === 0;
  const known = knownUntilOf(before, now);
  const listed =
    isListed || isExhausted ? { about: { ...about, account: about.account && { ...about.account } } } : {};
  draft.put(key, { full_at: fullAt, known_until: known, ...listed }, Math.max(fullAt, known ?? 0));
  if (isExhausted && !isListed) draft.link({ index: indexKeys.throttles, member: id });
  return isExhausted && !isListed;
}

/** Fills the budget. The address stays known, until `knownUntil` if that is given. */
export function clearCounter(
  draft: Draft,
  { id, key }: Pick<Counter, "id" | "key">,
  now: number,
  knownUntil?: number,
): void {
  const before = draft.get(key);
  if (before?.about !== undefined) draft.unlink({ index: indexKeys.throttles, member: id });
  const known = knownUntil ?? knownUntilOf(before, now);
  if (known === undefined) draft.remove(key);
  else draft.put(key, { known_until: known }, known);
}
