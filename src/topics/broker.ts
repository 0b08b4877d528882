import { segmentsOf } from "../../protocol/topic-pattern.ts";
import type { JsonValue } from "../auth/store.ts";

/** Who published, as subscribers are told. */
export interface Publisher {
  readonly userId: string;
  readonly isSystem: boolean;
}

/** What somebody publishes. */
export interface Publication {
  readonly topic: string;
  readonly data: JsonValue;
  /** Of `data` as JSON in UTF-8. */
  readonly bytes: number;
  /** The publishing node's clock, ms since the epoch. */
  readonly time: number;
  readonly publisher: Publisher;
  /** `LogProgress.newestChange` of the publishing node. */
  readonly rightsVersion: number;
  /** For how long it is kept as the last value of its topic, ms. 0: the last value is removed. */
  readonly retainMs?: number | undefined;
}

/**
 * The place of a message among those of its namespace, which is the first segment of its topic. Sequences of one epoch
 * rise by one. A new epoch begins if the broker does not know any more what came before.
 */
export interface Position {
  readonly epoch: string;
  readonly sequence: number;
}

export interface Message extends Publication {
  readonly position: Position;
  /** This node has published it. */
  readonly isOwn: boolean;
}

export interface BrokerListener {
  /** Messages of a followed namespace, each once, in the order of their sequence. */
  onMessage(message: Message): void;
  /**
   * Messages of the namespace may be lost. Called before the messages that come after them. `upTo` is the position of the
   * last one that is. Without a namespace, and then without a position: of any that nobody follows by name.
   */
  onGap(namespace: string | undefined, upTo?: Position): void;
}

/**
 * Carries messages between the nodes of an installation, and keeps the newest of each namespace for a while. Two
 * adapters implement it (in process, Redis). One contract suite tests both. Messages may be lost, which is told with
 * `onGap`. Messages of one node on one namespace keep the order of the calls of `publish`.
 */
export interface TopicBroker {
  /** Call it once, before anything else. */
  start(listener: BrokerListener): void;
  /**
   * Publishes them in this order. Rejects with `unavailable`: each of them may then have been published all the same.
   */
  publish(publications: readonly Publication[]): Promise<readonly Position[]>;
  /**
   * From now on the listener gets the namespace's messages. The position is that of the last message that it may not
   * get. Each call needs one of `unfollow`, unless it rejects with `unavailable`.
   */
  follow(namespace: string): Promise<Position>;
  unfollow(namespace: string): void;
  /**
   * The same for all namespaces. Resolves once the broker delivers.
   */
  followAll(): Promise<void>;
  unfollowAll(): void;
  /**
   * The messages after `after`, up to the sequence `upTo` of the same epoch. Undefined if not all of them are kept.
   * Rejects with `unavailable`.
   */
  history(namespace: string, after: Position, upTo: number): Promise<readonly Message[] | undefined>;
  /**
   * The pattern's topics that have a last value, at most `limit`, in their order. The first segment of the pattern is no
   * wildcard. Rejects with `unavailable`.
   */
  lastTopics(pattern: string, limit: number): Promise<readonly string[]>;
  /** The last values of these topics of one namespace, of those that have one. Rejects with `unavailable`. */
  lastValues(topics: readonly string[]): Promise<readonly Message[]>;
  /** Stops delivery. Waits a bounded time for published messages to be sent. Never rejects. */
  close(): Promise<void>;
}

/** Limits of what is kept of each namespace. */
export interface HistoryLimits {
  readonly messages: number;
  /** Of these messages. */
  readonly ms: number;
  /** Topics whose last value is kept. Beyond it those go that would end first. */
  readonly lastValues: number;
}

/** Limits of what is kept of all namespaces together. */
export interface TotalLimits {
  /**
   * Namespaces whose position is remembered. Beyond it, the one that was used least recently is forgotten: it begins a new
   * epoch. One in which nothing was published is not counted.
   */
  readonly namespaces: number;
  /**
   * Of messages that are kept. Beyond it, the oldest messages go of the namespace that was used least recently. The
   * size of what is kept is an estimate that includes what the broker itself needs for it.
   */
  readonly historyBytes: number;
  /** Of last values. Beyond it those go that would end first. */
  readonly lastValueBytes: number;
}

export const totalLimits: TotalLimits = {
  namespaces: 10_000,
  historyBytes: 64 * 1024 * 1024,
  lastValueBytes: 64 * 1024 * 1024,
};

export function namespaceOf(topic: string): string {
  return segmentsOf(topic)[0] ?? "";
}
