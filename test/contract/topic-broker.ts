import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import type {
  BrokerListener,
  HistoryLimits,
  Message,
  Publication,
  TopicBroker,
  TotalLimits,
} from "../../src/topics/broker.ts";
import { eventually } from "../support/eventually.ts";
import { within } from "../support/within.ts";

export interface BrokerBackend {
  /** The broker of a node; `another` node's where the adapter has several. */
  node(history: HistoryLimits, total?: Partial<TotalLimits>): TopicBroker;
  /** Cuts every connection; whoever lost it makes it anew. Never called where nodes are not processes of their own. */
  cut(): Promise<void>;
  /** Cuts those that listen. */
  cutListeners(): Promise<void>;
  /** Everything that was kept is lost. Never called there either. */
  lose(): Promise<void>;
  dispose(): Promise<void>;
}

export interface BrokerContract {
  readonly name: string;
  readonly create: () => Promise<BrokerBackend>;
  /** Whether nodes are processes of their own. */
  readonly shared: boolean;
}

export function publicationOf(topic: string, data: number | string): Publication {
  const publisher = { userId: "u1", isSystem: true };
  return { topic, data, bytes: 8, time: Date.now(), publisher, rightsVersion: 7 };
}

/** A listener that remembers what it heard. */
export class Listener implements BrokerListener {
  readonly messages: Message[] = [];
  readonly gaps: (string | undefined)[] = [];
  #waiting: (() => void)[] = [];

  onMessage(message: Message): void {
    this.messages.push(message);
    this.#wake();
  }

  onGap(namespace: string | undefined): void {
    this.gaps.push(namespace);
    this.#wake();
  }

