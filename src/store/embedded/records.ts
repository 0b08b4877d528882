import type { IndexKey, JsonObject, RecordKey, StoredRecord } from "../../auth/store.ts";
import type { PreparedPut } from "../step-limits.ts";
import { DamageError } from "./damage.ts";
import { keyNumber, numberKey, type Tables } from "./tables.ts";

interface RawRecord {
  readonly version: number;
  readonly expiresAt: number | undefined;
  readonly json: string;
}

function parse(text: string): RawRecord {
  const first = text.indexOf("|");
  const second = text.indexOf("|", first + 1);
  const expiresAt = text.slice(first + 1, second);
  return {
    version: Number(text.slice(0, first)),
    expiresAt: expiresAt === "" ? undefined : Number(expiresAt),
    json: text.slice(second + 1),
  };
}

function raw(tables: Tables, key: RecordKey): RawRecord | undefined {
  const text = tables.records.get(Buffer.from(key));
  return text === undefined ? undefined : parse(text);
}

/** An expired record is gone from its expiry on, as on Redis, whether or not it was swept. */
function current(tables: Tables, key: RecordKey, now: number): RawRecord | undefined {
  const found = raw(tables, key);
  return found?.expiresAt !== undefined && found.expiresAt <= now ? undefined : found;
}

export function readRecord(tables: Tables, key: RecordKey, now: number): StoredRecord | undefined {
  const found = current(tables, key, now);
  return found && { version: found.version, value: recordValue(found.json) };
}

function recordValue(json: string): JsonObject {
  try {
    return JSON.parse(json) as JsonObject;
  } catch {
    throw new DamageError("a record cannot be read");
  }
}

/** 0 if the record does not exist. */
export function versionOf(tables: Tables, key: RecordKey, now: number): number {
  return current(tables, key, now)?.version ?? 0;
}

/** Call inside a transaction only, as everything below. */
export function putRecord(tables: Tables, put: PreparedPut, version: number): void {
  if (put.expiresAt !== undefined) planSweep(tables, put.key, put.expiresAt);
  tables.records.putSync(Buffer.from(put.key), `${version}|${put.expiresAt ?? ""}|${put.json}`);
}

export function removeRecord(tables: Tables, key: RecordKey): void {
  forgetExpiry(tables, key);
  tables.records.removeSync(Buffer.from(key));
}

/**
 * Raises the version to this one, or keeps the record's own if it is greater. Value and expiry stay. A missing record
 * is created.
 */
export function raiseRecord(
  tables: Tables,
  raised: { readonly key: RecordKey; readonly version: number },
  now: number,
): void {
  const found = current(tables, raised.key, now);
  const put = { key: raised.key, json: found?.json ?? "{}", expiresAt: found?.expiresAt };
  putRecord(tables, put, Math.max(found?.version ?? 0, raised.version));
}

/**
 * A record that expires has an entry in `expiry` for its expiry or an earlier time, at which the sweep looks at it
 * again. A session's expiry moves with every use; so a use is one write, not three.
 */
function planSweep(tables: Tables, key: RecordKey, expiresAt: number): void {
  const planned = raw(tables, key)?.expiresAt;
  if (planned === undefined || planned > expiresAt) tables.expiry.putSync(expiryKey(expiresAt, key), "");
}

/** An entry for an earlier time stays until the sweep removes it. */
function forgetExpiry(tables: Tables, key: RecordKey): void {
  const expiresAt = raw(tables, key)?.expiresAt;
  if (expiresAt !== undefined) tables.expiry.removeSync(expiryKey(expiresAt, key));
}

function expiryKey(expiresAt: number, key: RecordKey): Buffer {
  return Buffer.concat([numberKey(expiresAt), Buffer.from(key)]);
}

export function hasExpired(tables: Tables, now: number): boolean {
  const [first] = tables.expiry.getKeys({ limit: 1 });
  return first !== undefined && keyNumber(first) <= now;
}

/** Examines at most `limit` records that may have expired, and removes those that have. */
export function sweepRecords(tables: Tables, now: number, limit: number): void {
  for (const due of [...tables.expiry.getKeys({ end: numberKey(now + 1), limit })]) {
    tables.expiry.removeSync(due);
    const key = due.subarray(8);
    const text = tables.records.get(key);
    const expiresAt = text === undefined ? undefined : parse(text).expiresAt;
    if (expiresAt === undefined) continue;
    if (expiresAt <= now) tables.records.removeSync(key);
    else tables.expiry.putSync(Buffer.concat([numberKey(expiresAt), key]), "");
  }
}

export function linkMember(tables: Tables, index: IndexKey, member: string): void {
  const key = memberKey(index, member);
  if (tables.members.get(key) !== undefined) return;
  const count = countMembers(tables, index);
  tables.members.putSync(key, "");
  writeCount(tables, index, count + 1);
}

export function unlinkMember(tables: Tables, index: IndexKey, member: string): void {
  const key = memberKey(index, member);
  if (tables.members.get(key) === undefined) return;
  const count = countMembers(tables, index);
  tables.members.removeSync(key);
  writeCount(tables, index, count - 1);
}

export function listMembers(
  tables: Tables,
  index: IndexKey,
  page: { readonly after?: string | undefined; readonly limit: number },
): string[] {
  // A member has no NUL, so the first key after `after` is `after` with a NUL.
  const from = page.after === undefined ? "" : `${page.after}\0`;
  const start = memberKey(index, from);
  const end = endOfMembers(index);
  const prefix = Buffer.byteLength(index) + 1;
  return [...tables.members.getKeys({ start, end, limit: page.limit })].map((key) =>
    key.subarray(prefix).toString(),
  );
}

/** A store of an earlier version has no count of an index until a member is linked or unlinked: they are counted. */
export function countMembers(tables: Tables, index: IndexKey): number {
  const text = tables.members.get(countKey(index));
  if (text === undefined)
    return tables.members.getKeysCount({ start: memberKey(index, ""), end: endOfMembers(index) });
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1) throw new DamageError("a count cannot be read");
  return count;
}

function writeCount(tables: Tables, index: IndexKey, count: number): void {
  if (count === 0) tables.members.removeSync(countKey(index));
  else tables.members.putSync(countKey(index), String(count));
}

/** Outside the keys of any index's members. */
function countKey(index: IndexKey): Buffer {
  return Buffer.from(index);
}

/** A member's key has byte 0 after the index's name. */
function endOfMembers(index: IndexKey): Buffer {
  return Buffer.from(`${index}\x01`);
}

function memberKey(index: IndexKey, member: string): Buffer {
  return Buffer.from(`${index}\0${member}`);
}
