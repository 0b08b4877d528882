import { describe, expect, it } from "vitest";

import { closeCodes } from "../../protocol/close-codes.ts";
import type { User } from "../../src/auth/model.ts";
import type { Message } from "../support/socket-client.ts";
import { type SocketGateway, startSocketGateway } from "../support/socket-gateway.ts";
import { within } from "../support/within.ts";

const many = 5_000;
const wide = "Maria-Fernanda von der Leyen-Hohenstein zu Hinterpfuiteufel und Niederfischbach ";

async function addUsers(gateway: SocketGateway, count: number): Promise<void> {
  for (let made = 0; made < count; made += 250)
    await Promise.all(
      Array.from({ length: 250 }, (_, place) =>
        gateway.authority.users.create({ name: `${wide}${made + place}` }),
      ),
    );
}

const lengthOf = ({ result }: Message) => (result as readonly unknown[]).length;

describe.each(["ws", "uws"] as const)("lists of thousands on %s", (transport) => {
  it("are answered to a client that reads, whatever it negotiated, and others are answered meanwhile", async () => {
    const gateway = await startSocketGateway({ transport });
    const owner = await gateway.owner();
    await addUsers(gateway, many);
    const [asking, plain, bystander] = await Promise.all([
      gateway.enter(owner),
      gateway.enter(owner),
      gateway.enter((await gateway.user("petra")).user),
    ]);
    await asking.client.call("supported_features", { features: { coalesce_messages: 1 } });

    let listed = false;
    const lists = Promise.all([
      asking.client.call("config/auth/list"),
      plain.client.call("config/auth/list"),
    ]).finally(() => {
      listed = true;
    });
    let pings = 0;
    while (!listed) {
      await bystander.client.call("ping");
      pings += 1;
    }
    for (const answer of await lists) {
      expect(JSON.stringify(answer).length).toBeGreaterThan(1_048_576);
      expect(lengthOf(answer)).toBe(many + 2);
    }
    // Each slice is a turn of the loop, in which the bystander has its turn too.
    expect(pings).toBeGreaterThan(many / 50 / 4);
    expect(await asking.client.call("ping")).toMatchObject({ type: "pong" });
    await gateway.stop();
  });
});

describe("lists in pages", () => {
  async function pagesOf(ask: (cursor: string | undefined) => Promise<Message>, key: string) {
    const entries: { readonly id: string }[] = [];
    let cursor: string | undefined;
    let pages = 0;
    do {
      const { result } = await ask(cursor);
      const page = result as Record<string, readonly { readonly id: string }[]> & { cursor: string | null };
      entries.push(...(page[key] ?? []));
      cursor = page.cursor ?? undefined;
      pages += 1;
    } while (cursor !== undefined);
    return { ids: entries.map(({ id }) => id), pages };
  }

  it("give every user once, and every session of one's own", async () => {
    const gateway = await startSocketGateway();
    const owner = await gateway.owner();
    await addUsers(gateway, 250);
    const { client } = await gateway.enter(owner);
    for (let count = 0; count < 24; count += 1) await gateway.open(owner.id);

    const users = await pagesOf(
      (cursor) => client.call("gatehouse/users/list", { limit: 60, cursor }),
      "users",
    );
    const { result: allUsers } = await client.call("config/auth/list");
    expect(users.ids.toSorted()).toEqual((allUsers as { id: string }[]).map(({ id }) => id).toSorted());
    expect(users.pages).toBe(5);

    const sessions = await pagesOf(
      (cursor) => client.call("gatehouse/sessions/list", { limit: 10, cursor }),
      "sessions",
    );
    const { result: allSessions } = await client.call("auth/refresh_tokens");
    expect(sessions.ids.toSorted()).toEqual((allSessions as { id: string }[]).map(({ id }) => id).toSorted());
    expect([sessions.ids.length, sessions.pages]).toEqual([25, 3]);
    await gateway.stop();
  });

  it("are for administrators where they are users, and hold one's own sessions only", async () => {
    const gateway = await startSocketGateway();
    await gateway.owner();
    const { user } = await gateway.user("petra");
    const { client, sessionId } = await gateway.enter(user);
    expect(await client.call("gatehouse/users/list")).toMatchObject({ error: { code: "unauthorized" } });
    expect(await client.call("gatehouse/sessions/list")).toMatchObject({
      result: { sessions: [{ id: sessionId, is_current: true }], cursor: null },
    });
    await gateway.stop();
  });
});

