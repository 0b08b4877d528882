import { type Database, open, type RootDatabase } from "lmdb";

import { sizeLimit } from "./file-header.ts";

/**
 * The tables of the one lmdb file. Keys are bytes, so the order is byte order and no character is special. Values are
 * text.
 *
 * - `records`: record key → `version|expiresAt or nothing|json`
 * - `members`: index key, NUL, member → empty; index key → the number of its members, unless that is 0
 * - `log`: sequence number, 8 bytes big-endian → `at|version|json`
 * - `expiry`: a time, 8 bytes big-endian, record key → empty: the record may have expired by then, see records.ts
 * - `state`: see state.ts
 */
export interface Tables {
  readonly root: RootDatabase<Buffer, Buffer>;
  readonly records: Database<string, Buffer>;
  readonly members: Database<string, Buffer>;
  readonly log: Database<string, Buffer>;
  readonly expiry: Database<string, Buffer>;
  readonly state: Database<string, Buffer>;
}

const names = ["records", "members", "log", "expiry", "state"] as const;

/**
 * `overlappingSync` is off: with it, a commit's promise resolves before the flush. Without it, lmdb writes the data
 * pages, syncs, then writes the meta page through a descriptor that syncs. So readers see a commit only once it is on
 * disk. The map is address space, not disk or memory: a store never reaches 64 GiB, so the map never has to grow while
 * another process uses it.
 */
export function openTables(path: string): Tables {
  const root = open<Buffer, Buffer>(path, {
    noSubdir: true,
    overlappingSync: false,
    mapSize: sizeLimit,
    maxDbs: names.length + 1,
    maxReaders: 126,
    // With it, a failed commit leaves a rejection that nobody can handle.
    eventTurnBatching: false,
    encoding: "binary",
    keyEncoding: "binary",
  });
  try {
    const found = [...root.getKeys()].map((key) => key.toString("latin1").replaceAll("\0", ""));
    const foreign = found.filter((name) => !names.some((known) => known === name));
    if (foreign.length > 0) throw new Error("it is damaged, or not a Gatehouse store: restore a backup");
    const table = (name: string) =>
      root.openDB<string, Buffer>(name, { encoding: "string", keyEncoding: "binary" });
    return {
      root,
      records: table("records"),
      members: table("members"),
      log: table("log"),
      expiry: table("expiry"),
      state: table("state"),
    };
  } catch (error) {
    void root.close();
    throw error;
  }
}

/** 8 bytes big-endian: numbers in byte order. */
export function numberKey(value: number): Buffer {
  const key = Buffer.alloc(8);
  key.writeBigUInt64BE(BigInt(value));
  return key;
}

export function keyNumber(key: Buffer): number {
  return Number(key.readBigUInt64BE(0));
}
