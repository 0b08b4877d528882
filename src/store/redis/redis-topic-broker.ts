import { hash, randomBytes, randomUUID } from "node:crypto";

import { matchesTopic, segmentsOf } from "../../../protocol/topic-pattern.ts";
import {
  type BrokerListener,
  type HistoryLimits,
  type Message,
  namespaceOf,
  type Position,
  type Publication,
  type TopicBroker,
  type TotalLimits,
  totalLimits,
} from "../../topics/broker.ts";
import { parseRedisUrl, type RedisAddress } from "./address.ts";
import { BusSubscription } from "./bus-subscription.ts";
import { withDeadline } from "./client.ts";
import { redisUnavailable } from "./faults.ts";
import { redisKeys, type SharedTopicKeys, type TopicKeys } from "./keys.ts";
import { LazyClient } from "./lazy-client.ts";
import { NamespaceTail } from "./namespace-tail.ts";
import { PublishQueue, type QueuedMessage } from "./publish-queue.ts";
import { Script } from "./script.ts";
import { messageText, parseMessage, receivedMessage } from "./topic-message-text.ts";

export interface RedisTopicBrokerOptions extends Partial<TotalLimits> {
  /** See `parseRedisUrl`. */
  readonly url: string;
  /** The store's prefix; `gatehouse` by default. */
  readonly prefix?: string;
  readonly history: HistoryLimits;
  /** Called with whether this node receives messages; the error says why it does not. */
  readonly onReceiving?: (receives: boolean, error?: Error) => void;
}

/** Namespaces are spread over so many slots of a Cluster. All nodes must agree on it, and the script. */
const shards = 16;
/** An unused namespace keeps its epoch for this much longer than its messages, ms. */
const epochExtraMs = 3_600_000;
/** Namespaces that are followed although nobody follows them by name. Beyond it the oldest is forgotten. */
const maxUnnamed = 10_000;
const subscribeMs = 2_000;
const closeMs = 500;

interface Followed {
  readonly tail: NamespaceTail;
  users: number;
}

/**
 * Topics over Redis' sharded pub/sub, with a stream for each namespace. A message gets its position, its place in the stream
 * and its way to the nodes in one script, so the order is the same everywhere. Whoever can write to Redis can send
 * messages. A node has one connection that publishes, and one that listens; in a Cluster one for each shard that it needs.
 */
export class RedisTopicBroker implements TopicBroker {
  readonly #options: RedisTopicBrokerOptions;
  readonly #address: RedisAddress;
  readonly #client: LazyClient;
  readonly #script = new Script("topics");
  readonly #keys: readonly TopicKeys[];
  /** By shard in a Cluster, where a script reaches one slot only, otherwise one for all shards. */
  readonly #sharedKeys: readonly SharedTopicKeys[];
  readonly #keysStart: string;
  readonly #limits: TotalLimits;
  readonly #queues: readonly PublishQueue[];
  /** Distinguishes this node's messages from other nodes'. */
  readonly #id = randomUUID();
  readonly #followed = new Map<string, Followed>();
  /** Followed because somebody follows all. */
  readonly #unnamed = new Map<string, NamespaceTail>();
  #followsAll = 0;
  /** By shard in a Cluster, otherwise one for all shards. */
  readonly #subscriptions = new Map<number, Subscription>();
  #listener: BrokerListener | undefined;
  #isClosed = false;

  /** Connects to nothing yet. Throws if the URL is invalid. */
  constructor(options: RedisTopicBrokerOptions) {
    this.#options = options;
    this.#address = parseRedisUrl(options.url);
    this.#client = new LazyClient(this.#address);
    const keys = redisKeys(options.prefix);
    const isCluster = this.#address.mode === "cluster";
    this.#keys = Array.from({ length: shards }, (_, shard) => keys.topics(shard));
    this.#sharedKeys = this.#keys.map((_, shard) => keys.sharedTopics(isCluster ? shard : undefined));
    this.#keysStart = keys.topicsStart;
    this.#limits = limitsOf({ ...totalLimits, ...options }, isCluster ? shards : 1);
    this.#queues = this.#keys.map(() => new PublishQueue((messages) => this.#publish(messages)));
  }

  start(listener: BrokerListener): void {
    this.#listener = listener;
  }