describe("whole lists of one user", () => {
  /** Counts how many lists of sessions are at work. */
  async function watched() {
    const gateway = await startSocketGateway();
    const owner = await gateway.owner();
    const { sessions } = gateway.authority;
    const seen = { now: 0, most: 0, all: 0 };
    const listOf = sessions.list.bind(sessions);
    Object.assign(sessions, {
      list: async (userId: string) => {
        seen.now += 1;
        seen.all += 1;
        seen.most = Math.max(seen.most, seen.now);
        return await listOf(userId).finally(() => {
          seen.now -= 1;
        });
      },
    });
    return { gateway, owner, seen };
  }

  it("are at work one at a time, over all of the user's sockets", async () => {
    const { gateway, owner, seen } = await watched();
    const sockets = [await gateway.enter(owner), await gateway.enter(owner)];
    const asked = sockets.flatMap(({ client }) =>
      Array.from({ length: 30 }, () => client.call("auth/refresh_tokens")),
    );
    for (const answer of await Promise.all(asked)) expect(answer).toMatchObject({ success: true });
    expect(seen).toEqual({ now: 0, most: 1, all: 60 });
    await gateway.stop();
  });

  it("wait for a client that does not read, and no other socket waits for it", async () => {
    const { gateway, owner, seen } = await watched();
    for (let count = 0; count < 400; count += 1) await gateway.open(owner.id);
    const [stuck, reading] = [await gateway.enter(owner), await gateway.enter(owner)];
    stuck.client.pause();
    const answers = Array.from({ length: 60 }, () => stuck.client.call("auth/refresh_tokens"));
    // The kernel's buffers take some of them; from then on none is read from the store for the stuck socket.
    let before = -1;
    while (seen.all !== before) {
      before = seen.all;
      expect(lengthOf(await reading.client.call("auth/refresh_tokens"))).toBeGreaterThan(400);
      before += 1;
    }
    expect(seen.all).toBeLessThan(60);
    stuck.client.resume();
    for (const answer of await within(Promise.all(answers), "the lists"))
      expect(lengthOf(answer)).toBeGreaterThan(400);
    await gateway.stop();
  });
});

it("a whole list that waited for its client is refused to who has lost the right to it", async () => {
  const gateway = await startSocketGateway();
  const { user } = await gateway.user("adam");
  await gateway.authority.users.update(user.id, { groupIds: ["system-admin"] });
  await addUsers(gateway, 1_000);
  const { users } = gateway.authority;
  const pageOf = users.page.bind(users);
  let pages = 0;
  Object.assign(users, {
    page: async (...asked: Parameters<typeof pageOf>) => {
      pages += 1;
      return await pageOf(...asked);
    },
  });
  const [stuck, reading] = [await gateway.enter(user), await gateway.enter(user)];
  stuck.client.pause();
  const answers = Array.from({ length: 40 }, () => stuck.client.call("config/auth/list"));
  // The kernel's buffers take some of them. From then on the user has lists that wait, and no page is read.
  let before = -1;
  while (pages !== before) {
    before = pages;
    await reading.client.call("auth/refresh_tokens");
  }
  await gateway.authority.users.update(user.id, { groupIds: ["system-users"] });
  stuck.client.resume();
  const results = await within(Promise.all(answers), "the lists");
  expect(results.at(0)).toMatchObject({ success: true });
  expect(results.at(-1)).toMatchObject({ success: false, error: { code: "unauthorized" } });
  expect(pages).toBe(before);
  await gateway.stop();
});

describe("sockets of one session or user", () => {
  it.each(["ws", "uws"] as const)("are closed with a code beyond their number on %s", async (transport) => {
    const gateway = await startSocketGateway({
      transport,
      limits: { socketsPerSession: 2, socketsPerUser: 3 },
    });
    const owner = await gateway.owner();
    const first = await gateway.enter(owner);
    const again = async (token: string) => {
      const client = await gateway.connect();
      return { client, answer: client.authenticate(token) };
    };
    const second = await again(first.accessToken);
    expect(await second.answer).toMatchObject({ type: "auth_ok" });
    const third = await again(first.accessToken);
    await expect(third.answer).rejects.toThrow();
    expect(await third.client.closed).toMatchObject({ code: closeCodes.too_many_sockets.number });

    const other: User = owner;
    const elsewhere = await gateway.enter(other);
    const { accessToken } = await gateway.open(owner.id);
    const fourth = await again(accessToken);
    await expect(fourth.answer).rejects.toThrow();
    expect(await fourth.client.closed).toMatchObject({ code: closeCodes.too_many_sockets.number });

    elsewhere.client.close();
    await elsewhere.client.closed;
    while (gateway.connections.hub.sockets > 2) await first.client.call("ping");
    expect(await (await again(accessToken)).answer).toMatchObject({ type: "auth_ok" });
    await gateway.stop();
  });
});
