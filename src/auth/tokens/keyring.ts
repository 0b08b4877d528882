import type { JSONWebKeySet } from "jose";

import type { Clock } from "../clock.ts";
import { AuthError } from "../errors.ts";
import type { Store } from "../store.ts";
import type { TokenSeal } from "./access-token-text.ts";
import { describeKeys, neededUntil, retiresAt, signingKeyAt } from "./key-schedule.ts";
import { createKeyringRecord, type KeyringRecord, type VersionedKeys } from "./keyring-record.ts";
import type { Sealing } from "./sealing.ts";
import { generateKey, importKey, type SigningKey, type StoredKey, scheduleOf } from "./signing-keys.ts";

export interface SigningKeyInfo {
  readonly kid: string;
  readonly alg: "ES256";
  /** `published`: in the JWKS, not yet signing. `active`: signs. `retired`: still verifies. */
  readonly state: "published" | "active" | "retired";
  readonly createdAt: number;
  readonly signsFrom: number;
  /** When the last token that it may have signed has ended; null while it signs. */
  readonly neededUntil: number | null;
}

/**
 * The installation's signing keys: one sealed record, made at first start, rotated with publish-before-use and
 * overlap. Kept in memory; `reload` is called when the log says that another node changed it.
 */
export interface Keyring {
  reload(): Promise<void>;
  /**
   * Adds a key that signs after `leadMs` (default: longer than verifiers cache a JWKS) and retires the present one
   * then. A key stays in the JWKS until the last token that it signed has ended.
   */
  rotate(options?: { readonly leadMs?: number }): Promise<SigningKeyInfo>;
  list(): readonly SigningKeyInfo[];
  /** Public keys (RFC 7517) of all three states. */
  jwks(): JSONWebKeySet;
}

/** What access tokens need of the keyring, in memory; nothing here leaves src/auth. */
export interface KeyringKeys {
  /** The key that signs now. */
  signingKey(): SigningKey;
  /** By the exact text of a token's protected header, so that nothing of an unverified header is ever parsed. */
  verifierOf(headerSegment: string): { readonly kid: string; readonly seal: TokenSeal } | undefined;
  /**
   * Called before a token is handed out that ends at `until`: when it returns, the key verifies at least until then,
   * on every node and after any rotation. Without a commit for tokens no longer than `longestTokenMs`.
   */
  ensureNeededUntil(kid: string, until: number): Promise<void>;
}

export interface KeyringOptions {
  readonly store: Store;
  readonly sealing: Sealing;
  readonly clock: Clock;
  /** The longest life, in ms, of tokens that are handed out without a promise on their key: ordinary access tokens. */
  readonly longestTokenMs: number;
}

/** jose's `createRemoteJWKSet` keeps a JWKS for 10 minutes and fetches at most every 30 s; 5 minutes of margin. */
export const defaultLeadMs = 15 * 60_000;
const longestLeadMs = 30 * 86_400_000;
/** Monthly rotations under ten-year tokens give 122. Verifiers download all of them. */
const mostKeys = 256;
const promiseGrainMs = 86_400_000;
const mostAttempts = 64;

interface Held {
  readonly version: number;
  readonly keys: readonly SigningKey[];
  readonly byHeader: ReadonlyMap<string, SigningKey>;
}

/**
 * Reads the keyring, or makes it: any number of nodes that start at once agree on one first key. Rejects with
 * `AuthError("unavailable")` when the store is away or the record was sealed with another secret.
 */
