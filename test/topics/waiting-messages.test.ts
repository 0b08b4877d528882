import fc from "fast-check";
import { expect, it } from "vitest";

import type { Message } from "../../src/topics/broker.ts";
import { WaitingMessages, waitingLimits } from "../../src/topics/waiting-messages.ts";

const many = 10_000;

function setUp() {
  const told: string[] = [];
  const waiting = new WaitingMessages({
    onTaken: ({ topic, position }) => told.push(`${topic} ${position.sequence}`),
    onLost: (namespace, { sequence }) => told.push(`${namespace} lost ${sequence}`),
    attempt: (task) => task(),
  });
  const sequences = new Map<string, number>();
  const add = (namespace: string, userId: string, cost: number) => {
    const sequence = (sequences.get(namespace) ?? 0) + 1;
    sequences.set(namespace, sequence);
    const message: Message = {
      topic: namespace,
      data: 1,
      bytes: 4,
      time: 0,
      publisher: { userId, isSystem: false },
      rightsVersion: 0,
      position: { epoch: "e", sequence },
      isOwn: true,
    };
    waiting.add(message, cost);
    return sequence;
  };
  const take = () =>
    waiting.take().map(({ message: { topic, position } }) => `${topic} ${position.sequence}`);
  return { waiting, told, add, take };
}

it("whoever publishes to many delays others by no more than one round, although their own messages wait", () => {
  const { add, take } = setUp();
  for (let n = 0; n < 100; n += 1) add("flood", "f", many);
  expect(take()).toHaveLength(16);
  for (const name of ["a", "b", "c"]) add(name, name, 1);
  expect(take()).toEqual([...Array.from({ length: 16 }, (_, at) => `flood ${17 + at}`)]);
  expect(take().slice(0, 4)).toEqual(["a 1", "b 1", "c 1", "flood 33"]);
});

it("what costs little goes together, in the order in which it came", () => {
  const { add, take } = setUp();
  const added = Array.from({ length: 200 }, (_, n) => `n${n % 3} ${add(`n${n % 3}`, "u", 2)}`);
  expect(take()).toEqual(added);
});

it("a user's messages wait up to a share of deliveries, and beyond two of them they are lost, which is told in their place", () => {
  const { waiting, add, take, told } = setUp();
  const { messages } = waitingLimits.share;
  for (let n = 0; n < messages; n += 1) {
    expect(waiting.roomFor("f")).toBe("room");
    add("flood", "f", many);
  }
  expect([waiting.roomFor("f"), waiting.roomFor("g")]).toEqual(["full", "room"]);
  for (let n = 0; n < 2 * messages; n += 1) add("flood", "f", many);
  add("flood", "g", 1);
  while (!waiting.isEmpty) take();
  const kept = Array.from({ length: 2 * messages }, (_, at) => `flood ${at + 1}`);
  expect(told).toEqual([...kept, `flood lost ${3 * messages}`, `flood ${3 * messages + 1}`]);
  expect(waiting.roomFor("f")).toBe("room");
  // Many messages for few subscriptions are no load.
  for (let n = 0; n < 1_000; n += 1) add("few", "f", 100);
  expect(waiting.roomFor("f")).toBe("room");
});

it("all users' messages together are bounded", () => {
  const { waiting, add, take, told } = setUp();
  for (let n = 0; n < waitingLimits.total.messages; n += 1) add(`n${n % 50}`, `u${n % 200}`, 1);
  expect(waiting.roomFor("other")).toBe("overloaded");
  const lost = add("other", "other", 1);
  while (!waiting.isEmpty) take();
  expect(told).toContain(`other lost ${lost}`);
  expect(waiting.roomFor("other")).toBe("room");
});

it("tasks run between the messages before them and those after them, and a namespace keeps its order", () => {
  const step = fc.record({
    namespace: fc.constantFrom("a", "b", "c"),
    kind: fc.constantFrom("message", "message", "task", "take"),
    cost: fc.constantFrom(1, many),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const { waiting, add, take } = setUp();
      const expected = new Map<string, string[]>();
      const seen = new Map<string, string[]>();
      const note = (to: Map<string, string[]>, namespace: string, what: string) =>
        to.set(namespace, [...(to.get(namespace) ?? []), what]);
      const round = () => {
        for (const taken of take()) note(seen, taken.slice(0, 1), taken);
      };
      let tasks = 0;
      for (const { namespace, kind, cost } of steps) {
        if (kind === "take") round();
        else if (kind === "message") note(expected, namespace, `${namespace} ${add(namespace, "u", cost)}`);
        else {
          const name = `task ${tasks++}`;
          note(expected, namespace, name);
          waiting.addTask(namespace, () => note(seen, namespace, name));
        }
      }
      while (!waiting.isEmpty) round();
      for (const namespace of ["a", "b", "c"]) expect(seen.get(namespace)).toEqual(expected.get(namespace));
    }),
  );
});
