import type { JSONWebKeySet } from "jose";

import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import type { Step, Store } from "../store.ts";
import type { TokenMac } from "./access-token-format.ts";
import {
  createDroppedKeys,
  type DroppedKeys,
  dropRevived,
  notExpired,
  withAllDropped,
} from "./dropped-keys.ts";
import { describeKeys, neededUntil, retiresAt, signingKeyAt } from "./key-schedule.ts";
import {
  createKeyringRecord,
  type KeyringContents,
  type KeyringRecord,
  type VersionedKeys,
} from "./keyring-record.ts";
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
 * The installation's signing keys: one sealed record, created at the first start. Keys are rotated with overlap and
 * published before they are used. Every node keeps them in memory and calls `reload` when the log reports a change.
 */
export interface Keyring {
  /**
   * Reads the record. If it contains dropped keys again, the store went back in time; then they are dropped again.
   */
  reload(): Promise<void>;
  /**
   * The log reports that these keys were dropped. From now on they neither sign nor verify, whatever the record says.
   */
  drop(kids: readonly string[]): void;
  /** Prepares a commit that replaces all keys with one new key, which signs at once. */
  planDrop(): Promise<KeyDrop>;
  /**
   * Adds a key that signs after `leadMs` (default: longer than verifiers cache a JWKS) and then replaces the current
   * one. A key stays in the JWKS until the last token that it signed has expired.
   */
  rotate(options?: { readonly leadMs?: number }): Promise<SigningKeyInfo>;
  /** Throws `AuthError("unavailable")`, like `jwks`, while all keys are dropped and the new one has not been read. */
  list(): readonly SigningKeyInfo[];
  /** Public keys (RFC 7517) of all three states. */
  jwks(): JSONWebKeySet;
}

/** Removes the keys from the record. NOT included: the log entry, without which no node refuses them. */
export interface KeyDrop {
  readonly dropped: readonly string[];
  /** The new key. */
  readonly key: SigningKeyInfo;
  readonly step: Step;
}

/** What access tokens need from the keyring, in memory. Not visible outside src/auth. */
export interface KeyringKeys {
  /** The key that signs now. Throws `AuthError("unavailable")` unless `canSign`. */
  signingKey(): SigningKey;
  /** False while all keys are dropped and the new one has not been read. */
  canSign(): boolean;
  isDropped(kid: string): boolean;
  /** By the exact text of a token's protected header. */
  isDroppedHeader(headerSegment: string): boolean;
  /** By the exact text of a token's protected header, so that nothing of an unverified header is ever parsed. */
  findVerifier(headerSegment: string): { readonly kid: string; readonly tokenMac: TokenMac } | undefined;
  /**
   * Called before a token that expires at `until` is issued. When it resolves, the key verifies at least until then,
   * on every node and after any rotation. Tokens no longer than `longestTokenMs` need no commit.
   */
  ensureNeededUntil(kid: string, until: number): Promise<void>;
}

export interface KeyringOptions {
  readonly store: Store;
  readonly sealing: Sealing;
  readonly clock: Clock;
  /** The longest life of tokens that are issued without a promise on their key, ms: of ordinary access tokens. */
  readonly longestTokenMs: number;
}

/**
 * jose's `createRemoteJWKSet` caches a JWKS for 10 minutes and fetches it at most every 30 s. 5 minutes are margin.
 */
export const defaultLeadMs = 15 * 60_000;
const maxLeadMs = 30 * 86_400_000;
/** Monthly rotations with ten-year tokens need 122. Verifiers download all of them. */
const maxKeys = 256;
const promiseGrainMs = 86_400_000;
const maxAttempts = 64;

interface LoadedKeyring {
  readonly version: number;
  readonly stored: readonly StoredKey[];
  readonly keys: readonly SigningKey[];
  readonly byHeader: ReadonlyMap<string, SigningKey>;
}

/**
 * Reads the keyring, or creates it: nodes that start at the same time agree on one first key. Rejects with
 * `AuthError("unavailable")` if the store is unavailable or the record was sealed with another secret.
 */
