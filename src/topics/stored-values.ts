import { segmentsOf } from "../../protocol/topic-pattern.ts";
import { hashed, indexKeys, recordKeys } from "../auth/record-keys.ts";
import type { JsonObject, Step, Store } from "../auth/store.ts";
import { type Message, namespaceOf } from "./broker.ts";
import { EndingFirst } from "./ending-first.ts";
import { standsFor } from "./topic-index.ts";

export interface StoredValuesOptions {
  readonly store: Pick<Store, "get" | "list" | "commit">;
  /** ms since the epoch. */
  readonly now: () => number;
  /** Values that are kept of each namespace. */
  readonly perNamespace: number;
  /** Of all values together. */
  readonly bytes: number;
}

interface Kept {
  readonly message: Message;
  readonly endsAt: number;
}

/** The values of one namespace. */
class Values {
  readonly byTopic = new Map<string, Kept>();
  readonly ending = new EndingFirst<Kept>();
}

/** What a value costs beside its data, bytes. An estimate. */
const overhead = 512;
const page = 500;

/**
 * The last values of topics in the store, for the one process that uses it. All are read at the first use, and are
 * answered from memory. Beyond the limits those go that would end first.
 */
export class StoredValues {
  readonly #options: StoredValuesOptions;
  readonly #values = new Map<string, Values>();
  readonly #all = new EndingFirst<Kept>();
  #bytes = 0;
  #loading: Promise<void> | undefined;
  /** Topics whose record is to be written, or removed. */
  readonly #changed = new Set<string>();
  #writing: Promise<void> | undefined;

  constructor(options: StoredValuesOptions) {
    this.#options = options;
  }

  /** Resolves once it is stored. Rejects with `unavailable`. */
  async save(message: Message, retainMs: number): Promise<void> {
    await this.#load();
    this.#set({ message, endsAt: this.#options.now() + retainMs });
    this.#changed.add(message.topic);
    this.#limit(namespaceOf(message.topic));
    await this.#write(message.topic);
  }

