import { expect, it } from "vitest";

import { waitingLimits } from "../../src/topics/waiting-messages.ts";
import { eventually } from "../support/eventually.ts";
import type { Message } from "../support/socket-client.ts";
import { startSocketGateway } from "../support/socket-gateway.ts";
import { roomyTopics, testTopics } from "../support/topics.ts";

const subscribe = "gatehouse/topics/subscribe";

it("a user has so many subscriptions on a node and no more, and others have their own", async () => {
  const gateway = await startSocketGateway({
    transport: "ws",
    topics: (node) => testTopics(node, { limits: { ...roomyTopics, subscriptionsPerUser: 5 } }),
  });
  try {
    const owner = await gateway.owner();
    const { user } = await gateway.user("other");
    await gateway.authority.users.update(user.id, { groupIds: ["system-users"] });
    const enter = async (who: typeof owner) => (await gateway.enter(who)).client;
    const [one, two, other] = await Promise.all([enter(owner), enter(owner), enter(user)]);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => (n % 2 ? one : two).call(subscribe, { pattern: `a/${n}` })),
    );
    const made = answers.flatMap(({ success }, n) => (success === true ? [n] : []));
    expect(made).toHaveLength(5);
    const overloaded = { success: false, error: { code: "overloaded" } };
    for (const answer of answers.filter(({ success }) => success !== true))
      expect(answer).toMatchObject(overloaded);
    expect(await one.call("subscribe_events", { event_type: "x" })).toMatchObject(overloaded);
    expect(await other.call(subscribe, { pattern: "a/1" })).toMatchObject({ success: true });
    const [first = 0] = made;
    await (first % 2 ? one : two).call("unsubscribe_events", { subscription: answers[first]?.id });
    expect(await two.call(subscribe, { pattern: "b" })).toMatchObject({ success: true });
    expect(await one.call(subscribe, { pattern: "b" })).toMatchObject(overloaded);
  } finally {
    await gateway.stop();
  }
});

it("a socket has so many subscriptions of one pattern and no more", async () => {
  const gateway = await startSocketGateway({ transport: "ws", topics: (node) => testTopics(node) });
  try {
    const { client } = await gateway.enter(await gateway.owner());
    const asked = await Promise.all(
      Array.from({ length: 20 }, () => client.call(subscribe, { pattern: "#" })),
    );
    const [first, ...refused] = [asked[0], ...asked.filter(({ success }) => success !== true)];
    expect(refused).toHaveLength(4);
    for (const answer of refused) expect(answer).toMatchObject({ error: { code: "not_allowed" } });
    expect(await client.call(subscribe, { pattern: "a/#" })).toMatchObject({ success: true });
    await client.call("unsubscribe_events", { subscription: first?.id });
    expect(await client.call(subscribe, { pattern: "#" })).toMatchObject({ success: true });
  } finally {
    await gateway.stop();
  }
});

it("a user whose messages cost more than is handed out publishes less, and others go on", async () => {
  const share = { messages: 4, deliveries: 16 };
  const gateway = await startSocketGateway({
    transport: "ws",
    topics: (node) =>
      testTopics(node, { limits: { ...roomyTopics, waiting: { share, total: waitingLimits.total } } }),
  });
  try {
    const owner = await gateway.owner();
    const { user } = await gateway.user("other");
    await gateway.authority.users.update(user.id, { groupIds: ["system-admin"] });
    const enter = async (who: typeof owner) => (await gateway.enter(who)).client;
    const [flood, other, ...readers] = await Promise.all(
      [owner, user, owner, owner, owner, owner].map(enter),
    );
    if (flood === undefined || other === undefined) throw new Error("two publishers");
    for (const reader of readers) await reader.call(subscribe, { pattern: "a/#" });
    const publish = "gatehouse/topics/publish";
    const ids = Array.from({ length: 40 }, (_, n) => n + 1);
    flood.send(ids.map((id) => ({ id, type: publish, topic: "a/x", data: id })));
    const results = () => (flood.received.flat() as Message[]).filter(({ type }) => type === "result");
    await eventually("the answers", () => results().length === ids.length);
    const answers = results();
    const published = answers.flatMap(({ id, success }) => (success === true ? [id] : []));
    expect(published.length).toBeGreaterThanOrEqual(share.messages);
    expect(published.length).toBeLessThan(40);
    for (const { success, error } of answers)
      if (success !== true) expect(error).toMatchObject({ code: "rate_limited" });
    expect(await other.call(publish, { topic: "a/x", data: 100 })).toMatchObject({ success: true });
    flood.send({ id: 50, type: publish, topic: "a/x", data: 101 });
    expect(await flood.find(({ id }) => id === 50, "the answer")).toMatchObject({ success: true });
    for (const reader of readers) {
      const heard = () =>
        (reader.received.flat() as Message[]).flatMap(({ type, event }) =>
          type === "event" ? [(event as { data: unknown }).data] : [],
        );
      await eventually("the last one", () => heard().includes(101));
      expect(heard()).toEqual([...published, 100, 101]);
    }
  } finally {
    await gateway.stop();
  }
});

it("a socket has 256 subscriptions and no more, also of those that are not answered yet", async () => {
  const gateway = await startSocketGateway({
    transport: "ws",
    limits: { messagesPerSecond: 1_000_000, messagesPerSecondPerUser: 1_000_000 },
  });
  try {
    const { client } = await gateway.enter(await gateway.owner());
    const results = () => (client.received.flat() as Message[]).filter(({ type }) => type === "result");
    let sent = 0;
    // As many as may be in flight at once. The last of them are more than there is room for.
    for (const count of [60, 60, 60, 60, 64]) {
      const ids = Array.from({ length: count }, (_, at) => sent + at + 1);
      client.send(ids.map((id) => ({ id, type: subscribe, pattern: `a/${id}` })));
      sent += count;
      await eventually("the answers", () => results().length === sent);
    }
    const made = results().filter(({ success }) => success === true);
    expect(made).toHaveLength(256);
    for (const { success, error } of results())
      if (success !== true) expect(error).toMatchObject({ code: "not_allowed" });
  } finally {
    await gateway.stop();
  }
});
