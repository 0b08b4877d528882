import { randomBytes } from "node:crypto";

import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import type { Credential, PageRequest } from "../model.ts";
import { normaliseLoginName } from "../providers/homeassistant/login-name.ts";
import { localType } from "../providers/homeassistant/login-record.ts";
import { hashed, indexKeys, providerKey, recordKeys } from "../record-keys.ts";
import type { JsonObject, Store, StoredRecord } from "../store.ts";
import type { Credentials } from "../users/credentials.ts";
import {
  attemptsLeft,
  type Budget,
  factorMessageBudget,
  passwordChangeBudget,
  spend,
  userCodeBudget,
} from "./budget.ts";
import { clearCounter, fullAtOf, type ThrottleKind, throttleKinds } from "./counter-record.ts";
import { createCounters } from "./counters.ts";
import type { LoginBudgets } from "./login-throttle.ts";

/** A budget of guesses that was exhausted, and is not full again. */
export interface Throttle {
  readonly id: string;
  readonly kind: ThrottleKind;
  /** The user whose account was guessed at. Null: the counter is of an address, or nobody has the login name. */
  readonly userId: string | null;
  /** The credential behind it; null like `userId`, and for what users try who are logged in. */
  readonly credential: Credential | null;
  /** An address, or an IPv6 /64; null unless the counter is of one. */
  readonly address: string | null;
  /** Guesses that are possible now. */
  readonly attemptsLeft: number;
  /** Time until the next guess, ms; 0 if one is possible. */
  readonly retryAfterMs: number;
  /** When the budget will be full, ms since the epoch. */
  readonly endsAt: number;
}

/** What administrators see and do about exhausted budgets. */
export interface Throttles {
  /** In the order of their ids. There may be fewer than requested although more follow: continue after `next`. */
  page(
    page: PageRequest,
  ): Promise<{ readonly throttles: readonly Throttle[]; readonly next: string | undefined }>;
  /**
   * Whether the guesses may be at a login of this user. Providers but the local one may know a person by another name than
   * the credential has, so there every account counts, if the user has a credential at the provider. Throws
   * `not_found`.
   */
  mayConcern(id: string, userId: string): Promise<boolean>;
  /** Fills the budget. An address that is known to an account stays known. Throws `not_found`. */
  lift(id: string): Promise<void>;
  /** Removes a few expired ones from the index, so that it does not grow with the number of attacks. Never rejects. */
  sweep(): Promise<void>;
}

export interface ThrottlesOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly credentials: Pick<Credentials, "get" | "list">;
  readonly budgets: LoginBudgets;
}

const sweepSize = 32;
const idShape = /^[apdi][\w-]{43,60}$|^[oums][0-9a-f]{32}$/;

export function createThrottles(options: ThrottlesOptions): Throttles {
  const { store, clock, budgets, credentials } = options;
  const counters = createCounters(store);
  const budgetOf: Readonly<Record<ThrottleKind, Budget>> = {
    account: budgets.account,
    account_and_address: budgets.pair,
    device: budgets.device,
    address: budgets.address,
    password_change: passwordChangeBudget,
    user_code: userCodeBudget,
    second_factor: budgets.secondFactor,
    second_factor_message: factorMessageBudget,
  };
  const read = async (ids: readonly string[]): Promise<readonly Throttle[]> => {
    const records = ids.length === 0 ? [] : await store.get(ids.map(recordKeys.throttle));
    const now = clock.now();
    const current = ids.flatMap((id, place) => {
      const value = records[place]?.value;
      return value !== undefined && isCurrent(value, now) ? [{ id, value }] : [];
    });
    const owners = await ownersOf(
      options,
      current.map(({ value }) => accountOf(value)),
    );
    return current.map(({ id, value }, place) =>
      throttleOf(id, value, { owner: owners[place], budgetOf, now }),
    );
  };
  return {
    async page({ after, limit }) {
      const ids = await store.list(indexKeys.throttles, { after, limit });
      return { throttles: await read(ids), next: ids.length < limit ? undefined : ids.at(-1) };
    },
    async mayConcern(id, userId) {
      const key = recordKeys.throttle(id);
      const [found] = idShape.test(id) ? await store.get([key]) : [];
      if (found === undefined || !isCurrent(found.value, clock.now())) throw new AuthError("not_found");
      if (isOfUser(id)) return id.slice(1) === userId;
      const account = accountOf(found.value);
      const owned = account === undefined ? [] : await credentials.list(userId);
      return owned.some(
        ({ providerType, providerId, subject }) =>
          providerKey(providerType, providerId) === account?.provider &&
          (providerType !== localType || hashed(normaliseLoginName(subject)) === account.subject),
      );
    },
    async lift(id) {
      if (!idShape.test(id)) throw new AuthError("not_found");
      const key = recordKeys.throttle(id);
      await counters.change([key], (draft) => {
        const value = draft.get(key);
        if (value === undefined || !isCurrent(value, clock.now())) throw new AuthError("not_found");
        clearCounter(draft, { id, key }, clock.now());
      });
    },
    async sweep() {
      // From a random place, so that in time every member is looked at.
      const [first = 0] = randomBytes(1);
      const kinds = Object.keys(throttleKinds);
      const after = `${kinds[first % kinds.length] ?? ""}${randomBytes(6).toString("base64url")}`;
      await removeExpired(store, clock, after).catch((error: unknown) => {
        if (!(error instanceof AuthError)) throw error;
      });
    },
  };
}

