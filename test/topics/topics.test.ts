import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { User } from "../../src/auth/model.ts";
import { transportNames } from "../support/gateway.ts";
import type { Message, SocketClient } from "../support/socket-client.ts";
import { type SocketGateway, startSocketGateway } from "../support/socket-gateway.ts";

const subscribe = "gatehouse/topics/subscribe";
const publish = "gatehouse/topics/publish";
const position = expect.stringMatching(/^[0-9a-f]{12}:\d+$/);
const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

const refused = (code: string) => ({ success: false, error: { code } });

function nextEvent(client: SocketClient, what = "an event"): Promise<Message> {
  return client.find((message) => message.type === "event", what);
}

/** Events that came before the answer to a ping. */
async function eventsSoFar(client: SocketClient): Promise<readonly Message[]> {
  // What was published in earlier ticks is handed out before a ping that comes later is answered.
  await client.call("ping");
  const all = client.received.flat() as Message[];
  return all.filter((message) => message.type === "event");
}

describe.each(
  transportNames.flatMap((transport) =>
    (["json", "msgpack"] as const).map((codec) => ({ transport, codec, title: `${transport}, ${codec}` })),
  ),
)("topics on $title", ({ transport, codec }) => {
  let gateway: SocketGateway;
  let owner: User;
  let people = 0;

  const enter = async (user: User) => (await gateway.enter(user, { codec })).client;
  const person = async (groupIds: readonly string[] = ["system-users"]) => {
    people += 1;
    const { user } = await gateway.user(`person-${people}`);
    return await gateway.authority.users.update(user.id, { groupIds });
  };

  beforeAll(async () => {
    gateway = await startSocketGateway({ transport });
    owner = await gateway.owner();
  });
  afterAll(() => gateway?.stop());

  it("carry a message to every subscription whose pattern stands for its topic, in order, with its position", async () => {
    const user = await person();
    const [publisher, one, other] = await Promise.all([enter(owner), enter(user), enter(user)]);
    const answer = await one.call(subscribe, { pattern: "home/+/temperature" });
    expect(answer).toMatchObject({ success: true, result: { position, resumed: false } });
    await other.call(subscribe, { pattern: "home/#" });
    await other.call(subscribe, { pattern: "garden/#" });
    for (let n = 1; n <= 20; n += 1)
      publisher.send({ id: n, type: publish, topic: "home/kitchen/temperature", data: { n, text: 'ä"\n' } });
    publisher.send({ id: 21, type: publish, topic: "home/kitchen", data: null });
    await publisher.find(({ id }) => id === 21, "the last answer");
    const events = async (client: SocketClient, count: number) => {
      const found: unknown[] = [];
      while (found.length < count) found.push((await nextEvent(client)).event);
      return found as readonly Record<string, unknown>[];
    };
    const heard = await events(one, 20);
    expect(heard.map(({ data }) => (data as { n: number }).n)).toEqual(heard.map((_, at) => at + 1));
    expect(heard[0]).toEqual({
      topic: "home/kitchen/temperature",
      data: { n: 1, text: 'ä"\n' },
      publisher: { user_id: owner.id, is_system: false },
      time,
      position,
    });
    const all = await events(other, 21);
    expect(all.slice(0, 20)).toEqual(heard);
    expect(all[20]).toMatchObject({ topic: "home/kitchen", data: null });
    expect(await eventsSoFar(one)).toHaveLength(20);
    expect(await eventsSoFar(other)).toHaveLength(21);
  });

  it("answer before the first message, and end with unsubscribe_events", async () => {
    const [publisher, client] = [await enter(owner), await enter(owner)];
    for (let n = 1; n <= 50; n += 1) {
      publisher.send({ id: n, type: publish, topic: "order/x", data: n });
      client.send({ id: n, type: subscribe, pattern: "order/#" });
    }
    await publisher.find(({ id }) => id === 50, "the last answer");
    await eventsSoFar(client);
    const firsts = new Map<unknown, unknown>();
    for (const { id, type } of client.received.flat() as Message[]) if (!firsts.has(id)) firsts.set(id, type);
    expect([...firsts.values()].filter((type) => type === "event")).toEqual([]);
    const again = await enter(owner);
    const { id } = await again.call(subscribe, { pattern: "order/#" });
    expect(await again.call("unsubscribe_events", { subscription: id })).toMatchObject({ success: true });
    await again.call(publish, { topic: "order/x", data: 1 });
    expect(await eventsSoFar(again)).toEqual([]);
  });

  it("refuse what is no topic or pattern, is reserved, or is too large or too deep to be delivered", async () => {
    const client = await enter(owner);
    const patterns = ["", "a//b", "#/a", "a/#/b", "a+", "$events/#", "$x", "+/+/+/+/+", "a\u0001"];
    for (const pattern of patterns)
      expect(await client.call(subscribe, { pattern }), pattern).toMatchObject(refused("invalid_format"));
    const seventeen = Array.from({ length: 17 }, () => "a").join("/");
    expect(await client.call(subscribe, { pattern: seventeen })).toMatchObject(refused("invalid_format"));
    for (const topic of ["", "a/", "a/+", "#", "$events/x", seventeen])
      expect(await client.call(publish, { topic, data: 1 }), topic).toMatchObject(refused("invalid_format"));
    const large = "x".repeat(16_384);
    expect(await client.call(publish, { topic: "a", data: large })).toMatchObject(refused("invalid_format"));
    const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
    expect(await client.call(publish, { topic: "a", data: nested(14) })).toMatchObject(
      refused("invalid_format"),
    );
    expect(await client.call(publish, { topic: "a", data: nested(13) })).toMatchObject({ success: true });
  });

  it("need the right to read for a subscription, and the right to control for a message", async () => {
    const [reader, stranger] = [await enter(await person()), await enter(await person([]))];
    expect(await reader.call(publish, { topic: "home/x", data: 1 })).toMatchObject(refused("unauthorized"));
    expect(await reader.call(subscribe, { pattern: "home/#" })).toMatchObject({ success: true });
    expect(await stranger.call(subscribe, { pattern: "#" })).toMatchObject(refused("unauthorized"));
    expect(await stranger.call("unsubscribe_events", { subscription: 1 })).toMatchObject(
      refused("not_found"),
    );
  });

  it("end a subscription in the tick of the change that takes its rights, and say so", async () => {
    const user = await person();
    const [publisher, reader] = [await enter(owner), await enter(user)];
    const { id } = await reader.call(subscribe, { pattern: "home/#" });
    await publisher.call(publish, { topic: "home/x", data: "before" });
    expect(await nextEvent(reader)).toMatchObject({ event: { data: "before" } });
    await gateway.authority.users.update(user.id, { groupIds: [] });
    publisher.send({ id: 50, type: publish, topic: "home/x", data: "after" });
    await publisher.find((message) => message.id === 50, "the answer");
    expect(await nextEvent(reader)).toEqual({
      id,
      type: "event",
      event: { subscription: "ended", reason: "permission_lost", pattern: "home/#" },
    });
    expect(await reader.call("unsubscribe_events", { subscription: id })).toMatchObject(refused("not_found"));
    expect(await eventsSoFar(reader)).toHaveLength(2);
    await gateway.authority.users.update(user.id, { groupIds: ["system-users"] });
    expect(await reader.call(subscribe, { pattern: "home/#" })).toMatchObject({ success: true });
  });

  it("deliver what was missed since a position, or say that it is lost", async () => {
    const [publisher, reader] = [await enter(owner), await enter(await person())];
    const begun = await reader.call(subscribe, { pattern: "log/+" });
    const { position: first } = begun.result as { position: string };
    for (let n = 1; n <= 5; n += 1) await publisher.call(publish, { topic: `log/${n % 2}`, data: n });
    const back = await enter(await person());
    const answer = await back.call(subscribe, { pattern: "log/1", position: first });
    expect(answer).toMatchObject({ result: { position, resumed: true } });
    for (const n of [1, 3, 5]) expect(await nextEvent(back)).toMatchObject({ event: { data: n } });
    await publisher.call(publish, { topic: "log/1", data: 7 });
    expect(await nextEvent(back)).toMatchObject({ event: { data: 7 } });
    for (let n = 1; n <= 200; n += 1) {
      publisher.send({ id: 100 + n, type: publish, topic: "log/1", data: n });
      // At most 64 commands may run at once.
      if (n % 50 === 0) await publisher.find(({ id }) => id === 100 + n, "the answer");
    }
    for (const since of [first, "0123456789ab:3", `${first.slice(0, 12)}:99999`]) {
      const late = await enter(await person());
      expect(await late.call(subscribe, { pattern: "log/1", position: since }), since).toMatchObject({
        result: { resumed: false },
      });
      expect(await eventsSoFar(late)).toEqual([]);
    }
    const anywhere = await back.call(subscribe, { pattern: "+/1", position: first });
    expect(anywhere).toMatchObject({ result: { position: null, resumed: false } });
  });

  it("deliver last values first to whoever asks for them, if they may read them, and what is missed instead", async () => {
    const user = await person();
    const [publisher, reader] = [await enter(owner), await enter(user)];
    const put = (topic: string, data: unknown, retain?: number) =>
      publisher.call(publish, { topic, data, ...(retain === undefined ? {} : { retain }) });
    await put("state/a", 1, 60);
    await put("state/a", 2, 60);
    await put("state/b", 3);
    const { result } = await put("state/c", 4, 60);
    await reader.call(subscribe, { pattern: "state/#", last: true });
    expect(await nextEvent(reader)).toMatchObject({ event: { topic: "state/a", data: 2, last: true } });
    expect(await nextEvent(reader)).toMatchObject({ event: { topic: "state/c", data: 4, last: true } });
    await put("state/a", 5, 60);
    const live = await nextEvent(reader);
    expect(live).toMatchObject({ event: { topic: "state/a", data: 5 } });
    expect(live.event).not.toHaveProperty("last");
    const back = await enter(user);
    const { position: since } = result as { position: string };
    expect(await back.call(subscribe, { pattern: "state/#", last: true, position: since })).toMatchObject({
      result: { resumed: true },
    });
    expect(await nextEvent(back)).toMatchObject({ event: { topic: "state/a", data: 5 } });
    expect(await eventsSoFar(back)).toHaveLength(1);
    expect(await back.call(subscribe, { pattern: "+/a", last: true })).toMatchObject(
      refused("not_supported"),
    );
    await put("state/a", null, 0);
    const late = await enter(user);
    await late.call(subscribe, { pattern: "state/#", last: true });
    expect(await nextEvent(late)).toMatchObject({ event: { topic: "state/c" } });
    expect(await eventsSoFar(late)).toHaveLength(1);
  });

  it("deliver a bounded number of messages again to the subscriptions of a user", async () => {
    const reader = await enter(await person());
    const publisher = await enter(owner);
    const { result } = await publisher.call(publish, { topic: "again/x", data: 0 });
    const { position: since } = result as { position: string };
    for (let n = 1; n <= 90; n += 1) await publisher.call(publish, { topic: "again/x", data: n });
    let resumed = 0;
    // The bound grows with time, far more slowly than this asks.
    for (; resumed < 10_000; resumed += 1) {
      const answer = await reader.call(subscribe, { pattern: "again/#", position: since });
      if (!(answer.result as { resumed: boolean }).resumed) break;
      await reader.call("unsubscribe_events", { subscription: answer.id });
    }
    expect(resumed).toBeGreaterThan(0);
    expect(resumed).toBeLessThan(10_000);
  });

  it("put the messages of one tick into one frame for a client that coalesces", async () => {
    const [publisher, reader] = [await enter(owner), await enter(await person())];
    await reader.call("supported_features", { features: { coalesce_messages: 1 } });
    await reader.call(subscribe, { pattern: "burst/#" });
    publisher.send(
      Array.from({ length: 8 }, (_, n) => ({ id: n + 1, type: publish, topic: "burst/x", data: n })),
    );
    const frame = (await reader.next()) as Message[];
    expect(frame.map((message) => (message.event as { data: number }).data)).toEqual([
      0, 1, 2, 3, 4, 5, 6, 7,
    ]);
  });

  it("carry Home Assistant's events to whoever may see them", async () => {
    const user = await person();
    const [admin, all, reader] = [await enter(owner), await enter(owner), await enter(user)];
    await all.call("subscribe_events");
    expect(await reader.call("subscribe_events")).toMatchObject(refused("unauthorized"));
    expect(await reader.call("subscribe_events", { event_type: "+" })).toMatchObject(refused("unauthorized"));
    const states = await reader.call("subscribe_events", { event_type: "state_changed" });
    await reader.call("subscribe_events", { event_type: "themes_updated" });
    expect(await reader.call("fire_event", { event_type: "themes_updated" })).toMatchObject(
      refused("unauthorized"),
    );
    expect(await admin.call("fire_event", { event_type: "user_added" })).toMatchObject(
      refused("not_allowed"),
    );
    await admin.call("fire_event", { event_type: "state_changed", event_data: {} });
    const event_data = { entity_id: "light.kitchen", new_state: { state: "on" } };
    const fired = await admin.call("fire_event", { event_type: "state_changed", event_data });
    const { context } = fired.result as { context: object };
    expect(context).toEqual({ id: expect.any(String), parent_id: null, user_id: owner.id });
    await admin.call("fire_event", { event_type: "a/+/#", event_data: { n: 1 } });
    expect(await nextEvent(reader)).toEqual({
      id: states.id,
      type: "event",
      event: { event_type: "state_changed", data: event_data, origin: "LOCAL", time_fired: time, context },
    });
    const heard = await eventsSoFar(all);
    const shown = heard.map(({ event }) => (event as { event_type: string }).event_type);
    expect(shown).toEqual(["state_changed", "state_changed", "a/+/#"]);
    await gateway.authority.users.update(user.id, { groupIds: [] });
    await admin.call("fire_event", { event_type: "state_changed", event_data });
    expect(await eventsSoFar(reader)).toHaveLength(1);
  });
});
