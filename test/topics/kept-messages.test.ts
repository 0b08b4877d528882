import { afterEach, expect, it } from "vitest";

import { createLogProgress } from "../../src/auth/revocation/log-progress.ts";
import type { BrokerListener, Message, TopicBroker } from "../../src/topics/broker.ts";
import { createLocalBroker } from "../../src/topics/local-broker.ts";
import { eventually } from "../support/eventually.ts";
import type { SocketClient, Message as WireMessage } from "../support/socket-client.ts";
import { type SocketGateway, startSocketGateway } from "../support/socket-gateway.ts";
import { roomyTopics, testTopics } from "../support/topics.ts";

const subscribe = "gatehouse/topics/subscribe";
const publish = "gatehouse/topics/publish";

interface Heard {
  readonly topic?: string;
  readonly data?: unknown;
  readonly gap?: number | null;
  readonly subscription?: string;
}

function heardBy(client: SocketClient): readonly Heard[] {
  return (client.received.flat() as WireMessage[])
    .filter(({ type }) => type === "event")
    .map(({ event }) => event as Heard);
}

interface Kept {
  readonly gateway: SocketGateway;
  readonly progress: ReturnType<typeof createLogProgress>;
  /** Calls the listener as a broker that lost messages does. */
  readonly listener: () => BrokerListener;
}

let gateway: SocketGateway | undefined;
afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
});

/** `change` replaces parts of a local broker. */
async function start(
  change: (broker: TopicBroker) => Partial<TopicBroker>,
  limits: Partial<typeof roomyTopics> = {},
  messages = 1_000,
): Promise<Kept> {
  const progress = createLogProgress((error) => {
    throw error;
  });
  let listener: BrokerListener | undefined;
  const started = await startSocketGateway({
    topics: (node) => {
      const history = { messages, ms: 60_000, lastValues: 1_000 };
      const local = createLocalBroker({ history, store: node.store, now: () => node.clock.now() });
      const broker: TopicBroker = {
        start(heard) {
          listener = heard;
          local.start(heard);
        },
        publish: (publications) => local.publish(publications),
        follow: (namespace) => local.follow(namespace),
        unfollow: (namespace) => local.unfollow(namespace),
        followAll: () => local.followAll(),
        unfollowAll: () => local.unfollowAll(),
        history: (namespace, after, upTo) => local.history(namespace, after, upTo),
        lastTopics: (pattern, limit) => local.lastTopics(pattern, limit),
        lastValues: (topics) => local.lastValues(topics),
        close: () => local.close(),
        ...change(local),
      };
      return testTopics(node, { broker, progress, limits: { ...roomyTopics, ...limits } });
    },
    limits: { messagesPerSecond: 1_000_000, messagesPerSecondPerUser: 1_000_000 },
  });
  gateway = started;
  return {
    gateway: started,
    progress,
    listener: () => {
      if (listener === undefined) throw new Error("not started");
      return listener;
    },
  };
}

/** As if another node had published them after a change of rights. */
function late(messages: readonly Message[]): readonly Message[] {
  return messages.map((message) => ({ ...message, isOwn: false, rightsVersion: 1_000 }));
}

const keptLate = (broker: TopicBroker): Partial<TopicBroker> => ({
  history: async (...range) => {
    const messages = await broker.history(...range);
    return messages && late(messages);
  },
  lastValues: async (topics) => late(await broker.lastValues(topics)),
});

it.each(["position", "last"] as const)(
  "what was kept and published after a change of rights is judged by the rights after it (%s)",
  async (how) => {
    const { gateway, progress } = await start(keptLate);
    const { client: publisher } = await gateway.enter(await gateway.owner());
    const { user } = await gateway.user("reader");
    await gateway.authority.users.update(user.id, { groupIds: ["system-users"] });
    const first = await publisher.call(publish, { topic: "a/x", data: "before" });
    const { position } = first.result as { position: string };
    await publisher.call(publish, { topic: "a/x", data: "after", retain: 60 });
    const { client: reader } = await gateway.enter(user);
    const { client: allowed } = await gateway.enter(await gateway.owner());
    for (const client of [reader, allowed])
      client.send({
        id: 7,
        type: subscribe,
        pattern: "a/#",
        ...(how === "last" ? { last: true } : { position }),
      });
    for (const client of [reader, allowed]) await client.call("ping");
    expect([heardBy(reader), heardBy(allowed)]).toEqual([[], []]);
    await gateway.authority.users.update(user.id, { groupIds: [] });
    progress.read(1_000);
    progress.notify();
    await eventually("the message", () => heardBy(allowed).some(({ data }) => data === "after"));
    await reader.call("ping");
    expect(heardBy(reader).filter(({ data }) => data !== undefined)).toEqual([]);
  },
);