export async function createKeyring(options: KeyringOptions): Promise<Keyring & KeyringKeys> {
  const { clock, longestTokenMs } = options;
  const record = createKeyringRecord(options.store, options.sealing);
  const enqueue = createQueue();
  const dropped = createDroppedKeys();
  let loaded = load(await establish(record, clock.now()), dropped);

  // Reads and commits go through one queue, so that an older answer cannot replace a newer one.
  const change = (edit: Edit) =>
    enqueue(async () => {
      loaded = load(await update(record, edit), dropped, loaded);
    });
  const changeKeys = (edit: (keys: readonly StoredKey[]) => readonly StoredKey[]) =>
    change((present) => {
      const keys = edit(present.keys);
      return keys === present.keys ? present : { ...present, keys };
    });
  const usableKeys = () => {
    if (loaded.keys.length === 0)
      throw new AuthError("unavailable", {
        detail: "the signing keys were dropped, and the new one has not been read yet",
      });
    return loaded.keys;
  };
  const infos = () => describeKeys(usableKeys(), clock.now(), longestTokenMs);
  const generate = (signsFrom = clock.now()) => generateKey({ createdAt: clock.now(), signsFrom });

  return {
    reload: () =>
      change((present) => dropRevived(present, { dropped, loaded: loaded.stored, generate, longestTokenMs })),
    drop(kids) {
      dropped.add(kids);
      loaded = withUsable(loaded, dropped);
    },
    async planDrop() {
      const present = established(await record.read());
      const added = await generate();
      const shown = notExpired(present.dropped, clock.earliest?.() ?? clock.now());
      const next = withAllDropped({ ...present, dropped: shown }, added, longestTokenMs);
      const step = record.putStep(present.version, next);
      const [key] = describeKeys([scheduleOf(added)], added.signs_from, longestTokenMs);
      if (key === undefined) throw new RangeError("a key that signs is described");
      return { dropped: present.keys.map(({ kid }) => kid), key, step };
    },
    async rotate({ leadMs = defaultLeadMs } = {}) {
      if (!Number.isInteger(leadMs) || leadMs < 0 || leadMs > maxLeadMs)
        throw new AuthError("invalid_format", { publicMessage: "The lead is not between 0 and 30 days." });
      const now = clock.now();
      const added = await generate(now + leadMs);
      const pastBy = clock.earliest?.() ?? now;
      await changeKeys((keys) => [...withRoom(stillNeeded(keys, pastBy, longestTokenMs)), added]);
      return find(infos(), added.kid);
    },
    list: infos,
    jwks() {
      const kids = new Set(infos().map((info) => info.kid));
      return { keys: loaded.keys.filter((key) => kids.has(key.kid)).map((key) => ({ ...key.publicJwk })) };
    },
    signingKey: () => signingKeyAt(usableKeys(), clock.now()),
    canSign: () => loaded.keys.length > 0,
    isDropped: dropped.has,
    isDroppedHeader: dropped.hasHeader,
    findVerifier: (headerSegment) => loaded.byHeader.get(headerSegment),
    async ensureNeededUntil(kid, until) {
      if (until <= assuredUntil(loaded.keys, kid, clock.now(), longestTokenMs)) return;
      // Rounded up to whole days, so that the long-lived tokens of one day need one commit.
      const promise = Math.ceil(until / promiseGrainMs) * promiseGrainMs;
      await changeKeys((keys) => withPromise(keys, kid, promise));
    },
  };
}

async function establish(record: KeyringRecord, now: number): Promise<VersionedKeys> {
  const present = await record.read();
  if (present !== undefined) return present;
  const first = await generateKey({ createdAt: now, signsFrom: now });
  const made = await record.replace(0, { keys: [first], dropped: [] });
  return made ?? established(await record.read());
}

type Edit = (present: KeyringContents) => KeyringContents | Promise<KeyringContents>;

/** Applies `edit` to the current record. If `edit` returns its argument, nothing is written. */
async function update(record: KeyringRecord, edit: Edit): Promise<VersionedKeys> {
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const present = established(await record.read());
    const next = await edit(present);
    if (next === present) return present;
    const known = new Set(present.dropped.map(({ kid }) => kid));
    const newlyDropped = next.dropped.map(({ kid }) => kid).filter((kid) => !known.has(kid));
    const written = await record.replace(present.version, next, newlyDropped);
    if (written !== undefined) return written;
  }
  throw new AuthError("conflict", { detail: "the keyring changes faster than this node can write it" });
}

function established(record: VersionedKeys | undefined): VersionedKeys {
  if (record === undefined)
    throw new AuthError("unavailable", { detail: "the store has no keyring record any more" });
  return record;
}

/** Imports new keys. The material of a key never changes, only its times do. */
function load(
  { version, ...stored }: VersionedKeys,
  dropped: DroppedKeys,
  before?: LoadedKeyring,
): LoadedKeyring {
  if (before?.version === version) return before;
  dropped.add(stored.dropped.map(({ kid }) => kid));
  const known = new Map(before?.keys.map((key) => [key.kid, key]));
  const keys = stored.keys.map((key) => ({ ...(known.get(key.kid) ?? importKey(key)), ...scheduleOf(key) }));
  return withUsable({ version, stored: stored.keys, keys }, dropped);
}

function withUsable(
  { version, stored, keys }: Omit<LoadedKeyring, "byHeader">,
  dropped: DroppedKeys,
): LoadedKeyring {
  const usableKeys = keys.filter((key) => !dropped.has(key.kid));
  const byHeader = new Map(usableKeys.map((key) => [key.headerSegment, key]));
  return { version, stored: stored.filter((key) => !dropped.has(key.kid)), keys: usableKeys, byHeader };
}

function stillNeeded(keys: readonly StoredKey[], now: number, longestTokenMs: number): readonly StoredKey[] {
  const schedule = keys.map(scheduleOf);
  return keys.filter((_, position) => {
    const until = neededUntil(schedule, position, longestTokenMs);
    return until === undefined || until > now;
  });
}

function withRoom(keys: readonly StoredKey[]): readonly StoredKey[] {
  if (keys.length >= maxKeys)
    throw new AuthError("not_allowed", { publicMessage: "Too many signing keys are still needed." });
  return keys;
}

function withPromise(keys: readonly StoredKey[], kid: string, until: number): readonly StoredKey[] {
  const key = keys.find((candidate) => candidate.kid === kid);
  if (key === undefined)
    throw new AuthError("unavailable", { detail: "the signing key was removed from the keyring" });
  if (key.promised_until >= until) return keys;
  return keys.map((other) => (other === key ? { ...key, promised_until: until } : other));
}

/**
 * Until when the key verifies without a commit. `switchSlackMs` is not used up: it is for nodes that learn of a
 * switch late.
 */
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

/** Runs tasks one after the other. A failing task rejects for its caller only. */
function createQueue(): <Result>(task: () => Promise<Result>) => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const run = last.then(task);
    last = run.catch(() => undefined);
    return run;
  };
}
