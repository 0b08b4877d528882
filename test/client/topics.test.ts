import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { GatewayClient, type TopicMessage, type TopicOptions } from "../../src/client/index.ts";
import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";
import { type RunningGateway, startGateway, transportNames } from "../support/gateway.ts";
import { within } from "../support/within.ts";

interface Reading {
  readonly n: number;
}

/** What one subscription was told, with a way to wait for it. */
class Ear {
  readonly heard: number[] = [];
  readonly gaps: (number | null)[] = [];
  readonly ended: string[] = [];
  last: TopicMessage<Reading> | undefined;
  #waiting: (() => void)[] = [];

  readonly onMessage = (message: TopicMessage<Reading>) => {
    this.heard.push(message.data.n);
    this.last = message;
    this.#wake();
  };
  readonly options: TopicOptions = {
    onGap: (lost) => {
      this.gaps.push(lost);
      this.#wake();
    },
    onEnd: ({ code }) => {
      this.ended.push(code);
      this.#wake();
    },
  };

  async until(holds: () => boolean, what: string): Promise<void> {
    while (!holds()) await within(new Promise<void>((resolve) => this.#waiting.push(resolve)), what);
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

describe.each(transportNames)("topics of a client, on %s", (transport) => {
  const password = "a reader's long password";
  let gateway: RunningGateway;
  let proxy: FaultProxy;
  let publisher: GatewayClient;
  let people = 0;
  const open: GatewayClient[] = [];

  beforeAll(async () => {
    gateway = await startGateway({
      store: "embedded",
      transport,
      config: { topics: { history_messages: 5 } },
    });
    proxy = await startFaultProxy({ host: "127.0.0.1", port: gateway.port });
    publisher = new GatewayClient({ url: gateway.url });
    const login = await publisher.login({ handler: ["homeassistant", null] });
    await login.submit({ username: "paula", password: gateway.ownerPassword });
  });
  afterEach(() => {
    for (const client of open.splice(0)) client.close();
  });
  afterAll(async () => {
    publisher?.close();
    await proxy?.stop();
    await gateway?.stop();
  });

  /** A member of a group that may read `home/#`, behind the proxy. */
  async function reader() {
    people += 1;
    const { group } = await gateway.authority.groups.create({
      name: `readers ${people}`,
      policy: { topics: { patterns: { "home/#": { read: true } } } },
    });
    const username = `reader-${people}`;
    await gateway.authority.localLogins.createUser({
      name: username,
      username,
      password,
      groupIds: [group.id],
    });
    let changed: () => void = () => undefined;
    const client = new GatewayClient({
      url: `http://127.0.0.1:${proxy.port}`,
      backoff: { baseMs: 1, capMs: 20 },
      onState: () => changed(),
    });
    open.push(client);
    const login = await client.login({ handler: ["homeassistant", null] });
    await login.submit({ username, password });
    const untilState = async (state: string) => {
      while (client.state !== state)
        await within(
          new Promise<void>((resolve) => {
            changed = resolve;
          }),
          state,
        );
    };
    const lose = async () => {
      proxy.cut();
      await untilState("connecting");
    };
    return { client, group, lose, untilReady: () => untilState("ready") };
  }
  const publish = (n: number, topic = "home/kitchen/temperature") =>
    publisher.call("gatehouse/topics/publish", { topic, data: { n } });

  it("come in order, until the subscription ends", async () => {
    const { client } = await reader();
    const ear = new Ear();
    const end = await client.subscribe("home/+/temperature", ear.onMessage, ear.options);
    for (const n of [1, 2, 3]) await publish(n);
    await publish(4, "home/kitchen/humidity");
    await ear.until(() => ear.heard.length === 3, "three messages");
    expect(ear.last).toMatchObject({ topic: "home/kitchen/temperature", data: { n: 3 } });
    await end();
    await publish(5);
    await client.call("auth/current_user");
    expect(ear.heard).toEqual([1, 2, 3]);
    expect([ear.gaps, ear.ended]).toEqual([[], []]);
  });

  it("go on after a lost connection without a loss, and say if there was one", async () => {
    const { client, lose, untilReady } = await reader();
    const ear = new Ear();
    await client.subscribe("home/kitchen/#", ear.onMessage, ear.options);
    await publish(1);
    await ear.until(() => ear.heard.length === 1, "the first");
    proxy.refuse();
    await lose();
    await publish(2);
    await publish(3);
    proxy.pass();
    await untilReady();
    await ear.until(() => ear.heard.length === 3, "what was missed");
    await publish(4);
    await ear.until(() => ear.heard.length === 4, "the next");
    expect(ear.heard).toEqual([1, 2, 3, 4]);
    expect(ear.gaps).toEqual([]);

    proxy.refuse();
    await lose();
    for (let n = 5; n <= 12; n += 1) await publish(n);
    proxy.pass();
    await ear.until(() => ear.gaps.length === 1, "a gap");
    await publish(13);
    await ear.until(() => ear.heard.at(-1) === 13, "the next");
    expect(ear.heard).toEqual([1, 2, 3, 4, 13]);
    expect(ear.gaps).toEqual([null]);
  });

  it("begin with the last values if asked, which do not move the position back", async () => {
    const { client, lose, untilReady } = await reader();
    const topic = "home/hall/temperature";
    const retained = { topic, data: { n: 1 }, retain: 60 };
    await publisher.call("gatehouse/topics/publish", retained);
    for (const n of [2, 3]) await publish(n, topic);
    const ear = new Ear();
    await client.subscribe("home/hall/#", ear.onMessage, { ...ear.options, last: true });
    await ear.until(() => ear.heard.length === 1, "the last value");
    expect(ear.last).toMatchObject({ topic, data: { n: 1 }, last: true });
    await lose();
    await untilReady();
    await publish(4, topic);
    await ear.until(() => ear.heard.at(-1) === 4, "the next");
    expect([ear.heard, ear.gaps]).toEqual([[1, 4], []]);
  });

  it("tell a gap after every reconnect if the pattern has no fixed namespace", async () => {
    const { client, lose } = await reader();
    const ear = new Ear();
    await client.subscribe("+/kitchen/#", ear.onMessage, ear.options);
    await publish(1);
    await ear.until(() => ear.heard.length === 1, "the first");
    await lose();
    await ear.until(() => ear.gaps.length === 1, "a gap");
    await publish(2);
    await ear.until(() => ear.heard.length === 2, "the next");
    expect(ear.gaps).toEqual([null]);
  });

  it("end with the right to read them, once, and are not asked for again", async () => {
    const { client, group, lose, untilReady } = await reader();
    const ear = new Ear();
    await client.subscribe("home/#", ear.onMessage, ear.options);
    await publish(1);
    await ear.until(() => ear.heard.length === 1, "the first");
    const { version } = group;
    await publisher.call("gatehouse/groups/update", { group_id: group.id, version, policy: {} });
    await publish(2);
    await ear.until(() => ear.ended.length === 1, "the end");
    expect(ear.ended).toEqual(["permission_lost"]);
    await lose();
    await untilReady();
    await client.call("auth/current_user");
    expect([ear.heard, ear.ended, ear.gaps]).toEqual([[1], ["permission_lost"], []]);
    await expect(client.subscribe("home/#", ear.onMessage)).rejects.toMatchObject({ code: "unauthorized" });
  });

  it("are an iterator too, which ends with the loop or with the client", async () => {
    const { client } = await reader();
    const messages = client.messages<Reading>("home/kitchen/#");
    const first = messages.next();
    // The subscription begins with the first `next`, so it is not known when it is there.
    const publishing = setInterval(() => void publish(1), 10);
    expect((await within(first, "the first message")).value?.data).toEqual({ n: 1 });
    clearInterval(publishing);
    await messages.return();
    expect(await messages.next()).toEqual({ done: true, value: undefined });

    const others = client.messages<Reading>("home/kitchen/#");
    const next = others.next();
    const again = setInterval(() => void publish(2), 10);
    await within(next, "the first message");
    clearInterval(again);
    client.close();
    let result = await within(others.next(), "the end");
    while (result.done !== true) result = await within(others.next(), "the end");
    await expect(client.messages("home/#").next()).rejects.toMatchObject({ code: "not_connected" });
  });

  it("end with return while the iterator waits for a message", async () => {
    const { client } = await reader();
    const messages = client.messages<Reading>("home/quiet");
    const [one, two] = [messages.next(), messages.next()];
    await client.call("auth/current_user");
    await within(messages.return(), "the end");
    const over = { done: true, value: undefined };
    expect([await within(one, "one"), await within(two, "two"), await messages.next()]).toEqual([
      over,
      over,
      over,
    ]);
  });

  it("throw from the iterator if the right is lost", async () => {
    const { client, group } = await reader();
    const messages = client.messages<Reading>("home/#");
    const first = messages.next();
    const publishing = setInterval(() => void publish(1), 10);
    await within(first, "the first message");
    clearInterval(publishing);
    const { version } = group;
    await publisher.call("gatehouse/groups/update", { group_id: group.id, version, policy: {} });
    const drain = async () => {
      for await (const _ of messages);
    };
    await expect(within(drain(), "the end")).rejects.toMatchObject({ code: "permission_lost" });
  });
});
