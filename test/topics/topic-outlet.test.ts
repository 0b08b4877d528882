import { expect, it } from "vitest";

import type { Permissions } from "../../src/auth/permissions/permissions.ts";
import { createJsonCodec } from "../../src/codec/json.ts";
import type { SocketSession } from "../../src/connection/session.ts";
import { Delivery } from "../../src/topics/delivery.ts";
import { SubscriberGroups } from "../../src/topics/subscriber-groups.ts";
import { Subscription } from "../../src/topics/subscription.ts";
import { TopicOutlet } from "../../src/topics/topic-outlet.ts";
import { Verdicts } from "../../src/topics/verdicts.ts";
import { quietTopicsObserver } from "../support/topics.ts";

const rights: Permissions = {
  isAdmin: false,
  mayUseEntity: () => false,
  mayUseTopic: () => true,
  mayUseSomeOf: () => true,
  mayCommand: () => false,
};

interface Shown {
  readonly topic?: string;
  readonly data?: number;
  readonly position?: string;
  readonly gap?: number;
}

function deliveryOf(topic: string, sequence: number, bytes: number): Delivery {
  const publisher = { userId: "u", isSystem: false };
  const position = { epoch: "e", sequence };
  const message = {
    topic,
    data: sequence,
    bytes,
    time: 0,
    publisher,
    rightsVersion: 0,
    position,
    isOwn: true,
  };
  return new Delivery(message);
}

function conflating() {
  const codec = createJsonCodec();
  const sent: { readonly event: Shown }[] = [];
  const session = {
    features: new Set(),
    hasRoom: true,
    sendShared({ frames }: { readonly frames: readonly string[] }) {
      for (const frame of frames) sent.push(JSON.parse(frame));
      return "sent";
    },
  } as unknown as SocketSession;
  const outlet = new TopicOutlet({
    session,
    codec,
    limits: { messages: 100, bytes: 1_000 },
    verdicts: new Verdicts(),
    observer: quietTopicsObserver,
    onClosed: () => undefined,
  });
  const own = {
    id: 1,
    userId: "u",
    pattern: "#",
    conflates: true,
    isOfEvents: false,
    onEnd: () => undefined,
  };
  const subscription = new Subscription({ session, codec, outlet, caller: { rights }, ...own });
  new SubscriberGroups().add(subscription, rights);
  return { outlet, subscription, sent };
}

it("a message that replaces another has its place and its position: what waits behind it is newer", () => {
  const { outlet, subscription, sent } = conflating();
  const hold = (topic: string, sequence: number) =>
    outlet.hold(subscription, deliveryOf(topic, sequence, 10));
  hold("a", 1);
  hold("b", 2);
  hold("a", 3);
  hold("a", 4);
  outlet.resume();
  hold("a", 5);
  outlet.resume();
  expect(sent.map(({ event }) => [event.topic, event.data, event.position])).toEqual([
    ["a", 4, "e:1"],
    ["b", 2, "e:2"],
    ["a", 5, "e:5"],
  ]);
});

it("a message that replaces a smaller one counts: beyond the bytes that may wait the oldest are a gap", () => {
  const { outlet, subscription, sent } = conflating();
  const names = Array.from({ length: 10 }, (_, at) => `t${at}`);
  for (const [at, name] of names.entries()) outlet.hold(subscription, deliveryOf(name, at, 10));
  expect(outlet.waiting).toBe(10);
  for (const [at, name] of names.entries()) outlet.hold(subscription, deliveryOf(name, 10 + at, 400));
  outlet.resume();
  const [gap, ...messages] = sent.map(({ event }) => event);
  expect(gap?.gap).toBeGreaterThan(0);
  expect(messages.length).toBeLessThanOrEqual(2);
  expect(messages.at(-1)?.topic).toBe("t9");
});