/** A counter of what a user tries who is logged in: its id ends in theirs. */
function isOfUser(id: string): boolean {
  return /^[oums]/.test(id);
}

/** A counter that is listed, and not full. */
function isCurrent(value: JsonObject, now: number): boolean {
  return value.about !== undefined && (fullAtOf(value) ?? 0) > now;
}

async function removeExpired(store: Store, clock: Clock, after: string): Promise<void> {
  const rest = await store.list(indexKeys.throttles, { after, limit: sweepSize });
  // After the end comes the beginning, or the first members would hardly ever be looked at.
  const missing = sweepSize - rest.length;
  const ids = missing === 0 ? rest : await withFirst(store, rest, missing);
  if (ids.length === 0) return;
  const keys = ids.map(recordKeys.throttle);
  const records = await store.get(keys);
  const expired = ids.flatMap((member, place) => {
    const record: StoredRecord | undefined = records[place];
    const key = keys[place];
    const isOver = record === undefined || !isCurrent(record.value, clock.now());
    return isOver && key !== undefined ? [{ member, key, version: record?.version ?? 0 }] : [];
  });
  if (expired.length === 0) return;
  // In conflict if one of them is exhausted again at this moment; another sweep comes.
  await store.commit({
    check: expired.map(({ key, version }) => ({ key, version })),
    unlink: expired.map(({ member }) => ({ index: indexKeys.throttles, member })),
  });
}

async function withFirst(store: Store, rest: readonly string[], limit: number): Promise<readonly string[]> {
  const first = await store.list(indexKeys.throttles, { limit });
  return [...new Set([...rest, ...first])];
}

interface StoredAccount {
  readonly provider: string;
  readonly subject: string;
}

function accountOf(value: JsonObject): StoredAccount | undefined {
  const account = (value.about as JsonObject | undefined)?.account as JsonObject | undefined;
  const { provider, subject } = account ?? {};
  return typeof provider === "string" && typeof subject === "string" ? { provider, subject } : undefined;
}

/** The credentials of the accounts that exist, in the same order. Names that nobody has stay unknown. */
async function ownersOf(
  { store, credentials }: Pick<ThrottlesOptions, "store" | "credentials">,
  accounts: readonly (StoredAccount | undefined)[],
): Promise<readonly (Credential | undefined)[]> {
  const keys = accounts.flatMap((account) =>
    account === undefined ? [] : [recordKeys.credentialOfHash(account.provider, account.subject)],
  );
  const claims = keys.length === 0 ? [] : await store.get(keys);
  let place = 0;
  const found = accounts.map((account) => {
    const claim = account === undefined ? undefined : claims[place++];
    const id = claim?.value.credential_id;
    return typeof id === "string" ? credentials.get(id) : undefined;
  });
  return (await Promise.all(found)).map((each) => each?.credential);
}

function throttleOf(
  id: string,
  value: JsonObject,
  about: {
    readonly owner: Credential | undefined;
    readonly budgetOf: Readonly<Record<ThrottleKind, Budget>>;
    readonly now: number;
  },
): Throttle {
  const { owner, budgetOf, now } = about;
  const kind = throttleKinds[id.charAt(0) as keyof typeof throttleKinds];
  const budget = budgetOf[kind];
  const endsAt = fullAtOf(value) ?? now;
  const spending = spend(budget, endsAt, now);
  const address = (value.about as JsonObject | undefined)?.address;
  return {
    id,
    kind,
    userId: isOfUser(id) ? id.slice(1) : (owner?.userId ?? null),
    credential: owner ?? null,
    address: typeof address === "string" ? address : null,
    attemptsLeft: attemptsLeft(budget, endsAt, now),
    retryAfterMs: spending.ok ? 0 : spending.retryAfterMs,
    endsAt,
  };
}