  async remove(topic: string): Promise<void> {
    await this.#load();
    if (!this.#drop(topic)) return;
    this.#changed.add(topic);
    await this.#write(topic);
  }

  /** At most `limit` of the pattern, whose first segment is no wildcard, in their order. */
  async topics(pattern: string, limit: number): Promise<readonly string[]> {
    await this.#load();
    const segments = segmentsOf(pattern);
    const now = this.#options.now();
    return [...(this.#values.get(segments[0] ?? "")?.byTopic.values() ?? [])]
      .filter(({ message, endsAt }) => endsAt > now && standsFor(segments, segmentsOf(message.topic)))
      .map(({ message }) => message.topic)
      .sort()
      .slice(0, limit);
  }

  /** Those that there are, in this order. */
  async of(topics: readonly string[]): Promise<readonly Message[]> {
    await this.#load();
    const now = this.#options.now();
    return topics.flatMap((topic) => {
      const kept = this.#values.get(namespaceOf(topic))?.byTopic.get(topic);
      return kept !== undefined && kept.endsAt > now ? [kept.message] : [];
    });
  }

  #set(kept: Kept): void {
    const { topic, bytes } = kept.message;
    this.#drop(topic);
    const namespace = namespaceOf(topic);
    const values = this.#values.get(namespace) ?? new Values();
    this.#values.set(namespace, values);
    values.byTopic.set(topic, kept);
    values.ending.add(kept);
    this.#all.add(kept);
    this.#bytes += bytes + overhead;
  }

  #drop(topic: string): boolean {
    const namespace = namespaceOf(topic);
    const values = this.#values.get(namespace);
    const kept = values?.byTopic.get(topic);
    if (values === undefined || kept === undefined) return false;
    values.byTopic.delete(topic);
    values.ending.delete(kept);
    this.#all.delete(kept);
    if (values.byTopic.size === 0) this.#values.delete(namespace);
    this.#bytes -= kept.message.bytes + overhead;
    return true;
  }

  #limit(namespace: string): void {
    const ending = this.#values.get(namespace)?.ending;
    if (ending !== undefined && ending.size > this.#options.perNamespace) this.#dropFirst(ending);
    while (this.#bytes > this.#options.bytes && this.#all.size > 0) this.#dropFirst(this.#all);
  }

  #dropFirst(among: EndingFirst<Kept>): void {
    const first = among.first();
    if (first === undefined) return;
    this.#drop(first.message.topic);
    this.#changed.add(first.message.topic);
  }

  #load(): Promise<void> {
    this.#loading ??= this.#read().catch((error: unknown) => {
      this.#loading = undefined;
      throw error;
    });
    return this.#loading;
  }

  async #read(): Promise<void> {
    const { store } = this.#options;
    let after: string | undefined;
    for (;;) {
      const members = await store.list(indexKeys.lastValues, { after, limit: page });
      const records = await store.get(members.map((member) => recordKeys.lastValueOfHash(member)));
      const gone = members.filter((_, at) => records[at] === undefined);
      if (gone.length > 0)
        await store.commit({ unlink: gone.map((member) => ({ index: indexKeys.lastValues, member })) });
      for (const record of records) if (record !== undefined) this.#set(keptOf(record.value));
      after = members.at(-1);
      if (members.length < page) return;
    }
  }

  /** A commit that has begun already may not have this change. The next one has it. */
  async #write(topic: string): Promise<void> {
    for (let commits = 0; commits < 2 && this.#changed.has(topic); commits += 1) {
      this.#writing ??= this.#commitAll().finally(() => {
        this.#writing = undefined;
      });
      await this.#writing;
    }
  }

  async #commitAll(): Promise<void> {
    // What changes in this tick goes together.
    await Promise.resolve();
    const topics = [...this.#changed];
    this.#changed.clear();
    const kept = topics.flatMap((topic) => this.#values.get(namespaceOf(topic))?.byTopic.get(topic) ?? []);
    const present = new Set(kept.map(({ message }) => message.topic));
    const gone = topics.filter((topic) => !present.has(topic));
    const member = (topic: string) => ({ index: indexKeys.lastValues, member: hashed(topic) });
    const step: Step = {
      put: kept.map((each) => ({
        key: recordKeys.lastValueOfHash(hashed(each.message.topic)),
        value: recordValueOf(each),
        expiresAt: each.endsAt,
      })),
      link: [...present].map(member),
      remove: gone.map((topic) => recordKeys.lastValueOfHash(hashed(topic))),
      unlink: gone.map(member),
    };
    try {
      await this.#options.store.commit(step);
    } catch (error) {
      for (const topic of topics) this.#changed.add(topic);
      throw error;
    }
  }
}

function recordValueOf({ message, endsAt }: Kept): JsonObject {
  const { topic, data, bytes, time, publisher, rightsVersion, position } = message;
  return {
    topic,
    data,
    bytes,
    time,
    user_id: publisher.userId,
    is_system: publisher.isSystem,
    rights_version: rightsVersion,
    epoch: position.epoch,
    sequence: position.sequence,
    ends_at: endsAt,
  };
}

/** Only this file writes these records. */
function keptOf(value: JsonObject): Kept {
  const stored = value as unknown as {
    readonly topic: string;
    readonly data: Message["data"];
    readonly bytes: number;
    readonly time: number;
    readonly user_id: string;
    readonly is_system: boolean;
    readonly rights_version: number;
    readonly epoch: string;
    readonly sequence: number;
    readonly ends_at: number;
  };
  const { topic, data, bytes, time, epoch, sequence } = stored;
  const publisher = { userId: stored.user_id, isSystem: stored.is_system };
  const position = { epoch, sequence };
  const message = { topic, data, bytes, time, publisher, position, rightsVersion: stored.rights_version };
  return { message: { ...message, isOwn: true }, endsAt: stored.ends_at };
}