  async until(holds: () => boolean, what: string): Promise<void> {
    while (!holds()) await within(new Promise<void>((resolve) => this.#waiting.push(resolve)), what);
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

const roomy: HistoryLimits = { messages: 1_000, ms: 60_000, lastValues: 20 };

/** What every adapter of the topic broker guarantees. */
export function topicBrokerContract({ name, create, shared }: BrokerContract): void {
  describe(`topic broker contract: ${name}`, () => {
    let backend: BrokerBackend;
    let namespaces = 0;
    const brokers: TopicBroker[] = [];
    const node = (history = roomy, total: Partial<TotalLimits> = {}) => {
      const broker = backend.node(history, total);
      const listener = new Listener();
      broker.start(listener);
      brokers.push(broker);
      return { broker, listener };
    };
    const newNamespace = () => {
      namespaces += 1;
      return `n${namespaces} {x}`;
    };
    /** The first calls fail if the connection takes longer than its deadline, which a busy machine makes likely. */
    const ready = async ({ broker }: { readonly broker: TopicBroker }) => {
      await eventually("the broker", async () => {
        await broker.publish([publicationOf(newNamespace(), 0)]);
        return true;
      });
    };
    beforeAll(async () => {
      backend = await create();
    });
    afterEach(async () => {
      await Promise.all(brokers.splice(0).map((broker) => broker.close()));
    });
    afterAll(() => backend.dispose());

    it("delivers to every node that follows, once, in the publisher's order, with the positions that it answered", async () => {
      const one = node();
      const other = shared ? node() : one;
      await Promise.all([ready(one), ready(other)]);
      const namespace = newNamespace();
      const { epoch, sequence } = await one.broker.follow(namespace);
      expect([epoch, sequence]).toEqual([expect.stringMatching(/^[0-9a-f]+$/), 0]);
      await other.broker.follow(namespace);
      const published = await Promise.all(
        Array.from({ length: 300 }, (_, n) =>
          one.broker.publish([publicationOf(`${namespace}/ä/${n % 3}`, n)]),
        ),
      );
      expect(published.flat()).toEqual(published.map((_, n) => ({ epoch, sequence: n + 1 })));
      await one.broker.publish([publicationOf("elsewhere", 1)]);
      for (const { listener } of new Set([one, other])) {
        await listener.until(() => listener.messages.length >= 300, "the messages");
        expect(listener.messages.map(({ data }) => data)).toEqual(published.map((_, n) => n));
        expect(listener.messages.map(({ position }) => position)).toEqual(published.flat());
        expect(listener.messages[5]).toMatchObject({
          topic: `${namespace}/ä/2`,
          publisher: { userId: "u1", isSystem: true },
          rightsVersion: 7,
          isOwn: listener === one.listener,
        });
        expect(listener.gaps).toEqual([]);
      }
    });

    it("answers a batch with the position of each, and keeps its order", async () => {
      const one = node();
      await ready(one);
      const [a, b] = [newNamespace(), newNamespace()];
      const topics = [a, b, `${a}/x`, b, a];
      const positions = await one.broker.publish(topics.map((topic, n) => publicationOf(topic, n)));
      expect(positions.map(({ sequence }) => sequence)).toEqual([1, 1, 2, 2, 3]);
      expect(await one.broker.history(a, { epoch: positions[0]?.epoch ?? "", sequence: 0 }, 3)).toMatchObject(
        [
          { data: 0, topic: a },
          { data: 2, topic: `${a}/x` },
          { data: 4, topic: a },
        ],
      );
    });

    it("delivers what comes after the position that follow answers, until nobody follows any more", async () => {
      const { broker, listener } = node();
      await ready({ broker });
      const [namespace, other] = [newNamespace(), newNamespace()];
      await broker.publish([publicationOf(namespace, 1)]);
      const position = await broker.follow(namespace);
      expect(position.sequence).toBe(1);
      expect(await broker.follow(namespace)).toEqual(position);
      await broker.follow(other);
      broker.unfollow(namespace);
      await broker.publish([publicationOf(namespace, 2)]);
      await listener.until(() => listener.messages.length === 1, "the second message");
      broker.unfollow(namespace);
      await broker.publish([publicationOf(namespace, 3), publicationOf(other, 4)]);
      await listener.until(() => listener.messages.some(({ data }) => data === 4), "the last message");
      expect(listener.messages.map(({ data }) => data)).toEqual([2, 4]);
    });

    it("delivers every namespace to whoever follows all", async () => {
      const one = node();
      const other = shared ? node() : one;
      await ready(one);
      await eventually("the other node", async () => {
        await other.broker.followAll();
        return true;
      });
      const names = Array.from({ length: 20 }, newNamespace);
      await one.broker.publish(names.map((name, n) => publicationOf(`${name}/x`, n)));
      const { listener } = other;
      const own = () => listener.messages.filter(({ topic }) => names.some((name) => topic === `${name}/x`));
      await listener.until(() => own().length === 20, "all of them");
      expect(own().map(({ data }) => data)).toHaveLength(20);
      other.broker.unfollowAll();
    });

    it("has the history of a namespace that it follows, also of before it followed it", async () => {
      const { broker, listener } = node();
      await ready({ broker });
      const namespace = newNamespace();
      const publish = (from: number, to: number) =>
        broker.publish(
          Array.from({ length: to - from + 1 }, (_, at) =>
            publicationOf(`${namespace}/${at % 2}`, from + at),
          ),
        );
      await publish(1, 10);
      const { epoch } = await broker.follow(namespace);
      await publish(11, 400);
      await listener.until(() => listener.messages.length === 390, "the messages");
      const ranges = [
        [0, 400],
        [5, 15],
        [10, 400],
        [100, 120],
        [350, 360],
        [399, 400],
      ] as const;
      for (const [after, upTo] of ranges) {
        const messages = await broker.history(namespace, { epoch, sequence: after }, upTo);
        expect(messages?.map(({ data }) => data)).toEqual(
          Array.from({ length: upTo - after }, (_, at) => after + 1 + at),
        );
      }
      expect(await broker.history(namespace, { epoch: "0123456789ab", sequence: 390 }, 400)).toBeUndefined();
    });

    it("has everything for whoever looked at a namespace before its first message, and for nobody who saw a forgotten one", async () => {
      // In a Cluster each of the 16 parts forgets for itself, so more namespaces than these come below.
      const { broker } = node(roomy, { namespaces: 16 });
      await ready({ broker });
      const lookAt = async (namespace: string) => {
        const position = await broker.follow(namespace);
        broker.unfollow(namespace);
        return position;
      };
      const publish = async (namespace: string, data: number) => {
        const [position] = await broker.publish([publicationOf(namespace, data)]);
        return position ?? { epoch: "", sequence: 0 };
      };
      const [namespace, quiet] = [newNamespace(), newNamespace()];
      const start = await lookAt(namespace);
      expect(start.sequence).toBe(0);
      expect(await lookAt(namespace)).toEqual(start);
      await publish(namespace, 1);
      expect(await publish(namespace, 2)).toEqual({ epoch: start.epoch, sequence: 2 });
      expect((await broker.history(namespace, start, 2))?.map(({ data }) => data)).toEqual([1, 2]);
      const quietStart = await lookAt(quiet);
      await eventually("another epoch", async () => {
        for (let n = 0; n < 64; n += 1) await publish(newNamespace(), n);
        return (await lookAt(namespace)).epoch !== start.epoch;
      });
      expect(await broker.history(namespace, start, 2)).toBeUndefined();
      const again = [await publish(namespace, 3), await publish(namespace, 4)];
      expect(again.map(({ sequence }) => sequence)).toEqual([1, 2]);
      expect(again[0]?.epoch).not.toBe(start.epoch);
      expect(await broker.history(namespace, start, 2)).toBeUndefined();
      // Whether it is told that it has all or that some may be lost, it is not told too much.
      const { epoch } = await publish(quiet, 5);
      const missed = await broker.history(quiet, quietStart, 1);
      expect(missed?.map(({ data }) => data)).toEqual(epoch === quietStart.epoch ? [5] : undefined);
    });

    it("forgets nothing because of namespaces that somebody only looked at", async () => {
      const { broker } = node(roomy, { namespaces: 16 });
      await ready({ broker });
      const namespace = newNamespace();
      const [position] = await broker.publish([publicationOf(namespace, 1)]);
      for (let n = 0; n < 200; n += 1) {
        const other = newNamespace();
        await broker.follow(other);
        broker.unfollow(other);
      }
      expect(await broker.follow(namespace)).toEqual(position);
      expect(await broker.history(namespace, { epoch: position?.epoch ?? "", sequence: 0 }, 1)).toMatchObject(
        [{ data: 1 }],
      );
    });

    it("keeps as many as it should, and says when not all are kept", async () => {
      const { broker } = node({ ...roomy, messages: 100 });
      await ready({ broker });
      const namespace = newNamespace();
      const all = Array.from({ length: 1_000 }, (_, n) => publicationOf(namespace, n));
      const positions = await broker.publish(all);
      const { epoch } = positions[0] ?? { epoch: "" };
      const history = (after: number, upTo: number, of = epoch) =>
        broker.history(namespace, { epoch: of, sequence: after }, upTo);
      expect((await history(900, 1_000))?.map(({ data }) => data)).toEqual(
        Array.from({ length: 100 }, (_, at) => 900 + at),
      );
      expect((await history(950, 951))?.map(({ position }) => position)).toEqual([{ epoch, sequence: 951 }]);
      expect(await history(1_000, 1_000)).toEqual([]);
      expect(await history(10, 1_000)).toBeUndefined();
      expect(await history(0, 10)).toBeUndefined();
      expect(await history(1_001, 1_000)).toBeUndefined();
      expect(await history(900, 1_000, "0123456789ab")).toBeUndefined();
    });

    it("keeps the last value of topics until its time ends, or it is removed, and a bounded number of them", async () => {
      const one = node();
      const other = shared ? node() : one;
      await Promise.all([ready(one), ready(other)]);
      const namespace = newNamespace();
      const put = (topic: string, data: number, retainMs?: number) =>
        one.broker.publish([{ ...publicationOf(`${namespace}/${topic}`, data), retainMs }]);
      const last = async (pattern: string, limit = 100) =>
        (await other.broker.lastValues(await other.broker.lastTopics(`${namespace}/${pattern}`, limit))).map(
          ({ topic, data }) => [topic.slice(namespace.length + 1), data],
        );
      await put("a", 1, 60_000);
      await put("b/x", 2, 60_000);
      const [position] = await put("a", 3, 60_000);
      await put("a", 4);
      await put("c", 5);
      await put("short", 6, 1);
      await eventually("its end", async () => (await last("short")).length === 0);
      expect(await last("#")).toEqual([
        ["a", 3],
        ["b/x", 2],
      ]);
      expect(await last("#", 1)).toEqual([["a", 3]]);
      expect(await last("+")).toEqual([["a", 3]]);
      expect(await last("b/x")).toEqual([["b/x", 2]]);
      expect(await last("c")).toEqual([]);
      const [whole, none] = await other.broker.lastValues([`${namespace}/a`, `${namespace}/c`]);
      expect(none).toBeUndefined();
      expect(whole).toMatchObject({ position, publisher: { userId: "u1", isSystem: true } });
      await put("a", 0, 0);
      expect(await last("#")).toEqual([["b/x", 2]]);
      for (let n = 0; n < 25; n += 1) await put(`many/${n}`, n, 100_000 + n);
      expect((await last("#")).map(([, data]) => Number(data)).sort((x, y) => x - y)).toEqual(
        Array.from({ length: 20 }, (_, at) => 5 + at),
      );
    });

    it("keeps a bounded size of last values of all namespaces together: those go that would end first", async () => {
      // In a Cluster each of the 16 parts has a sixteenth.
      const { broker } = node(roomy, { lastValueBytes: 16 * 30_000 });
      await ready({ broker });
      const names = Array.from({ length: 300 }, newNamespace);
      for (const [n, name] of names.entries()) {
        const publication = { ...publicationOf(`${name}/x`, "x".repeat(4_000)), bytes: 4_002 };
        const [position] = await broker.publish([{ ...publication, retainMs: 100_000 + n * 1_000 }]);
        expect(position?.sequence).toBe(1);
      }
      const kept: number[] = [];
      for (const [n, name] of names.entries())
        if ((await broker.lastValues([`${name}/x`])).length > 0) kept.push(n);
      expect(kept.length * 4_000).toBeLessThanOrEqual(16 * 30_000);
      expect(kept.length).toBeGreaterThan(30);
      expect(kept).toContain(299);
      expect(kept).not.toContain(0);
      expect(Math.min(...kept)).toBeGreaterThan(40);
      // What is removed makes room.
      const last = `${names[299]}/x`;
      await broker.publish([{ ...publicationOf(last, 0), retainMs: 0 }]);
      expect(await broker.lastValues([last])).toEqual([]);
      expect(await broker.lastTopics(`${names[0]}/#`, 10)).toEqual([]);
    });

    it("keeps a bounded size of messages of all namespaces together: of the least recently used they go first", async () => {
      const { broker } = node(roomy, { historyBytes: 16 * 30_000 });
      await ready({ broker });
      const names = Array.from({ length: 300 }, newNamespace);
      const first = [];
      for (const name of names) {
        const publication = { ...publicationOf(`${name}/x`, "x".repeat(4_000)), bytes: 4_002 };
        const [position] = await broker.publish([publication]);
        first.push({ epoch: position?.epoch ?? "", sequence: 0 });
      }
      const kept: number[] = [];
      for (const [n, after] of first.entries())
        if ((await broker.history(names[n] ?? "", after, 1)) !== undefined) kept.push(n);
      expect(kept.length * 4_000).toBeLessThanOrEqual(16 * 30_000);
      expect(kept.length).toBeGreaterThan(20);
      expect(kept).toContain(299);
      expect(Math.min(...kept)).toBeGreaterThan(40);
      // One that has all of it loses its own oldest messages, and goes on with its sequence.
      const busy = newNamespace();
      const all = Array.from({ length: 300 }, () => ({
        ...publicationOf(busy, "x".repeat(4_000)),
        bytes: 4_002,
      }));
      const positions = await broker.publish(all);
      const { epoch } = positions[0] ?? { epoch: "" };
      expect(positions.at(-1)).toEqual({ epoch, sequence: 300 });
      expect(await broker.history(busy, { epoch, sequence: 0 }, 300)).toBeUndefined();
      expect(await broker.history(busy, { epoch, sequence: 299 }, 300)).toHaveLength(1);
    });

    if (shared) {
      it("delivers what it missed while its connections were lost, each once and in order", async () => {
        const [one, other] = [node(), node()];
        await Promise.all([ready(one), ready(other)]);
        const namespace = newNamespace();
        await other.broker.follow(namespace);
        let sent = 0;
        const publish = async () => {
          await one.broker.publish([publicationOf(namespace, sent + 1)]);
          sent += 1;
        };
        await publish();
        for (let round = 0; round < 3; round += 1) {
          await backend.cut();
          const end = sent + 20;
          // A call that was cut off may have published all the same: then the sequence shows it.
          await eventually("more messages", async () => {
            while (sent < end) await publish();
            return true;
          });
        }
        const { listener } = other;
        await listener.until(() => listener.messages.some(({ data }) => data === sent), "the last message");
        const sequences = listener.messages.map(({ position }) => position.sequence);
        expect(sequences).toEqual(sequences.map((_, at) => at + 1));
        expect(listener.gaps).toEqual([]);
      });

      it("tells a gap if messages were lost and are not kept", async () => {
        const few: HistoryLimits = { ...roomy, messages: 0 };
        const [one, other] = [node(few), node(few)];
        await Promise.all([ready(one), ready(other)]);
        const namespace = newNamespace();
        await other.broker.follow(namespace);
        await one.broker.publish([publicationOf(namespace, 1)]);
        const { listener } = other;
        await listener.until(() => listener.messages.length === 1, "a message before the loss");
        // Until messages were published while nobody listened.
        await eventually("a gap", async () => {
          await backend.cutListeners();
          for (let n = 0; n < 5; n += 1)
            await one.broker.publish([publicationOf(namespace, n)]).catch(() => undefined);
          return listener.gaps.length > 0;
        });
        expect(listener.gaps[0]).toBe(namespace);
      });

      it("begins a new epoch if the store lost everything, and says so", async () => {
        const [one, other] = [node(), node()];
        await Promise.all([ready(one), ready(other)]);
        const namespace = newNamespace();
        const { epoch } = await other.broker.follow(namespace);
        await one.broker.publish([publicationOf(namespace, 1)]);
        const { listener } = other;
        await listener.until(() => listener.messages.length === 1, "a message before the loss");
        await backend.lose();
        await ready(one);
        await eventually("a message after the loss", async () => {
          await one.broker.publish([publicationOf(namespace, 2)]);
          return listener.messages.some(({ data }) => data === 2);
        });
        const after = listener.messages.filter(({ data }) => data === 2);
        expect(after[0]?.position.epoch).not.toBe(epoch);
        expect(listener.gaps).toContain(namespace);
        expect(await other.broker.history(namespace, { epoch, sequence: 0 }, 1)).toBeUndefined();
      });
    }
  });
}
