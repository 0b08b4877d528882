import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { closeCodes } from "../../protocol/close-codes.ts";
import { type RunningGateway, setUpOwner, startGateway, startNode } from "../support/gateway.ts";
import { startRedis } from "../support/redis-server.ts";
import { type Message, openSocket, type SocketClient } from "../support/socket-client.ts";
import { within } from "../support/within.ts";

const clientId = "https://app.example/";
let gateway: RunningGateway;
beforeAll(async () => {
  gateway = await startGateway({ store: "embedded", transport: "ws" });
});
afterAll(() => gateway?.stop());

let made = 0;
async function newUser(groupIds: readonly string[] = ["system-users"]): Promise<string> {
  made += 1;
  return (await gateway.authority.users.create({ name: `user${made}`, groupIds })).id;
}

type Place = Pick<RunningGateway, "authority" | "port">;

interface Entered {
  readonly socket: SocketClient;
  readonly sessionId: string;
}

async function enter(userId: string, client: string | null = null, at: Place = gateway): Promise<Entered> {
  const standing = await at.authority.users.read(userId);
  if (standing === undefined) throw new Error("no user");
  const { session, accessToken } = await at.authority.sessions.open({
    user: standing.user,
    userVersion: standing.version,
    userEpoch: standing.epoch,
    credential: null,
    clientId: client,
    clientName: null,
    rotates: true,
    assurance: 1,
    amr: ["pwd"],
    authenticatedAt: Date.now(),
    peer: { address: "127.0.0.1" },
  });
  const socket = await openSocket(at.port);
  expect(await socket.authenticate(accessToken)).toMatchObject({ type: "auth_ok" });
  return { socket, sessionId: session.id };
}
const asOwner = () => enter(gateway.owner.id);
const revoke = ({ socket }: Entered, target: object, more: object = {}) =>
  socket.call("gatehouse/revoke", { target, ...more });
const ends = async ({ socket }: Entered) => (await within(socket.closed, "the close")).code;
const lives = async ({ socket }: Entered) =>
  expect(await socket.call("ping")).toMatchObject({ type: "pong" });
const cutOff = closeCodes.session_revoked.number;

describe("gatehouse/revoke", () => {
  it("ends a user's sessions, one, a client's, and says what is true", async () => {
    const [admin, ada] = [await enter(await newUser(["system-admin"])), await newUser()];
    const [first, second] = [await enter(ada), await enter(ada)];
    expect(await revoke(admin, { session_id: first.sessionId })).toMatchObject({
      success: true,
      result: {
        sessions: 1,
        sockets_closed: 1,
        durability: "fsync",
        effective: "all",
        nodes: { applied: 1, pending: 0, fenced: 0 },
      },
    });
    expect(await ends(first)).toBe(cutOff);
    await lives(second);
    expect(await revoke(admin, { user_id: ada }, { wait: true })).toMatchObject({
      result: { sessions: 1, effective: "all" },
    });
    expect(await ends(second)).toBe(cutOff);
    const [app, other] = [await enter(ada, clientId), await enter(ada)];
    expect(await revoke(await asOwner(), { client_id: clientId })).toMatchObject({
      result: { sessions: null, sockets_closed: 1, effective: "all" },
    });
    expect(await ends(app)).toBe(cutOff);
    await lives(other);
  });

  it("ends a client's sessions and counts none, also for who waits or subscribes", async () => {
    const [owner, ada] = [await asOwner(), await newUser()];
    const both = [await enter(ada, clientId), await enter(ada, clientId)];
    expect(await revoke(owner, { client_id: clientId }, { wait: true })).toMatchObject({
      result: { sessions: null, sockets_closed: 2, effective: "all" },
    });
    for (const one of both) expect(await ends(one)).toBe(cutOff);
    await enter(ada, clientId);
    const answer = await revoke(owner, { client_id: clientId }, { subscribe: true });
    expect(answer).toMatchObject({ result: { sessions: null, effective: "all" } });
    const { event } = await owner.socket.find(
      ({ type, id }) => type === "event" && id === answer.id,
      "the end",
    );
    expect(event).toMatchObject({ sessions: null, effective: "all", done: true });
    // What is over counts no more among the subscriptions of the socket.
    expect(await owner.socket.call("unsubscribe_events", { subscription: answer.id })).toMatchObject({
      error: { code: "not_found" },
    });
  });

  it("leaves to the owner what is the owner's, and all", async () => {
    const owner = await enter(gateway.owner.id, clientId);
    const admin = await enter(await newUser(["system-admin"]));
    const plain = await enter(await newUser());
    const refused = { success: false, error: { code: "unauthorized" } };
    for (const target of [
      { user_id: gateway.owner.id },
      { session_id: owner.sessionId },
      { client_id: clientId },
      { all: true },
    ] as const)
      expect(await revoke(admin, target)).toMatchObject(refused);
    expect(await revoke(plain, { user_id: gateway.owner.id })).toMatchObject(refused);
    await lives(owner);
    expect(await revoke(admin, { user_id: "0".repeat(32) })).toMatchObject({ error: { code: "not_found" } });
  });

  it("answers before it closes its own socket, and ends everybody's with all", async () => {
    const [owner, ada] = [await asOwner(), await enter(await newUser())];
    const answer = await revoke(owner, { all: true });
    expect(answer).toMatchObject({ success: true, result: { sessions: null, effective: "pending" } });
    expect([await ends(owner), await ends(ada)]).toEqual([cutOff, cutOff]);
  });
});

describe("gatehouse/revoke beside another node", () => {
  it("is pending at first and tells a subscriber when it is so everywhere", async () => {
    const redis = await startRedis();
    const [here, there] = [await startNode({ store: redis.url }), await startNode({ store: redis.url })];
    const admin = await setUpOwner(here.authority);
    const owner = await enter(admin.id, null, here);
    const ada = await here.authority.users.create({ name: "Ada", groupIds: [] });
    const far = await enter(ada.id, null, there);
    const answer = await revoke(owner, { user_id: ada.id }, { subscribe: true });
    expect(answer).toMatchObject({ success: true, result: { sessions: 1 } });
    const isLast = ({ type, event }: Message) => type === "event" && (event as { done: boolean }).done;
    expect(await owner.socket.find(isLast, "the end")).toMatchObject({
      id: answer.id,
      event: { effective: "all", nodes: { applied: 2, pending: 0, fenced: 0 }, done: true },
    });
    expect(await ends(far)).toBe(cutOff);
    const again = await revoke(owner, { user_id: ada.id }, { wait: true });
    expect(again).toMatchObject({ result: { sessions: 0, effective: "all" } });
    for (const node of [here, there]) await node.stop();
    await redis.dispose();
  });
});
