import { randomBytes } from "node:crypto";

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
} from "./broker.ts";

import { StoredValues, type StoredValuesOptions } from "./stored-values.ts";

export interface LocalBrokerOptions extends Partial<TotalLimits> {
  readonly history: HistoryLimits;
  readonly store: StoredValuesOptions["store"];
  /** ms since the epoch. */
  readonly now: () => number;
}

/** What a message costs beside its data, bytes. An estimate. */
const overhead = 256;

function newEpoch(): string {
  return randomBytes(6).toString("hex");
}

/** The messages of one namespace, newest last. */
class Kept {
  readonly epoch: string;
  sequence = 0;
  bytes = 0;
  messages: Message[] = [];

  constructor(epoch: string) {
    this.epoch = epoch;
  }

  get position(): Position {
    return { epoch: this.epoch, sequence: this.sequence };
  }

  add(publication: Publication): Message {
    this.sequence += 1;
    const message = { ...publication, position: this.position, isOwn: true };
    this.messages.push(message);
    this.bytes += message.bytes + overhead;
    return message;
  }

  /** Returns how many bytes that has freed. */
  drop(count: number): number {
    let freed = 0;
    for (const { bytes } of this.messages.splice(0, count)) freed += bytes + overhead;
    this.bytes -= freed;
    return freed;
  }
}

/** The broker of an installation that is one process. */
export function createLocalBroker(options: LocalBrokerOptions): TopicBroker {
  return new LocalBroker(options);
}

class LocalBroker implements TopicBroker {
  readonly #options: Required<LocalBrokerOptions>;
  readonly #namespaces = new Map<string, Kept>();
  /** Those that nobody follows. The one that was used last is the last. */
  readonly #unfollowed = new Set<string>();
  /** Those with messages, in the same order. */
  readonly #filled = new Set<Kept>();
  readonly #followers = new Map<string, number>();
  readonly #values: StoredValues;
  #followsAll = 0;
  #bytes = 0;
  /**
   * With which every namespace begins. So one in which nothing was published need not be remembered: whoever may read
   * could push out the others with names. It ends if a namespace is forgotten, which must not begin with it again.
   */
  #emptyEpoch = newEpoch();
  #listener: BrokerListener | undefined;

  constructor(options: LocalBrokerOptions) {
    this.#options = { ...totalLimits, ...options };
    this.#values = new StoredValues({
      ...options,
      perNamespace: options.history.lastValues,
      bytes: this.#options.lastValueBytes,
    });
  }

  start(listener: BrokerListener): void {
    this.#listener = listener;
  }

  async publish(publications: readonly Publication[]): Promise<readonly Position[]> {
    const saving: Promise<void>[] = [];
    const positions = publications.map(({ retainMs, ...publication }) => {
      const namespace = namespaceOf(publication.topic);
      const kept = this.#use(namespace);
      const before = kept.bytes;
      const message = kept.add(publication);
      this.#filled.add(kept);
      this.#bytes += kept.bytes - before;
      this.#limit(kept);
      if (this.#followsAll > 0 || this.#followers.has(namespace)) this.#listener?.onMessage(message);
      if (retainMs === 0) saving.push(this.#values.remove(message.topic));
      else if (retainMs !== undefined) saving.push(this.#values.save(message, retainMs));
      return message.position;
    });
    await Promise.all(saving);
    return positions;
  }

  async follow(namespace: string): Promise<Position> {
    this.#unfollowed.delete(namespace);
    this.#followers.set(namespace, (this.#followers.get(namespace) ?? 0) + 1);
    return this.#use(namespace).position;
  }

  unfollow(namespace: string): void {
    const left = (this.#followers.get(namespace) ?? 0) - 1;
    if (left > 0) this.#followers.set(namespace, left);
    else {
      this.#followers.delete(namespace);
      const kept = this.#namespaces.get(namespace);
      if (kept === undefined) return;
      if (kept.sequence === 0) this.#namespaces.delete(namespace);
      else this.#unfollowed.add(namespace);
      this.#forgetOldest();
    }
  }

  async followAll(): Promise<void> {
    this.#followsAll += 1;
  }

  unfollowAll(): void {
    this.#followsAll -= 1;
  }

  async history(namespace: string, after: Position, upTo: number): Promise<readonly Message[] | undefined> {
    const kept = this.#namespaces.get(namespace);
    if (kept === undefined || kept.epoch !== after.epoch || after.sequence > upTo) return undefined;
    this.#dropOutdated(kept);
    // They are in the order of their sequence, without a gap.
    const from = after.sequence + 1 - (kept.sequence + 1 - kept.messages.length);
    const missed = from < 0 ? [] : kept.messages.slice(from, from + upTo - after.sequence);
    return missed.length === upTo - after.sequence ? missed : undefined;
  }

  lastTopics(pattern: string, limit: number): Promise<readonly string[]> {
    return this.#values.topics(pattern, limit);
  }

  lastValues(topics: readonly string[]): Promise<readonly Message[]> {
    return this.#values.of(topics);
  }

  async close(): Promise<void> {
    this.#listener = undefined;
    this.#namespaces.clear();
    this.#unfollowed.clear();
    this.#filled.clear();
  }

  #use(namespace: string): Kept {
    const kept = this.#namespaces.get(namespace) ?? new Kept(this.#emptyEpoch);
    this.#namespaces.set(namespace, kept);
    if (this.#filled.delete(kept)) this.#filled.add(kept);
    if (this.#followers.has(namespace)) return kept;
    this.#unfollowed.delete(namespace);
    this.#unfollowed.add(namespace);
    this.#forgetOldest();
    return kept;
  }

  #forgetOldest(): void {
    for (const namespace of this.#unfollowed) {
      if (this.#unfollowed.size <= this.#options.namespaces) return;
      const kept = this.#namespaces.get(namespace);
      if (kept !== undefined) this.#drop(kept, kept.messages.length);
      this.#namespaces.delete(namespace);
      this.#unfollowed.delete(namespace);
      this.#emptyEpoch = newEpoch();
    }
  }

  #drop(kept: Kept, count: number): void {
    this.#bytes -= kept.drop(count);
    if (kept.messages.length === 0) this.#filled.delete(kept);
  }

  #limit(kept: Kept): void {
    const { messages } = this.#options.history;
    this.#dropOutdated(kept);
    // A quarter more may stay, so that the rest is not moved for each message.
    if (kept.messages.length > messages * 1.25) this.#drop(kept, kept.messages.length - messages);
    for (const oldest of this.#filled) {
      if (this.#bytes <= this.#options.historyBytes) return;
      while (this.#bytes > this.#options.historyBytes && oldest.messages.length > 0)
        this.#drop(oldest, Math.ceil(oldest.messages.length / 4));
    }
  }

  #dropOutdated(kept: Kept): void {
    const from = this.#options.now() - this.#options.history.ms;
    const first = kept.messages.findIndex(({ time }) => time >= from);
    if (first !== 0) this.#drop(kept, first < 0 ? kept.messages.length : first);
  }
}
