import { Type } from "typebox";
import { Compile } from "typebox/compile";

import { hashed, recordKeys } from "../record-keys.ts";
import type { JsonObject, RecordKey, Store, StoredRecord } from "../store.ts";
import type { ResourceState } from "./resource-table.ts";

/*
 * Entities and devices are stored in 64 records, by a hash of their id: so a node reads all of them at once, and a change
 * writes a few kilobytes.
 */

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
export const shardKeys: readonly RecordKey[] = [...letters].map((letter) => recordKeys.resources(letter));

/** Instead of a version that only the store knows. */
export const ofThisCommit = 0;

const Entry = Type.Tuple([
  Type.Union([Type.Literal("entity"), Type.Literal("device")]),
  Type.String(),
  Type.Union([Type.String(), Type.Null()]),
  Type.Number(),
]);
const ShardRecord = Compile(Type.Object({ entries: Type.Array(Entry) }));

export interface Shard {
  readonly key: RecordKey;
  /** 0: there is no record. */
  readonly version: number;
  readonly states: readonly ResourceState[];
}

export function shardKeyOf({ kind, id }: Pick<ResourceState, "kind" | "id">): RecordKey {
  return recordKeys.resources(hashed(`${kind} ${id}`).charAt(0));
}

/** A damaged record says nothing. */
function shardOf(key: RecordKey, record: StoredRecord | undefined): Shard {
  const entries = record !== undefined && ShardRecord.Check(record.value) ? record.value.entries : [];
  const version = record?.version ?? 0;
  const states = entries.map(([kind, id, parent, own]) => ({
    kind,
    id,
    parent,
    version: own === ofThisCommit ? version : own,
  }));
  return { key, version, states };
}

export async function readShards(
  store: Pick<Store, "get">,
  keys: readonly RecordKey[] = shardKeys,
): Promise<readonly Shard[]> {
  const records = await store.get(keys);
  return keys.map((key, place) => shardOf(key, records[place]));
}

/** The record's content. A state of the commit that writes it has the version `ofThisCommit`. */
export function shardValue(states: readonly ResourceState[]): JsonObject {
  const entries = states.flatMap(({ kind, id, parent, version }) =>
    parent === undefined ? [] : [[kind, id, parent, version] as const],
  );
  return { entries };
}
