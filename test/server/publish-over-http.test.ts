import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { type RunningGateway, startGateway, transportNames } from "../support/gateway.ts";
import { openSocket, type SocketClient } from "../support/socket-client.ts";

const path = "/api/gatehouse/topics/publish";

describe.each(transportNames)("publishing over HTTP on %s", (transport) => {
  let gateway: RunningGateway;
  let owner: string;
  let plain: string;
  let reader: SocketClient;

  beforeAll(async () => {
    gateway = await startGateway({
      store: "embedded",
      transport,
      config: { limits: { messages_per_second_per_user: 200 } },
    });
    owner = await tokenOf(gateway.owner.id);
    const user = await gateway.authority.users.create({ name: "Petra", groupIds: ["system-users"] });
    plain = await tokenOf(user.id);
    reader = await openSocket(gateway.port);
    await reader.authenticate(plain);
    await reader.call("gatehouse/topics/subscribe", { pattern: "#" });
    await reader.call("subscribe_events", { event_type: "themes_updated" });
  });
  afterAll(async () => {
    reader?.close();
    await gateway?.stop();
  });

  async function tokenOf(userId: string): Promise<string> {
    const token = { userId, clientName: randomUUID(), clientIcon: null, days: 1 };
    return (await gateway.authority.sessions.openLongLived(token)).accessToken;
  }

  async function post(where: string, token: string | null, body: unknown) {
    const response = await fetch(`${gateway.url}${where}`, {
      method: "POST",
      headers: token === null ? {} : { authorization: `Bearer ${token}` },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }
  const event = () => reader.find(({ type }) => type === "event", "an event");

  it("publishes one message or several, in order, and answers with their positions", async () => {
    const messages = Array.from({ length: 100 }, (_, n) => ({ topic: `home/${n % 2}`, data: { n } }));
    const answer = await post(path, owner, { messages });
    expect(answer).toMatchObject({ status: 200, body: { positions: expect.any(Array) } });
    for (const [n, position] of (answer.body.positions as string[]).entries())
      expect(await event()).toMatchObject({ event: { data: { n }, position } });
  });

  it("tells subscribers if a system user published it", async () => {
    const groupIds = ["system-admin"];
    const { user, refreshToken } = await gateway.authority.systemUsers.create({ name: "feed", groupIds });
    const asked = await fetch(`${gateway.url}/auth/token`, {
      method: "POST",
      body: new URLSearchParams({ grant_type: "refresh_token", refresh_token: refreshToken }),
    });
    const { access_token: accessToken } = (await asked.json()) as { access_token: string };
    expect(await post(path, accessToken, { messages: [{ topic: "feed", data: null }] })).toMatchObject({
      status: 200,
    });
    expect(await event()).toMatchObject({
      event: { topic: "feed", data: null, publisher: { user_id: user.id, is_system: true } },
    });
  });

  it.each([
    ["no token", null, { messages: [{ topic: "a", data: 1 }] }, 401, "unauthorized"],
    ["a wrong token", "x.y.z", { messages: [{ topic: "a", data: 1 }] }, 401, "unauthorized"],
    ["no messages", "owner", { messages: [] }, 400, "invalid_format"],
    ["another key", "owner", { messages: [{ topic: "a", data: 1 }], more: 1 }, 400, "invalid_format"],
    ["a pattern", "owner", { messages: [{ topic: "a/+", data: 1 }] }, 400, "invalid_format"],
    ["a reserved topic", "owner", { messages: [{ topic: "$events/x", data: 1 }] }, 400, "invalid_format"],
    ["no JSON", "owner", "{", 400, "invalid_format"],
    ["a byte order mark", "owner", '\ufeff{"messages":[{"topic":"a","data":1}]}', 400, "invalid_format"],
    ["a key twice", "owner", '{"messages":[{"topic":"a","data":{"a":1,"a":2}}]}', 400, "invalid_format"],
    ["a poisoned key", "owner", '{"messages":[{"topic":"a","data":{"__proto__":1}}]}', 400, "invalid_format"],
    ["a large number", "owner", '{"messages":[{"topic":"a","data":1e300}]}', 400, "invalid_format"],
    ["half a character", "owner", '{"messages":[{"topic":"a","data":"\\ud800"}]}', 400, "invalid_format"],
    [
      "a topic that they may not control",
      "plain",
      { messages: [{ topic: "a", data: 1 }] },
      403,
      "not_allowed",
    ],
  ] as const)("refuses %s, and publishes nothing", async (_, who, body, status, code) => {
    const token = who === "owner" ? owner : who === "plain" ? plain : who;
    expect(await post(path, token, body)).toMatchObject({ status, body: { code } });
    const last = {
      messages: [
        { topic: "good", data: 1 },
        { topic: "a/+", data: 2 },
      ],
    };
    expect(await post(path, owner, last)).toMatchObject({ status: 400 });
    await post(path, owner, { messages: [{ topic: "mark", data: code }] });
    expect(await event()).toMatchObject({ event: { topic: "mark", data: code } });
  });

  it.each([
    [
      [
        { topic: "a", data: 1 },
        { topic: "a/+", data: 1 },
      ],
      "messages[1]: topic: Not a topic.",
    ],
    [[{ topic: "$events/x", data: 1 }], "messages[0]: topic: Topics that begin with $ are reserved."],
    [[{ topic: "a" }], "messages[0]: required key not provided: data"],
    [[{ topic: "a", data: 1, retain: "long" }], "messages[0]: retain: must be integer"],
    [[{ topic: "a", data: 1, more: 1 }], "messages[0]: extra keys not allowed"],
    [[], "messages: must not have fewer than 1 items"],
  ])("says which message and which field are wrong: %j", async (messages, message) => {
    expect(await post(path, owner, { messages })).toMatchObject({
      status: 400,
      body: { code: "invalid_format", message: expect.stringContaining(message) },
    });
  });

  it("limits how many messages a user publishes", async () => {
    const messages = Array.from({ length: 100 }, () => ({ topic: "flood", data: 1 }));
    const statuses = new Set<number>();
    for (let n = 0; n < 15; n += 1) statuses.add((await post(path, owner, { messages })).status);
    expect([...statuses].sort()).toEqual([200, 429]);
    let heard = await event();
    while ((heard.event as { topic: string }).topic !== "flood") heard = await event();
  });
});

describe.each(transportNames)("Home Assistant's events over HTTP on %s", (transport) => {
  it("reach their subscribers, and are for administrators", async () => {
    const gateway = await startGateway({ store: "embedded", transport });
    try {
      const user = await gateway.authority.users.create({ name: "Petra", groupIds: ["system-users"] });
      const tokenOf = async (userId: string) => {
        const token = { userId, clientName: randomUUID(), clientIcon: null, days: 1 };
        return (await gateway.authority.sessions.openLongLived(token)).accessToken;
      };
      const [owner, plain] = [await tokenOf(gateway.owner.id), await tokenOf(user.id)];
      const reader = await openSocket(gateway.port);
      await reader.authenticate(owner);
      await reader.call("subscribe_events");
      const fire = async (type: string, token: string, body?: string) => {
        const headers = { authorization: `Bearer ${token}` };
        const url = `${gateway.url}/api/events/${type}`;
        const response = await fetch(url, {
          method: "POST",
          headers,
          ...(body === undefined ? {} : { body }),
        });
        return [response.status, await response.json()];
      };
      expect(await fire("doorbell", owner, '{"button":1}')).toEqual([
        200,
        { message: "Event doorbell fired." },
      ]);
      expect(await fire("plain%20event", owner)).toEqual([200, { message: "Event plain event fired." }]);
      expect(await fire("doorbell", plain)).toMatchObject([401, { code: "unauthorized" }]);
      expect(await fire("doorbell", "x")).toMatchObject([401, { code: "unauthorized" }]);
      expect(await fire("user_added", owner)).toMatchObject([403, { code: "not_allowed" }]);
      expect(await fire("doorbell", owner, "[]")).toMatchObject([400, { code: "invalid_format" }]);
      expect(await fire("x".repeat(65), owner)).toMatchObject([400, { code: "invalid_format" }]);
      const events = [];
      for (let n = 0; n < 2; n += 1)
        events.push((await reader.find(({ type }) => type === "event", "an event")).event);
      const context = { id: expect.any(String), parent_id: null, user_id: gateway.owner.id };
      expect(events).toMatchObject([
        { event_type: "doorbell", data: { button: 1 }, origin: "REMOTE", context },
        { event_type: "plain event", data: {}, origin: "REMOTE", context },
      ]);
      reader.close();
    } finally {
      await gateway.stop();
    }
  });
});
