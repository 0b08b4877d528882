import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { ownerPassword, setUpOwner, startNode } from "../support/gateway.ts";
import { type Message, openSocket, type SocketClient } from "../support/socket-client.ts";
import { staleTokens } from "../support/stale-session.ts";

/* Commands by which an administrator gives rights to others. What they need is the configuration's, so these are whole nodes. */

type Node = Awaited<ReturnType<typeof startNode>>;

const handler = ["homeassistant", null];
const password = { username: "paula", password: ownerPassword };
const ordinary = "system-users";

let byDefault: Node;
let off: Node;
const sockets: SocketClient[] = [];
beforeAll(async () => {
  byDefault = await startNode({});
  off = await startNode({ step_up: { approvals: "off", group_policy: "off" } });
  for (const { authority } of [byDefault, off]) await setUpOwner(authority);
});
afterAll(async () => {
  for (const socket of sockets) socket.close();
  for (const node of [byDefault, off]) await node?.stop();
});

/** A socket of the owner, whose login is an hour old. */
async function stale({ authority, port }: Node, features: object = { step_up: 1 }): Promise<SocketClient> {
  const owner = (await authority.users.list()).find(({ isOwner }) => isOwner);
  const socket = await openSocket(port);
  sockets.push(socket);
  await socket.authenticate((await staleTokens(authority, owner?.id ?? "")).accessToken);
  await socket.call("supported_features", { features });
  return socket;
}

/** One whose login was now. */
async function fresh({ port }: Node): Promise<SocketClient> {
  const socket = await openSocket(port);
  sockets.push(socket);
  const { result } = await socket.call("auth/login/start", { handler });
  const { flow_id } = result as { readonly flow_id: string };
  const done = await socket.call("auth/login/step", { flow_id, user_input: password });
  expect(done).toMatchObject({ result: { type: "create_entry" } });
  await socket.call("supported_features", { features: { step_up: 1 } });
  return socket;
}

let lastId = 1_000;
/** Sends with an id above those of `call`, and reads what comes on it first. */
async function ask(socket: SocketClient, type: string, fields: object): Promise<Message> {
  lastId += 1;
  const id = lastId;
  socket.send({ id, type, ...fields });
  return await socket.find((message) => message.id === id, `the answer to ${type}`);
}

/** A user who waits for approval, and who is to become an ordinary user: `user_rights` asks nothing then. */
async function waitingUser({ authority }: Node): Promise<string> {
  const { id } = await authority.users.create({ name: "Willa", state: "pending", groupIds: [ordinary] });
  const who = { userId: id, name: "Willa", subject: id, clientId: null, clientName: null, address: null };
  const waiting = await authority.approvals.wait({ ...who, provider: ["command_line", null] });
  expect(waiting).toBeDefined();
  return id;
}
const isActive = async ({ authority }: Node, id: string) =>
  (await authority.users.read(id))?.user.state === "active";

const policy = { entities: { domains: { lock: true } } };
async function newGroup({ authority }: Node) {
  const { id, version } = (await authority.groups.create({ name: "Cellar", policy: {} })).group;
  return { group_id: id, version };
}

let made = 0;
/** A command with what it needs, and whether it was carried out. */
interface Prepared {
  readonly fields: object;
  isDone(): Promise<boolean>;
}
const commands: Readonly<Record<string, (node: Node) => Promise<Prepared>>> = {
  "gatehouse/approvals/approve": async (node) => {
    const user_id = await waitingUser(node);
    return { fields: { user_id, group_ids: [ordinary] }, isDone: () => isActive(node, user_id) };
  },
  // It activates a user who waits, as Home Assistant's clients do.
  "config/auth/update": async (node) => {
    const user_id = await waitingUser(node);
    return { fields: { user_id, is_active: true }, isDone: () => isActive(node, user_id) };
  },
  "gatehouse/groups/create": async (node) => {
    made += 1;
    const name = `Attic ${made}`;
    return {
      fields: { name, policy },
      isDone: async () => (await node.authority.groups.list()).some((group) => group.name === name),
    };
  },
  "gatehouse/groups/update": async (node) => {
    const group = await newGroup(node);
    const isDone = async () =>
      JSON.stringify((await node.authority.groups.get(group.group_id))?.policy) === JSON.stringify(policy);
    return { fields: { ...group, policy }, isDone };
  },
  "gatehouse/groups/delete": async (node) => {
    const group = await newGroup(node);
    const isDone = async () => (await node.authority.groups.get(group.group_id)) === undefined;
    return { fields: group, isDone };
  },
  "gatehouse/mfa/demands/set": async (node) => {
    const { group_id } = await newGroup(node);
    const isDone = async () => (await node.authority.secondFactors.demandingGroups()).includes(group_id);
    return { fields: { group_id, demanded: true }, isDone };
  },
};

