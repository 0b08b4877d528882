import fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { Permissions } from "../../src/auth/permissions/permissions.ts";
import { createJsonCodec } from "../../src/codec/json.ts";
import type { SharedOutcome, SocketSession } from "../../src/connection/session.ts";
import type { Message } from "../../src/topics/broker.ts";
import { FanOut } from "../../src/topics/fan-out.ts";
import { SubscriberGroups } from "../../src/topics/subscriber-groups.ts";
import { Subscription } from "../../src/topics/subscription.ts";
import { TopicOutlet } from "../../src/topics/topic-outlet.ts";
import { Verdicts } from "../../src/topics/verdicts.ts";
import { quietTopicsObserver } from "../support/topics.ts";

const codec = createJsonCodec();
const topics = ["a/x", "a/y", "b/x"];
const verdicts = new Verdicts();

function permissionsOf(readable: readonly string[]): Permissions {
  return {
    isAdmin: false,
    mayUseEntity: () => false,
    mayUseTopic: (topic) => readable.includes(topic),
    mayUseSomeOf: () => true,
    mayCommand: () => false,
  };
}

const all = permissionsOf(topics);
const some = permissionsOf(["a/x", "b/x"]);
const none = permissionsOf([]);

function messageOf(topic: string, sequence: number): Message {
  const publisher = { userId: "u", isSystem: false };
  const position = { epoch: "e", sequence };
  return { topic, data: sequence, bytes: 4, time: 0, publisher, rightsVersion: 0, position, isOwn: true };
}

/** A subscription whose socket takes frames or not, as the test says. */
class Reader {
  outcome: SharedOutcome = "sent";
  permissions = all;
  readonly heard: number[] = [];
  readonly forbidden: unknown[] = [];
  readonly subscription: Subscription;

  constructor(pattern: string, id: number) {
    const session = {
      features: new Set(),
      hasRoom: true,
      sendShared: ({ frames }: { readonly frames: readonly string[] }) => {
        if (this.outcome === "sent") for (const frame of frames) this.#hear(frame);
        return this.outcome;
      },
    } as unknown as SocketSession;
    const outlet = new TopicOutlet({
      session,
      codec,
      limits: { messages: 1_000, bytes: 1_000_000 },
      verdicts,
      observer: quietTopicsObserver,
      onClosed: () => undefined,
    });
    const own = { id, pattern, userId: "u", conflates: false, isOfEvents: false, onEnd: () => undefined };
    this.subscription = new Subscription({ session, codec, outlet, caller: this, ...own });
  }

  get rights(): Permissions {
    return this.permissions;
  }

  #hear(frame: string): void {
    const { event } = JSON.parse(frame) as { event: { topic: string; data: number } };
    this.heard.push(event.data);
    if (!this.permissions.mayUseTopic(event.topic, "read")) this.forbidden.push(event);
  }
}