it("who resumes after messages were lost on their way to this node is not told that it has them", async () => {
  const lost = new Set<string>();
  const { gateway, listener } = await start((broker) => ({
    history: async (namespace, after, upTo) =>
      lost.has(namespace) ? undefined : await broker.history(namespace, after, upTo),
  }));
  const owner = await gateway.owner();
  const { client: publisher } = await gateway.enter(owner);
  const { client: reader } = await gateway.enter(owner);
  await reader.call(subscribe, { pattern: "cut/#" });
  const { result } = await publisher.call(publish, { topic: "cut/x", data: 1 });
  const { position } = result as { position: string };
  await eventually("the message", () => heardBy(reader).length === 1);
  const [epoch = "", sequence] = position.split(":");
  lost.add("cut");
  listener().onGap("cut", { epoch, sequence: Number(sequence) + 600 });
  await eventually("the gap", () => heardBy(reader).some(({ gap }) => gap === null));
  const { client: back } = await gateway.enter(owner);
  expect(await back.call(subscribe, { pattern: "cut/#", position })).toMatchObject({
    result: { resumed: false, position: `${epoch}:${Number(sequence) + 600}` },
  });
});

const smallOutlet = { outlet: { messages: 20, bytes: 65_536 }, requestsPerUser: 1_000_000 };
const padding = "x".repeat(15_000);

/** Publishes `from` to `to` in `big/x`, and returns the position of the first. */
async function fill(publisher: SocketClient, from: number, to: number): Promise<string> {
  let first = "";
  for (let n = from; n <= to; n += 1) {
    const { result } = await publisher.call(publish, { topic: "big/x", data: { n, padding } });
    if (n === from) first = (result as { position: string }).position;
  }
  return first;
}

const numbers = (heard: readonly Heard[]) => heard.map(({ data }) => (data as { n: number } | undefined)?.n);
const upTo = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

it("whoever resumes and reads gets everything that is kept, however much may wait for who does not", async () => {
  const { gateway } = await start(() => ({}), smallOutlet);
  const owner = await gateway.owner();
  const { client: publisher } = await gateway.enter(owner);
  const position = await fill(publisher, 0, 200);
  const { client: back } = await gateway.enter(owner);
  const ids = await Promise.all(
    [1, 2, 3, 4].map(async () => {
      const { id, result } = await back.call(subscribe, { pattern: "big/#", position });
      expect(result).toMatchObject({ resumed: true });
      return id;
    }),
  );
  const of = (id: unknown) =>
    (back.received.flat() as WireMessage[])
      .filter((message) => message.type === "event" && message.id === id)
      .map(({ event }) => event as Heard);
  await fill(publisher, 201, 210);
  await eventually("all of them", () => ids.every((id) => of(id).length >= 210));
  for (const id of ids) expect(numbers(of(id))).toEqual(upTo(1, 210));
});

it("whoever asks for last values and reads gets them all, and then what comes", async () => {
  const { gateway } = await start(() => ({}), smallOutlet);
  const owner = await gateway.owner();
  const { client: publisher } = await gateway.enter(owner);
  const topics = upTo(100, 299).map((n) => `last/${n}`);
  for (const topic of topics) await publisher.call(publish, { topic, data: padding, retain: 60 });
  const { client: reader } = await gateway.enter(owner);
  await reader.call(subscribe, { pattern: "last/#", last: true });
  await publisher.call(publish, { topic: "last/live", data: 1 });
  await eventually("all of them", () => heardBy(reader).some(({ topic }) => topic === "last/live"));
  expect(heardBy(reader).map(({ topic }) => topic)).toEqual([...topics, "last/live"]);
});

it("a client that stops to read while it resumes goes on in order, or is told what is not kept any more", async () => {
  const { gateway } = await start(() => ({}), smallOutlet, 300);
  const owner = await gateway.owner();
  const { client: publisher } = await gateway.enter(owner);
  const position = await fill(publisher, 0, 250);
  const { client: back } = await gateway.enter(owner);
  expect(await back.call("ping")).toMatchObject({ type: "pong" });
  back.pause();
  back.send({ id: 7, type: subscribe, pattern: "big/#", position });
  await fill(publisher, 251, 1_500);
  back.resume();
  await eventually("the newest", () => numbers(heardBy(back)).includes(1_500));
  let expected: number | undefined = 1;
  let gaps = 0;
  for (const { data, gap } of heardBy(back)) {
    const { n } = (data ?? {}) as { readonly n?: number };
    if (n === undefined) {
      expect(gap).toBeNull();
      gaps += 1;
      expected = undefined;
    } else {
      if (expected !== undefined) expect(n).toBe(expected);
      expected = n + 1;
    }
  }
  expect(gaps).toBeGreaterThan(0);
  await fill(publisher, 1_501, 1_510);
  await eventually("what comes live", () => numbers(heardBy(back)).includes(1_510));
  expect(numbers(heardBy(back)).slice(-10)).toEqual(upTo(1_501, 1_510));
});
