import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { type BusListener, type EventBus, maxMessageBytes } from "../../src/auth/event-bus.ts";
import type { JsonObject } from "../../src/auth/store.ts";
import { eventually } from "../support/eventually.ts";
import { within } from "../support/within.ts";

export interface BusBackend {
  /** The bus of a node; `another` node's where the adapter has several. */
  node(told?: BusTold): EventBus;
  /** Cuts every connection; whoever lost it makes it anew. Never called where nodes are not processes of their own. */
  cut(): Promise<void>;
  dispose(): Promise<void>;
}

export interface BusTold {
  readonly onFault?: (error: unknown) => void;
}

export interface BusContract {
  readonly name: string;
  readonly create: () => Promise<BusBackend>;
  /** Whether nodes are processes of their own. */
  readonly shared: boolean;
}

/** A listener that remembers what it heard. */
export class Ear implements BusListener {
  readonly heard: JsonObject[] = [];
  gaps = 0;
  #waiting: (() => void)[] = [];

  readonly onMessage = (message: JsonObject): void => {
    this.heard.push(message);
    this.#wake();
  };
  readonly onGap = (): void => {
    this.gaps += 1;
    this.#wake();
  };

  async until(holds: () => boolean, what: string): Promise<void> {
    while (!holds()) await within(new Promise<void>((resolve) => this.#waiting.push(resolve)), what);
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** What every adapter of the event bus guarantees. */
export function eventBusContract({ name, create, shared }: BusContract): void {
  describe(`event bus contract: ${name}`, () => {
    let backend: BusBackend;
    const buses: EventBus[] = [];
    const node = (told?: BusTold) => {
      const bus = backend.node(told);
      buses.push(bus);
      return bus;
    };
    const listening = async (bus: EventBus, topic = "a") => {
      const ear = new Ear();
      const end = bus.subscribe(topic, ear);
      await ear.until(() => ear.gaps > 0, "the listener to hear the others");
      return { ear, end };
    };
    /** The first messages are lost if the connection takes longer than its deadline, which a busy machine makes likely. */
    const reaches = async (from: EventBus, to: EventBus) => {
      const { ear } = await listening(to, "first");
      await eventually("a message from the other node", () => {
        from.publish("first", {});
        return ear.heard.length > 0;
      });
    };
    beforeAll(async () => {
      backend = await create();
    });
    afterEach(async () => {
      await Promise.all(buses.splice(0).map((bus) => bus.close()));
    });
    afterAll(() => backend.dispose());

    it("delivers to every listener of the topic on every node, once, in the publisher's order", async () => {
      const one = node();
      const other = shared ? node() : one;
      await reaches(one, other);
      const ears = await Promise.all([listening(one), listening(one), listening(other)]);
      const { ear: deaf } = await listening(other, "b");
      for (let n = 1; n <= 50; n += 1) one.publish("a", { n, text: 'ä"\n' });
      one.publish("b", { n: 0 });
      await deaf.until(() => deaf.heard.length > 0, "the last message");
      for (const { ear } of ears) await ear.until(() => ear.heard.length >= 50, "fifty messages");
      const sent = Array.from({ length: 50 }, (_, at) => ({ n: at + 1, text: 'ä"\n' }));
      for (const { ear } of ears) expect(ear.heard).toEqual(sent);
      expect(deaf.heard).toEqual([{ n: 0 }]);
    });

    it("tells nobody before publish has returned, and nobody who has ended", async () => {
      const bus = node();
      const { ear, end } = await listening(bus);
      const { ear: other } = await listening(bus);
      bus.publish("a", { n: 1 });
      expect(ear.heard).toEqual([]);
      await ear.until(() => ear.heard.length === 1, "the first message");
      end();
      end();
      bus.publish("a", { n: 2 });
      await other.until(() => other.heard.length === 2, "the second message");
      expect(ear.heard).toEqual([{ n: 1 }]);
    });

    it("says to each listener that messages before it may be lost", async () => {
      const bus = node();
      await listening(bus);
      await listening(bus);
    });

    it("throws into no caller: not for a message that is too long, not after its end", async () => {
      const faults: unknown[] = [];
      const bus = node({ onFault: (error) => faults.push(error) });
      const { ear } = await listening(bus);
      const longest = "x".repeat(maxMessageBytes - JSON.stringify(["a", { text: "" }]).length);
      bus.publish("a", { text: `${longest}x` });
      expect(faults).toHaveLength(1);
      bus.publish("a", { text: longest });
      await ear.until(() => ear.heard.length === 1, "the longest message");
      expect(ear.heard).toEqual([{ text: longest }]);
      await bus.close();
      await bus.close();
      bus.publish("a", { n: 1 });
      bus.subscribe("a", ear)();
      expect(ear.heard).toHaveLength(1);
    });

    it("a listener that throws harms no other, and the fault is reported", async () => {
      const faults: unknown[] = [];
      const bus = node({ onFault: (error) => faults.push(error) });
      const fault = new Error("a listener's fault");
      const fail = () => {
        throw fault;
      };
      bus.subscribe("a", { onMessage: fail, onGap: fail });
      const { ear } = await listening(bus);
      bus.publish("a", { n: 1 });
      await ear.until(() => ear.heard.length === 1, "the message");
      expect(faults).toContain(fault);
    });

    if (shared) {
      it("says that there was a gap after its connections were lost, and goes on", async () => {
        const [one, other] = [node(), node()];
        const { ear } = await listening(other);
        one.publish("a", { n: 1 });
        await ear.until(() => ear.heard.length === 1, "a message before the loss");
        await backend.cut();
        await ear.until(() => ear.gaps >= 2, "the gap");
        // The sender reconnects by itself; what it is given meanwhile is lost.
        for (let n = 2; ear.heard.length < 2; n += 1) {
          one.publish("a", { n });
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      });
    }
  });
}