function nodeOf(taken: (message: Message) => void = () => undefined) {
  const groups = new SubscriberGroups();
  const faults: unknown[] = [];
  const lost: string[] = [];
  let now = 0;
  const fanOut = new FanOut({
    groups,
    verdicts,
    observer: quietTopicsObserver,
    // Every reading of the clock ends a turn, so that everything may happen between two sockets.
    monotonic: () => (now += 100),
    onTaken: taken,
    onLost: (namespace, { sequence }) => lost.push(`${namespace} ${sequence}`),
    onFault: (error) => faults.push(error),
  });
  /** As a socket whose user's rights change. */
  const change = (reader: Reader, to: Permissions) => {
    reader.permissions = to;
    fanOut.later(() => groups.regroup(reader.subscription, to));
  };
  return { groups, fanOut, faults, lost, change };
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

const step = fc.oneof(
  fc.record({ kind: fc.constant("publish" as const), topic: fc.constantFrom(...topics) }),
  fc.record({
    kind: fc.constant("change" as const),
    reader: fc.constantFrom(0, 1, 35, 69),
    to: fc.constantFrom(all, some, none),
  }),
  fc.record({ kind: fc.constant("turn" as const) }),
  fc.record({
    kind: fc.constant("read" as const),
    reader: fc.constantFrom(0, 1, 35, 69),
    reads: fc.boolean(),
  }),
);

describe("fan-out", () => {
  it("hands out in order, once, and never what may not be read at that moment, whatever changes meanwhile", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { groups, fanOut, faults, change } = nodeOf();
        const readers = Array.from({ length: 70 }, (_, at) => new Reader(at % 2 ? "a/+" : "#", at % 3));
        for (const { subscription } of readers) groups.add(subscription, all);
        const sent: string[] = [];
        const changed = new Set<Reader>();
        for (const each of steps) {
          if (each.kind === "publish") fanOut.add(messageOf(each.topic, sent.push(each.topic)));
          else if (each.kind === "turn") await nextTurn();
          else {
            const reader = readers[each.reader];
            if (reader === undefined) continue;
            if (each.kind === "read") {
              reader.outcome = each.reads ? "sent" : "blocked";
              if (each.reads) reader.subscription.outlet.resume();
            } else {
              changed.add(reader);
              change(reader, each.to);
            }
          }
        }
        for (let turn = 0; turn < 10 * steps.length + 20; turn += 1) await nextTurn();
        for (const reader of readers) {
          reader.outcome = "sent";
          reader.subscription.outlet.resume();
          const { heard, forbidden, subscription } = reader;
          expect(forbidden).toEqual([]);
          expect(heard).toEqual([...new Set(heard)].sort((one, other) => one - other));
          if (changed.has(reader)) continue;
          const expected = sent.flatMap((topic, at) =>
            subscription.pattern === "#" || topic.startsWith("a/") ? [at + 1] : [],
          );
          expect(heard).toEqual(expected);
        }
        expect(faults).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });

  it("gives a group that changes while its messages are handed out neither a gap nor anything twice", async () => {
    const { groups, fanOut, change } = nodeOf();
    const readers = Array.from({ length: 100 }, () => new Reader("a/#", 1));
    for (const { subscription } of readers) groups.add(subscription, all);
    for (let n = 1; n <= 3; n += 1) fanOut.add(messageOf("a/x", n));
    await nextTurn();
    for (const reader of readers) change(reader, some);
    for (let n = 4; n <= 6; n += 1) fanOut.add(messageOf("a/x", n));
    for (let turn = 0; turn < 250; turn += 1) await nextTurn();
    for (const { heard } of readers) expect(heard).toEqual([1, 2, 3, 4, 5, 6]);
    for (const { subscription } of readers) expect(subscription.group?.permissions).toBe(some);
  });

  it("drops what waits for a slow reader who may not read it any more, and keeps the rest", async () => {
    const { groups, fanOut, change } = nodeOf();
    const reader = new Reader("#", 1);
    groups.add(reader.subscription, all);
    reader.outcome = "blocked";
    fanOut.add(messageOf("a/y", 1));
    fanOut.add(messageOf("a/x", 2));
    for (let turn = 0; turn < 10; turn += 1) await nextTurn();
    change(reader, some);
    reader.outcome = "sent";
    reader.subscription.outlet.resume();
    expect([reader.heard, reader.forbidden, reader.subscription.outlet.isIdle]).toEqual([[2], [], true]);
  });

  it("runs a task of a socket before messages that wait", async () => {
    const { groups, fanOut } = nodeOf();
    const reader = new Reader("#", 1);
    groups.add(reader.subscription, all);
    for (let n = 1; n <= 2_000; n += 1) fanOut.add(messageOf("a/x", n));
    await nextTurn();
    const heard = await new Promise<number>((resolve) => fanOut.later(() => resolve(reader.heard.length)));
    expect(heard).toBeLessThan(2_000);
    while (reader.heard.length < 2_000) await nextTurn();
  });

  it("gives a subscription nothing that was taken before it", async () => {
    const taken: number[] = [];
    const { groups, fanOut } = nodeOf(({ position }) => taken.push(position.sequence));
    const early = Array.from({ length: 100 }, () => new Reader("a/#", 1));
    for (const { subscription } of early) groups.add(subscription, all);
    fanOut.add(messageOf("a/x", 1));
    await nextTurn();
    expect(taken).toEqual([1]);
    const late = new Reader("a/#", 1);
    late.subscription.round = fanOut.round;
    groups.add(late.subscription, all);
    fanOut.add(messageOf("a/x", 2));
    for (let turn = 0; turn < 50; turn += 1) await nextTurn();
    expect(late.heard).toEqual([2]);
    expect(early.map(({ heard }) => heard)).toEqual(early.map(() => [1, 2]));
  });
});
