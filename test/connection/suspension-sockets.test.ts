import { afterEach, describe, expect, it } from "vitest";

import { closeCodes } from "../../protocol/close-codes.ts";
import { limits } from "../../protocol/features.ts";
import { AuthError } from "../../src/auth/errors.ts";
import type { Message, SocketClient } from "../support/socket-client.ts";
import { type SocketGateway, startSocketGateway } from "../support/socket-gateway.ts";
import { within } from "../support/within.ts";

const suspended = { type: "auth_suspended", retry_after: 60 };
const resumed = { type: "auth_resumed" };
const negotiate = { features: { auth_suspended: 1 } };
const create = (name: string) => ({ name, group_ids: ["system-users"] });

/** Trust that a test takes away, at once or after so many further looks. */
class Switch {
  #looks = Number.POSITIVE_INFINITY;

  get trusted(): boolean {
    if (this.#looks <= 0) return false;
    this.#looks -= 1;
    return true;
  }

  loseAfter(looks: number): void {
    this.#looks = looks;
  }

  regain(): void {
    this.#looks = Number.POSITIVE_INFINITY;
  }
}

describe.each(["ws", "uws"] as const)("suspension on %s", (transport) => {
  let gateway: SocketGateway | undefined;

  afterEach(async () => {
    await gateway?.stop();
    gateway = undefined;
  });

  async function start() {
    const trust = new Switch();
    let hears = true;
    const running = await startSocketGateway({
      transport,
      hears: () => hears,
      view: (real) => ({
        judge: (principal) => real.judge(principal),
        decidedRights: (userId) => real.decidedRights(userId),
        ownerChange: () => real.ownerChange(),
        get trusted() {
          return trust.trusted && real.trusted;
        },
        get followGeneration() {
          return trust.trusted ? real.followGeneration : undefined;
        },
        get invalidationCount() {
          return real.invalidationCount;
        },
      }),
      authentication: (real) => ({
        ...real,
        authenticate(token, peer) {
          if (!trust.trusted) throw new AuthError("unavailable");
          return real.authenticate(token, peer);
        },
        recheck: (principal) => (trust.trusted ? real.recheck(principal) : "unavailable"),
      }),
    });
    gateway = running;
    const owner = await running.owner();
    const names = async () => (await running.authority.users.list()).map(({ name }) => name);
    return {
      ...running,
      owner,
      trust,
      names,
      deafen: () => {
        hears = false;
      },
      async enter(codec: "json" | "msgpack" = "json") {
        const entered = await running.enter(owner, { codec });
        await entered.client.call("supported_features", negotiate);
        return entered;
      },
      enterSilently: () => running.enter(owner),
      /** Everybody who negotiated it is told. */
      async lose(...clients: readonly SocketClient[]) {
        trust.loseAfter(0);
        running.wind(200);
        for (const client of clients) expect(await client.next()).toEqual(suspended);
      },
      regain() {
        trust.regain();
        running.wind(200);
      },
    };
  }

  /** Everything that comes, up to the close. */
  async function untilClosed(client: SocketClient) {
    const { code } = await within(client.closed, "the close");
    return { messages: client.unread, code };
  }

  it.each(["json", "msgpack"] as const)(
    "carries nothing out for a session that was revoked, in %s",
    async (codec) => {
      const node = await start();
      const revoked = await node.enter(codec);
      const other = await node.enter(codec);
      await node.lose(revoked.client, other.client);
      node.deafen();
      revoked.client.send({ id: 5, type: "config/auth/create", ...create("by the revoked") });
      revoked.client.send([
        { id: 6, type: "config/auth/create", ...create("in a batch") },
        { id: 7, type: "ping" },
      ]);
      other.client.send({ id: 5, type: "config/auth/create", ...create("by the other") });
      // Both were read: pings are answered behind what waits.
      for (const { client } of [revoked, other]) {
        client.send({ id: 8, type: "ping" });
        expect(await client.next()).toEqual({ id: 8, type: "pong" });
      }
      const { sessionId } = revoked;
      const target = { kind: "sessions", userId: node.owner.id, sessionIds: [sessionId] } as const;
      await node.authority.revocation.revoke(target, "session_revoked");
      node.regain();
      expect(await untilClosed(revoked.client)).toEqual({
        messages: [],
        code: closeCodes.session_revoked.number,
      });
      expect(await other.client.next()).toEqual(resumed);
      expect(await other.client.next()).toMatchObject({ id: 5, success: true });
      expect(await node.names()).toEqual(["Olivia", "by the other"]);
      other.client.terminate();
    },
  );

  it("closes at once what a cut finds, while it is suspended", async () => {
    const node = await start();
    const { client, sessionId } = await node.enter();
    await node.lose(client);
    client.send({ id: 5, type: "config/auth/create", ...create("queued") });
    const target = { kind: "sessions", userId: node.owner.id, sessionIds: [sessionId] } as const;
    expect(await node.authority.revocation.revoke(target, "session_revoked")).toMatchObject({
      socketsClosed: 1,
    });
    expect(await untilClosed(client)).toEqual({ messages: [], code: closeCodes.session_revoked.number });
    node.regain();
    expect(await node.names()).toEqual(["Olivia"]);
  });

  it("keeps the answer of a command that was at work, or never gives it", async () => {
    const node = await start();
    const [dead, alive] = [await node.enter(), await node.enter()];
    for (const { client } of [dead, alive]) {
      node.trust.regain();
      node.wind(200);
      // The look before the command passes, the one before its answer does not.
      node.trust.loseAfter(1);
      client.send({ id: 5, type: "auth/current_user" });
      const seen = await client.find(({ type }) => type !== "auth_resumed", "the suspension");
      expect(seen).toEqual(suspended);
    }
    node.deafen();
    const target = { kind: "sessions", userId: node.owner.id, sessionIds: [dead.sessionId] } as const;
    await node.authority.revocation.revoke(target, "session_revoked");
    node.regain();
    expect(await within(dead.client.closed, "the close")).toMatchObject({ code: 4301 });
    const answers = dead.client.unread.filter((message) => (message as Message).id === 5);
    expect(answers).toEqual([]);
    expect(await alive.client.next()).toEqual(resumed);
    expect(await alive.client.next()).toMatchObject({ id: 5, success: true });
    alive.client.terminate();
  });

  it("answers a lone ping, and one in a batch with its batch; coalesces what waited", async () => {
    const node = await start();
    const { client } = await node.enter("msgpack");
    await client.call("supported_features", { features: { coalesce_messages: 1 } });
    await node.lose(client);
    client.send([
      { id: 5, type: "ping" },
      { id: 6, type: "auth/current_user" },
    ]);
    client.send({ id: 7, type: "ping" });
    expect(await client.next()).toEqual({ id: 7, type: "pong" });
    node.regain();
    expect(await client.next()).toEqual(resumed);
    expect(await client.next()).toEqual([
      { id: 5, type: "pong" },
      expect.objectContaining({ id: 6, success: true }),
    ]);
    client.terminate();
  });

  it("closes who floods, and not its neighbour", async () => {
    const node = await start();
    const [flood, neighbour] = [await node.enter(), await node.enter()];
    await node.lose(flood.client, neighbour.client);
    for (let id = 5; id <= 5 + limits.suspendedFrames; id += 1)
      flood.client.send({ id, type: "config/auth/create", ...create(`flood ${id}`) });
    expect(await untilClosed(flood.client)).toEqual({ messages: [], code: closeCodes.unavailable.number });
    node.regain();
    expect(await neighbour.client.next()).toEqual(resumed);
    expect(await node.names()).toEqual(["Olivia"]);
    neighbour.client.terminate();
  });

  it("tells a client that negotiates while it is suspended", async () => {
    const node = await start();
    const { client } = await node.enter();
    const { client: late } = await node.enterSilently();
    await node.lose(client);
    late.send({ id: 3, type: "supported_features", ...negotiate });
    expect(await late.next()).toEqual(suspended);
    node.regain();
    expect(await late.next()).toEqual(resumed);
    expect(await late.next()).toMatchObject({ id: 3, success: true });
    for (const each of [client, late]) each.terminate();
  });

  it("lets nobody in: neither by a token, nor between the verdict and auth_ok", async () => {
    const node = await start();
    const { accessToken } = await node.open(node.owner.id);
    // The first look is the verdict's; from then on the admission and the last check look.
    for (const looks of [0, 1, 2]) {
      node.trust.regain();
      const client = await node.connect();
      expect(await client.next()).toMatchObject({ type: "auth_required" });
      node.trust.loseAfter(looks);
      client.send({ type: "auth", access_token: accessToken });
      client.send({ id: 1, type: "config/auth/create", ...create("early") });
      expect(await untilClosed(client)).toEqual({ messages: [], code: closeCodes.unavailable.number });
    }
    expect(await node.names()).toEqual(["Olivia"]);
  });

  it("suspends who was let in in the very moment, with what was sent ahead", async () => {
    const node = await start();
    const { accessToken } = await node.open(node.owner.id);
    const client = await node.connect();
    await client.next();
    // Verdict, round, last check; the next look is the one before the first command.
    node.trust.loseAfter(3);
    client.send({ type: "auth", access_token: accessToken });
    client.send({ id: 1, type: "config/auth/create", ...create("ahead") });
    expect(await client.next()).toMatchObject({ type: "auth_ok" });
    client.send({ id: 2, type: "ping" });
    expect(await client.next()).toEqual({ id: 2, type: "pong" });
    expect(await node.names()).toEqual(["Olivia"]);
    node.regain();
    expect(await client.next()).toMatchObject({ id: 1, success: true });
    client.terminate();
  });
});
