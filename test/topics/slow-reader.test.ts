import { describe, expect, it } from "vitest";

import { eventually } from "../support/eventually.ts";
import { transportNames } from "../support/gateway.ts";
import type { Message } from "../support/socket-client.ts";
import { startSocketGateway } from "../support/socket-gateway.ts";
import { roomyTopics, testTopics } from "../support/topics.ts";

interface Event {
  readonly data?: { readonly n: number };
  readonly gap?: number | null;
}

const topic = "feed/x";

function eventsOf(received: readonly unknown[]): readonly Event[] {
  return (received.flat() as Message[])
    .filter(({ type }) => type === "event")
    .map(({ event }) => event as Event);
}

describe.each(transportNames)("a subscriber that does not read, on %s", (transport) => {
  it("loses the oldest, is told how many, and harms nobody; with conflate it gets the newest of each topic", async () => {
    const gateway = await startSocketGateway({
      transport,
      topics: (node) =>
        testTopics(node, { limits: { ...roomyTopics, outlet: { messages: 50, bytes: 10_000_000 } } }),
      limits: { messagesPerSecond: 1_000_000, messagesPerSecondPerUser: 1_000_000 },
    });
    try {
      const owner = await gateway.owner();
      const [publisher, slow, conflating, healthy] = await Promise.all(
        [0, 1, 2, 3].map(async () => (await gateway.enter(owner)).client),
      );
      if (!publisher || !slow || !conflating || !healthy) throw new Error("four clients");
      await slow.call("gatehouse/topics/subscribe", { pattern: "feed/#" });
      await conflating.call("gatehouse/topics/subscribe", { pattern: "feed/#", conflate: true });
      await healthy.call("gatehouse/topics/subscribe", { pattern: "feed/#" });
      slow.pause();
      conflating.pause();
      const padding = "x".repeat(15_000);
      const count = 1_500;
      for (let n = 1; n <= count; n += 1) {
        const message = { topic: n % 10 === 0 ? "feed/rare" : topic, data: { n, padding } };
        expect(await publisher.call("gatehouse/topics/publish", message)).toMatchObject({ success: true });
      }
      await eventually("the one that reads to have all", () => eventsOf(healthy.received).length === count);
      expect(eventsOf(healthy.received).map(({ data }) => data?.n)).toEqual(
        Array.from({ length: count }, (_, at) => at + 1),
      );
      slow.resume();
      conflating.resume();
      const last = (received: readonly unknown[]) => eventsOf(received).at(-1)?.data?.n;
      await eventually("the newest", () => last(slow.received) === count);
      await eventually("the newest", () =>
        eventsOf(conflating.received).some(({ data }) => data?.n === count),
      );
      await Promise.all([slow.call("ping"), conflating.call("ping")]);
      let expected = 1;
      let gaps = 0;
      for (const { data, gap } of eventsOf(slow.received)) {
        if (data === undefined) {
          gaps += 1;
          expected += gap ?? Number.NaN;
        } else {
          expect(data.n).toBe(expected);
          expected += 1;
        }
      }
      expect([gaps > 0, expected]).toEqual([true, count + 1]);
      const newest = eventsOf(conflating.received);
      expect(newest.filter(({ data }) => data === undefined)).toEqual([]);
      expect(newest.length).toBeLessThan(count);
      for (const each of [count, count - 1]) expect(newest.map(({ data }) => data?.n)).toContain(each);
      const frequent = newest.flatMap(({ data }) => (data && data.n % 10 !== 0 ? [data.n] : []));
      expect(frequent).toEqual([...frequent].sort((one, other) => one - other));
    } finally {
      await gateway.stop();
    }
  });
});