export async function createKeyring(options: KeyringOptions): Promise<Keyring & KeyringKeys> {
  const { clock, longestTokenMs } = options;
  const record = createKeyringRecord(options.store, options.sealing);
  const oneByOne = createQueue();
  let held = hold(await establish(record, clock.now()));

  // Reads and commits go through one queue, so that an older answer never replaces a newer one.
  const change = (edit: (keys: readonly StoredKey[]) => readonly StoredKey[]) =>
    oneByOne(async () => {
      held = hold(await update(record, edit), held);
    });
  const infos = () => describeKeys(held.keys, clock.now(), longestTokenMs);

  return {
    reload: () => change((keys) => keys),
    async rotate({ leadMs = defaultLeadMs } = {}) {
      if (!Number.isInteger(leadMs) || leadMs < 0 || leadMs > longestLeadMs)
        throw new AuthError("invalid_format", { publicMessage: "The lead is not between 0 and 30 days." });
      const now = clock.now();
      const added = await generateKey({ createdAt: now, signsFrom: now + leadMs });
      const over = clock.earliest?.() ?? now;
      await change((keys) => [...withRoom(stillNeeded(keys, over, longestTokenMs)), added]);
      return find(infos(), added.kid);
    },
    list: infos,
    jwks() {
      const kids = new Set(infos().map((info) => info.kid));
      return { keys: held.keys.filter((key) => kids.has(key.kid)).map((key) => ({ ...key.publicJwk })) };
    },
    signingKey: () => signingKeyAt(held.keys, clock.now()),
    verifierOf: (headerSegment) => held.byHeader.get(headerSegment),
    async ensureNeededUntil(kid, until) {
      if (until <= assuredUntil(held.keys, kid, clock.now(), longestTokenMs)) return;
      // Whole days, so that many long-lived tokens of one day cost one commit.
      const promise = Math.ceil(until / promiseGrainMs) * promiseGrainMs;
      await change((keys) => withPromise(keys, kid, promise));
    },
  };
}

async function establish(record: KeyringRecord, now: number): Promise<VersionedKeys> {
  const present = await record.read();
  if (present !== undefined) return present;
  const first = await generateKey({ createdAt: now, signsFrom: now });
  const made = await record.replace(0, [first]);
  return made ?? established(await record.read());
}

/** Applies `edit` to the record as it is now. An edit that returns what it got only reads. */
async function update(
  record: KeyringRecord,
  edit: (keys: readonly StoredKey[]) => readonly StoredKey[],
): Promise<VersionedKeys> {
  for (let attempt = 0; attempt < mostAttempts; attempt++) {
    const present = established(await record.read());
    const keys = edit(present.keys);
    if (keys === present.keys) return present;
    const written = await record.replace(present.version, keys);
    if (written !== undefined) return written;
  }
  throw new AuthError("conflict", { detail: "the keyring changes faster than this node can write it" });
}

function established(record: VersionedKeys | undefined): VersionedKeys {
  if (record === undefined)
    throw new AuthError("unavailable", { detail: "the keyring record is gone from the store" });
  return record;
}

/** Imports what is new; a key's material never changes, only its times do. */
function hold(stored: VersionedKeys, before?: Held): Held {
  if (before?.version === stored.version) return before;
  const known = new Map(before?.keys.map((key) => [key.kid, key]));
  const keys = stored.keys.map((key) => ({ ...(known.get(key.kid) ?? importKey(key)), ...scheduleOf(key) }));
  return { version: stored.version, keys, byHeader: new Map(keys.map((key) => [key.headerSegment, key])) };
}

function stillNeeded(keys: readonly StoredKey[], now: number, longestTokenMs: number): readonly StoredKey[] {
  const schedule = keys.map(scheduleOf);
  return keys.filter((_, position) => {
    const until = neededUntil(schedule, position, longestTokenMs);
    return until === undefined || until > now;
  });
}

function withRoom(keys: readonly StoredKey[]): readonly StoredKey[] {
  if (keys.length >= mostKeys)
    throw new AuthError("not_allowed", { publicMessage: "Too many signing keys are still needed." });
  return keys;
}

function withPromise(keys: readonly StoredKey[], kid: string, until: number): readonly StoredKey[] {
  const key = keys.find((candidate) => candidate.kid === kid);
  if (key === undefined)
    throw new AuthError("unavailable", { detail: "the signing key was taken out of the keyring" });
  if (key.promised_until >= until) return keys;
  return keys.map((other) => (other === key ? { ...key, promised_until: until } : other));
}

/** What holds without a commit; the slack after a switch is left for nodes that learn of it late. */
function assuredUntil(keys: readonly SigningKey[], kid: string, now: number, longestTokenMs: number): number {
  const position = keys.findIndex((key) => key.kid === kid);
  const key = keys[position];
  if (key === undefined) return 0;
  return Math.max(key.promisedUntil, (retiresAt(keys, position) ?? now) + longestTokenMs);
}

function find(infos: readonly SigningKeyInfo[], kid: string): SigningKeyInfo {
  const info = infos.find((candidate) => candidate.kid === kid);
  if (info === undefined) throw new AuthError("conflict", { detail: "the new key was superseded at once" });
  return info;
}

/** Runs tasks one after the other; a failing one fails its caller only. */
function createQueue(): <Result>(task: () => Promise<Result>) => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const run = last.then(task);
    last = run.catch(() => undefined);
    return run;
  };
}