describe.each(Object.keys(commands))("%s", (type) => {
  const prepare = async (node: Node) =>
    (await commands[type]?.(node)) ?? { fields: {}, isDone: async () => false };

  it("waits, with the default settings, until the person of an old login has logged in again", async () => {
    const { fields, isDone } = await prepare(byDefault);
    const socket = await stale(byDefault);
    const required = await ask(socket, type, fields);
    expect(required).toMatchObject({ type: "step_up_required", acr: "aal1", max_age: 900 });
    const { id, flow_id } = required;
    await ask(socket, "auth/step_up/start", { flow_id, handler });
    // Nothing is carried out before the login is done.
    expect(await isDone()).toBe(false);
    const done = await ask(socket, "auth/step_up/step", { flow_id, user_input: password });
    expect(done).toMatchObject({ result: { type: "create_entry", flow_id } });
    expect(await socket.find((message) => message.id === id, "its answer")).toMatchObject({
      type: "result",
      success: true,
    });
    expect(await isDone()).toBe(true);
  });

  it("is not carried out if the person gives the login up", async () => {
    const { fields, isDone } = await prepare(byDefault);
    const socket = await stale(byDefault);
    const { id, flow_id, type: answered } = await ask(socket, type, fields);
    expect(answered).toBe("step_up_required");
    lastId += 1;
    socket.send({ id: lastId, type: "auth/step_up/cancel", flow_id });
    expect(await socket.find((message) => message.id === id, "its answer")).toMatchObject({
      error: { code: "step_up_failed" },
    });
    expect(await isDone()).toBe(false);
  });

  it("needs nothing more after a recent login", async () => {
    const { fields, isDone } = await prepare(byDefault);
    expect(await ask(await fresh(byDefault), type, fields)).toMatchObject({ type: "result", success: true });
    expect(await isDone()).toBe(true);
  });

  it("needs nothing of an old login where the setting is off", async () => {
    const { fields, isDone } = await prepare(off);
    expect(await ask(await stale(off), type, fields)).toMatchObject({ type: "result", success: true });
    expect(await isDone()).toBe(true);
  });
});

// As the protocol says: what gives nobody a right needs no recent login.
describe("an old login", () => {
  it("refuses a user who waits, which gives nobody anything", async () => {
    const user_id = await waitingUser(byDefault);
    const answer = await ask(await stale(byDefault), "gatehouse/approvals/refuse", { user_id });
    expect(answer).toMatchObject({ type: "result", success: true });
    expect(await byDefault.authority.users.read(user_id)).toBeUndefined();
  });

  it("gives a group another name, and leaves its policy", async () => {
    const group = await newGroup(byDefault);
    const fields = { ...group, name: "Basement" };
    const answer = await ask(await stale(byDefault), "gatehouse/groups/update", fields);
    expect(answer).toMatchObject({ success: true, result: { group: { name: "Basement", policy: {} } } });
  });

  it("is refused where the client cannot step up, also for what gives rights to others", async () => {
    const socket = await stale(byDefault, {});
    for (const [type, prepare] of Object.entries(commands)) {
      const { fields, isDone } = await prepare(byDefault);
      expect(await ask(socket, type, fields)).toMatchObject({ error: { code: "recent_login_required" } });
      expect(await isDone()).toBe(false);
    }
  });
});
