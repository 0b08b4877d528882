import type { IndexKey, RecordKey } from "../../auth/store.ts";

/**
 * The physical names of everything in Redis. All share one hash tag, so all are in one slot of a Cluster and one script
 * may touch any of them. Record and index names are made of fixed kinds and opaque ids (record-keys.ts): no brace in
 * them could open another tag, since the first one counts.
 *
 * - `gatehouse:{gh}:commits`  string, number of the last commit
 * - `gatehouse:{gh}:log`      stream, one entry per event: `v` commit, `e` JSON
 * - `gatehouse:{gh}:r:NAME`   string, `version|JSON`, expires with its record
 * - `gatehouse:{gh}:i:NAME`   sorted set, members with score 0
 * - `gatehouse:{gh}:events`, `gatehouse:{gh}:probe:ID`  sharded pub/sub channels, see RedisEventBus
 */
export interface RedisKeys {
  readonly commits: string;
  readonly log: string;
  record(key: RecordKey): string;
  index(key: IndexKey): string;
  /** What nodes tell each other. */
  readonly events: string;
  /** What the node with this id tells itself. */
  probe(id: string): string;
}

/** `prefix` tells installations on one Redis apart: letters, digits, `_`, `.`, `:` and `-`. */
export function redisKeys(prefix = "gatehouse"): RedisKeys {
  if (!/^[\w.:-]{1,64}$/.test(prefix))
    throw new Error("the Redis key prefix has characters that are not allowed");
  const base = `${prefix}:{gh}:`;
  return {
    commits: `${base}commits`,
    log: `${base}log`,
    record: (key) => `${base}r:${key}`,
    index: (key) => `${base}i:${key}`,
    events: `${base}events`,
    probe: (id) => `${base}probe:${id}`,
  };
}