  async publish(publications: readonly Publication[]): Promise<readonly Position[]> {
    return await Promise.all(
      publications.map((publication) => {
        const namespace = namespaceOf(publication.topic);
        const text = messageText(publication, this.#id);
        const queue = this.#queues[shardOf(namespace)];
        const { topic, retainMs } = publication;
        return (
          queue?.add({ namespace, topic, text, retainMs }) ?? Promise.reject(new RangeError("no such shard"))
        );
      }),
    );
  }

  async follow(namespace: string): Promise<Position> {
    const followed = this.#followed.get(namespace) ?? this.#newFollowed(namespace);
    followed.users += 1;
    try {
      await this.#receiving(shardOf(namespace));
      await followed.tail.begin();
      return followed.tail.position ?? { epoch: "", sequence: 0 };
    } catch (error) {
      this.unfollow(namespace);
      throw redisUnavailable(error, this.#address.masked);
    }
  }

  unfollow(namespace: string): void {
    const followed = this.#followed.get(namespace);
    if (followed === undefined) return;
    followed.users -= 1;
    if (followed.users === 0) this.#followed.delete(namespace);
  }

  async followAll(): Promise<void> {
    this.#followsAll += 1;
    try {
      await Promise.all(this.#keys.map((_, shard) => this.#receiving(shard)));
    } catch (error) {
      this.unfollowAll();
      throw redisUnavailable(error, this.#address.masked);
    }
  }

  unfollowAll(): void {
    this.#followsAll -= 1;
    if (this.#followsAll === 0) this.#unnamed.clear();
  }

  async history(namespace: string, after: Position, upTo: number): Promise<readonly Message[] | undefined> {
    if (after.sequence > upTo) return undefined;
    if (after.sequence === upTo) return [];
    const remembered = this.#followed.get(namespace)?.tail.history(after, upTo);
    if (remembered !== undefined) return remembered;
    return await this.#readHistory(namespace, after, upTo);
  }

  async #readHistory(
    namespace: string,
    after: Position,
    upTo: number,
  ): Promise<readonly Message[] | undefined> {
    const { epoch } = after;
    const range = [epoch, String(after.sequence + 1), String(upTo)];
    const entries = await this.#run("history", [namespace], range);
    if (!Array.isArray(entries) || entries.length !== upTo - after.sequence) return undefined;
    const messages = (entries as readonly [string, readonly string[]][]).map(([id, [, text = ""]]) =>
      parseMessage(text, { epoch, sequence: Number.parseInt(id, 10) }, this.#id),
    );
    const known = messages.filter((message) => message !== undefined);
    return known.length === messages.length ? known : undefined;
  }

  async lastTopics(pattern: string, limit: number): Promise<readonly string[]> {
    const segments = segmentsOf(pattern);
    const topics = await this.#run("topics", [namespaceOf(pattern)], []);
    return (Array.isArray(topics) ? topics.map(String) : [])
      .filter((topic) => matchesTopic(segments, segmentsOf(topic)))
      .sort()
      .slice(0, limit);
  }

  async lastValues(topics: readonly string[]): Promise<readonly Message[]> {
    const [first] = topics;
    if (first === undefined) return [];
    const values = await this.#run("values", [namespaceOf(first)], topics);
    return (Array.isArray(values) ? values : []).flatMap((value) => {
      const received = typeof value === "string" ? receivedMessage(value) : undefined;
      return (received && parseMessage(received.text, received.position, this.#id)) ?? [];
    });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#listener = undefined;
    await Promise.all([...this.#subscriptions.values()].map(({ bus }) => bus.stop()));
    const sent = Promise.all(this.#queues.map((queue) => queue.settled()));
    await withDeadline(sent, closeMs, "not sent").catch(() => undefined);
    await this.#client.disconnect();
  }

  #newFollowed(namespace: string): Followed {
    const tail = this.#unnamed.get(namespace) ?? this.#newTail(namespace);
    this.#unnamed.delete(namespace);
    const followed = { tail, users: 0 };
    this.#followed.set(namespace, followed);
    return followed;
  }

  #newTail(namespace: string): NamespaceTail {
    return new NamespaceTail({
      parse: (text, position) => parseMessage(text, position, this.#id),
      readPosition: (known) => this.#position(namespace, known),
      readHistory: (after, upTo) => this.#readHistory(namespace, after, upTo),
      onMessage: (message) => this.#listener?.onMessage(message),
      onGap: (upTo) => this.#listener?.onGap(namespace, upTo),
      isClosed: () => this.#isClosed,
    });
  }

  #receive(channelText: string): void {
    const message = receivedMessage(channelText);
    if (message !== undefined) this.#tailOf(message.namespace)?.receive(message);
  }

  /** Undefined: nobody here follows the namespace. */
  #tailOf(namespace: string): NamespaceTail | undefined {
    const named = this.#followed.get(namespace)?.tail;
    if (named !== undefined || this.#followsAll === 0) return named;
    let tail = this.#unnamed.get(namespace);
    if (tail === undefined) {
      const [oldest] = this.#unnamed.keys();
      if (this.#unnamed.size >= maxUnnamed && oldest !== undefined) this.#unnamed.delete(oldest);
      tail = this.#newTail(namespace);
      this.#unnamed.set(namespace, tail);
    }
    return tail;
  }

  /** Resolves once this node receives the shard's messages. */
  async #receiving(shard: number): Promise<void> {
    if (this.#isClosed) throw new Error("the broker is closed");
    const group = this.#address.mode === "cluster" ? shard : 0;
    let subscription = this.#subscriptions.get(group);
    if (subscription === undefined) {
      const isCluster = this.#address.mode === "cluster";
      subscription = this.#subscribe(isCluster ? [shard] : this.#keys.map((_, at) => at));
      this.#subscriptions.set(group, subscription);
    }
    if (subscription.bus.isReceiving) return;
    const { waiting } = subscription;
    let received: () => void = () => undefined;
    const receives = new Promise<void>((resolve) => {
      received = resolve;
      waiting.add(resolve);
    });
    await withDeadline(receives, subscribeMs, "no subscription").finally(() => waiting.delete(received));
  }

  #subscribe(ofShards: readonly number[]): Subscription {
    const keys = ofShards.map((shard) => this.#keys[shard]).filter((each) => each !== undefined);
    const [first] = keys;
    const probe = first?.probe(this.#id) ?? "";
    const waiting = new Set<() => void>();
    let wasReceiving = false;
    const onReceiving = (receives: boolean, error?: Error) => {
      this.#options.onReceiving?.(receives, error && redisUnavailable(error, this.#address.masked));
      if (!receives) return;
      if (wasReceiving) this.#catchUp(new Set(ofShards));
      wasReceiving = true;
      for (const goOn of waiting) goOn();
    };
    const bus = new BusSubscription({
      channels: [...keys.map(({ channel }) => channel), probe],
      connect: () => this.#client.subscriber(probe),
      sendProbe: (text) =>
        void this.#client
          .get()
          .then((client) => client.call("spublish", probe, text))
          .catch(() => undefined),
      isProbe: (channel) => channel === probe,
      onText: (text) => this.#receive(text),
      onReceiving,
    });
    return { bus, waiting };
  }

  /** The connection was lost for a while. */
  #catchUp(ofShards: ReadonlySet<number>): void {
    for (const [namespace, { tail }] of this.#followed) {
      if (ofShards.has(shardOf(namespace))) tail.catchUp();
    }
    for (const [namespace, tail] of this.#unnamed) if (ofShards.has(shardOf(namespace))) tail.catchUp();
    // Nothing is known of a namespace that came up meanwhile.
    if (this.#followsAll > 0) this.#listener?.onGap(undefined);
  }

  /** They are all of this shard. */
  async #publish(messages: readonly QueuedMessage[]): Promise<readonly Position[]> {
    const { history } = this.#options;
    const contents = messages.flatMap(({ topic, text, retainMs }) => [topic, text, String(retainMs ?? "")]);
    const limits = [history.messages, history.ms, history.lastValues].map(String);
    const namespaces = messages.map(({ namespace }) => namespace);
    const reply = await this.#run("publish", namespaces, [...limits, ...contents]);
    const parts = Array.isArray(reply) ? reply.map(String) : [];
    return messages.map((_, at) => ({ epoch: parts[2 * at] ?? "", sequence: Number(parts[2 * at + 1]) }));
  }

  async #position(namespace: string, known: Position | undefined): Promise<Position> {
    const args = known === undefined ? ["", ""] : [known.epoch, String(known.sequence)];
    const reply = await this.#run("position", [namespace], [namespace, ...args]);
    const [epoch = "", sequence] = Array.isArray(reply) ? reply.map(String) : [];
    return { epoch, sequence: Number(sequence) };
  }

  /** The namespaces are all of one shard. */
  async #run(action: string, namespaces: readonly string[], args: readonly string[]): Promise<unknown> {
    const shard = shardOf(namespaces[0] ?? "");
    const own = this.#keys[shard];
    const shared = this.#sharedKeys[shard];
    if (own === undefined || shared === undefined) throw new RangeError("no such shard");
    const { emptyEpoch, positions, histories, historyBytes, values, valueBytes } = shared;
    const keys = [own.channel, emptyEpoch, positions, histories, historyBytes, values, valueBytes];
    const randomWord = randomBytes(12).toString("hex");
    const keptMs = this.#options.history.ms + epochExtraMs;
    const limits = this.#limits;
    const most = [limits.namespaces, limits.historyBytes, limits.lastValueBytes];
    const common = [randomWord, keptMs, this.#keysStart, ...most].map(String);
    try {
      const client = await this.#client.get();
      const names = namespaces.flatMap((namespace) => namesOf(own, namespace));
      return await this.#script.run(client, [...keys, ...names], [action, ...common, ...args]);
    } catch (error) {
      throw redisUnavailable(error, this.#address.masked);
    }
  }
}

interface Subscription {
  readonly bus: BusSubscription;
  /** Called when the node receives. */
  readonly waiting: Set<() => void>;
}

/** The order is the script's. */
function namesOf(keys: TopicKeys, namespace: string): readonly string[] {
  const { position, history, lastValues, lastValueEnds } = keys;
  return [position, history, lastValues, lastValueEnds].map((nameOf) => nameOf(namespace));
}

/** Each part of a Cluster has an equal share: nobody counts across slots. */
function limitsOf(total: TotalLimits, parts: number): TotalLimits {
  return {
    namespaces: Math.ceil(total.namespaces / parts),
    historyBytes: Math.ceil(total.historyBytes / parts),
    lastValueBytes: Math.ceil(total.lastValueBytes / parts),
  };
}

function shardOf(namespace: string): number {
  return (hash("sha1", namespace, "buffer")[0] ?? 0) % shards;
}
