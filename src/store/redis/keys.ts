import type { IndexKey, RecordKey } from "../../auth/store.ts";

/**
 * The physical names of everything in Redis. All but those of topics share one hash tag, so all are in one slot of a
 * Cluster and one script may touch any of them. Topics have a tag for each shard. Record and index names consist of fixed kinds and opaque ids (record-keys.ts). A brace in them
 * could not open another tag, since the first one counts.
 *
 * - `gatehouse:{gh}:commits` string, number of the last commit
 * - `gatehouse:{gh}:log` stream, one entry for each event: `v` commit, `e` JSON
 * - `gatehouse:{gh}:r:NAME` string, `version|JSON`, expires with its record
 * - `gatehouse:{gh}:i:NAME` sorted set, members with score 0
 * - `gatehouse:{gh}:presence:all`, `gatehouse:{gh}:presence:user:ID` sorted sets with score 0, `...:parts` and `...:over`
 *   sorted sets, `...:watched` string: see RedisPresenceDirectory
 * - `gatehouse:{gh:topics:SHARD}:position:NAMESPACE` hash, `:history:NAMESPACE` stream, `:last-values:NAMESPACE`
 *   hash, `:last-value-ends:NAMESPACE` sorted set, `:messages` and `:probe:ID` sharded pub/sub channels, see
 *   RedisTopicBroker
 * - `gatehouse:{gh:topics}:empty-epoch` hash, `:positions`, `:histories` and `:kept-values` sorted sets, `:history-bytes`
 *   and `:value-bytes` hashes: of the namespaces of all shards; in a Cluster with the tag of each shard, of its namespaces
 * - `gatehouse:{gh}:events`, `gatehouse:{gh}:probe:ID` sharded pub/sub channels, see RedisEventBus
 */
export interface RedisKeys {
  readonly commits: string;
  readonly log: string;
  record(key: RecordKey): string;
  index(key: IndexKey): string;
  /** The channel for messages between nodes. */
  readonly events: string;
  /** The channel on which the node with this id probes itself. */
  probe(id: string): string;
  /** Of the topics whose namespaces are in this shard. */
  topics(shard: number): TopicKeys;
  /** What all namespaces share, or those of one shard. */
  sharedTopics(shard: number | undefined): SharedTopicKeys;
  /** How the keys of each namespace begin, up to the number of its shard. */
  readonly topicsStart: string;
  readonly presence: {
    /** Every live connection, in the order of their ids. */
    readonly all: string;
    /** Those of one user. */
    of(userId: string): string;
    readonly parts: string;
    readonly partsThatAreOver: string;
    /** There while somebody wants to be told of changes. */
    readonly watched: string;
  };
}

export interface SharedTopicKeys {
  /** Hash: the epoch of the namespaces in which nothing was published. */
  readonly emptyEpoch: string;
  /** Sorted set: the other namespaces, by the time at which they are forgotten. */
  readonly positions: string;
  /** Sorted set: those that have a history, by its end. Hash: its size. */
  readonly histories: string;
  readonly historyBytes: string;
  /** Sorted set: topics that have a last value, by its end. Hash: its size. */
  readonly values: string;
  readonly valueBytes: string;
}

export interface TopicKeys {
  readonly channel: string;
  /** The channel on which the node with this id probes itself. */
  probe(id: string): string;
  /** Hash: the epoch and the last sequence of a namespace. */
  position(namespace: string): string;
  /** Stream: its newest messages. */
  history(namespace: string): string;
  /** Hash: the last value of topics. Sorted set: these topics by the end of their value. */
  lastValues(namespace: string): string;
  lastValueEnds(namespace: string): string;
}

/** `prefix` separates installations on one Redis: letters, digits, `_`, `.`, `:` and `-`. */
export function redisKeys(prefix = "gatehouse"): RedisKeys {
  if (!/^[\w.:-]{1,64}$/.test(prefix)) throw new Error("the Redis key prefix has invalid characters");
  const base = `${prefix}:{gh}:`;
  return {
    commits: `${base}commits`,
    log: `${base}log`,
    record: (key) => `${base}r:${key}`,
    index: (key) => `${base}i:${key}`,
    events: `${base}events`,
    probe: (id) => `${base}probe:${id}`,
    topics(shard) {
      const tagged = `${prefix}:{gh:topics:${shard}}:`;
      return {
        channel: `${tagged}messages`,
        probe: (id) => `${tagged}probe:${id}`,
        position: (namespace) => `${tagged}position:${namespace}`,
        history: (namespace) => `${tagged}history:${namespace}`,
        lastValues: (namespace) => `${tagged}last-values:${namespace}`,
        lastValueEnds: (namespace) => `${tagged}last-value-ends:${namespace}`,
      };
    },
    sharedTopics(shard) {
      const tagged = shard === undefined ? `${prefix}:{gh:topics}:` : `${prefix}:{gh:topics:${shard}}:`;
      return {
        emptyEpoch: `${tagged}empty-epoch`,
        positions: `${tagged}positions`,
        histories: `${tagged}histories`,
        historyBytes: `${tagged}history-bytes`,
        values: `${tagged}kept-values`,
        valueBytes: `${tagged}value-bytes`,
      };
    },
    topicsStart: `${prefix}:{gh:topics:`,
    presence: {
      all: `${base}presence:all`,
      of: (userId) => `${base}presence:user:${userId}`,
      parts: `${base}presence:parts`,
      partsThatAreOver: `${base}presence:over`,
      watched: `${base}presence:watched`,
    },
  };
}
