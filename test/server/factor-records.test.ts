import { afterEach, beforeEach, expect, it } from "vitest";

import { createLog } from "../../src/observability/log.ts";
import { codeAt, wrongCodeAt } from "../auth/factors/factor-people.ts";
import { ownerPassword, setUpOwner, startNode } from "../support/gateway.ts";
import { type Message, openSocket, type SocketClient } from "../support/socket-client.ts";
import { staleTokens } from "../support/stale-session.ts";

/* The audit records of second factors, whole: who did what to whom, from where, and what came of it. */

interface Step {
  readonly flow_id: string;
  readonly step_id?: string;
  readonly description_placeholders: Readonly<Record<string, string>>;
  readonly result: { readonly session_id: string };
}

/** Who asks, and from where: a person and an administrator are told apart by both. */
interface Actor {
  readonly socket: SocketClient;
  readonly by: {
    readonly via: "socket";
    readonly actor_id: string;
    readonly actor_session_id: string;
    readonly address: string;
  };
}

const home = "127.0.0.2";
const office = "127.0.0.3";
const unknown = "0".repeat(32);

let node: Awaited<ReturnType<typeof startNode>>;
let ownerId: string;
const lines: string[] = [];
const sockets: SocketClient[] = [];
beforeEach(async () => {
  lines.length = 0;
  const log = createLog({ level: "info", sink: { write: (line: string) => void lines.push(line) } });
  node = await startNode({ log: { audit: true } }, { log });
  ownerId = (await setUpOwner(node.authority)).id;
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.close();
  await node.stop();
});

/** What is recorded of second factors, without what every line of the log has. */
function records(): readonly object[] {
  return lines
    .map((line) => JSON.parse(line) as Message)
    .filter(({ audit }) => String(audit).startsWith("factor_"))
    .map(({ level: _, time: __, msg: ___, ...record }) => record);
}

async function person(username: string): Promise<string> {
  const login = { name: username, username, password: ownerPassword, groupIds: ["system-users"] };
  return (await node.authority.localLogins.createUser(login)).id;
}

async function begin(username: string, from: string) {
  const socket = await openSocket(node.port, { from });
  sockets.push(socket);
  const { result } = await socket.call("auth/login/start", { handler: ["homeassistant", null] });
  const { flow_id } = result as Step;
  const step = async (user_input: object) =>
    (await socket.call("auth/login/step", { flow_id, user_input })).result as Step;
  return { socket, flow_id, step, first: await step({ username, password: ownerPassword }) };
}

async function logIn(username: string, userId: string, from: string): Promise<Actor> {
  const { socket, first } = await begin(username, from);
  const by = { via: "socket", actor_id: userId, actor_session_id: first.result.session_id } as const;
  return { socket, by: { ...by, address: from } };
}

/** Of a login that is too old for what its client, which cannot step up, asks for. */
async function stale(userId: string, from: string): Promise<Actor> {
  const { accessToken, sessionId } = await staleTokens(node.authority, userId);
  const socket = await openSocket(node.port, { from });
  sockets.push(socket);
  await socket.authenticate(accessToken);
  return { socket, by: { via: "socket", actor_id: userId, actor_session_id: sessionId, address: from } };
}

async function beginSetup({ socket }: Actor) {
  const { result } = await socket.call("auth/setup_mfa", { mfa_module_id: "totp" });
  const { flow_id, description_placeholders } = result as Step;
  const { code: secret = "" } = description_placeholders;
  const send = (code: string) => socket.call("auth/setup_mfa", { flow_id, user_input: { code } });
  return { secret, send };
}

/** The authenticator app, and recovery codes. */
async function setUpBoth(who: Actor): Promise<void> {
  const { secret, send } = await beginSetup(who);
  await send(codeAt(secret, Date.now()));
  const { result } = await who.socket.call("auth/setup_mfa", { mfa_module_id: "recovery" });
  const { flow_id } = result as Step;
  await who.socket.call("auth/setup_mfa", { flow_id, user_input: {} });
  lines.length = 0;
}

it("of a set-up: each wrong code, and the end", async () => {
  const ada = await person("ada");
  const who = await logIn("ada", ada, home);
  const setUp = { audit: "factor_setup", ...who.by, user_id: ada, factors: "totp" };
  const wrong = { ...setUp, outcome: "denied", reason: "invalid_code" };
  const over = await beginSetup(who);
  for (let tries = 0; tries < 5; tries += 1) await over.send(wrongCodeAt(over.secret, Date.now()));
  expect(records()).toEqual([
    ...[1, 2, 3, 4].map(() => wrong),
    { ...setUp, outcome: "denied", reason: "too_many_retry" },
  ]);
  lines.length = 0;
  const { secret, send } = await beginSetup(who);
  // To ask for a code is no decision.
  expect(records()).toEqual([]);
  await send(wrongCodeAt(secret, Date.now()));
  await send(codeAt(secret, Date.now()));
  expect(records()).toEqual([wrong, { ...setUp, outcome: "allowed" }]);
});

it("of a set-up within a login, where nobody is logged in yet", async () => {
  const ada = await person("ada");
  const { id } = (await node.authority.groups.create({ name: "Strict", policy: {} })).group;
  await node.authority.groups.addMember({ groupId: id, userId: ada });
  await node.authority.secondFactors.demand(id, true);
  lines.length = 0;
  const { step, first, flow_id } = await begin("ada", home);
  const { code: secret = "" } = first.description_placeholders;
  expect(await step({ code: codeAt(secret, Date.now()) })).toMatchObject({ step_id: "mfa_recovery" });
  const what = { audit: "factor_setup", outcome: "allowed", factors: "totp" };
  expect(records()).toEqual([{ ...what, user_id: ada, flow_id, address: home }]);
});

it("of a removal: what went, also along with it, and why it could not be", async () => {
  const ada = await person("ada");
  const who = await logIn("ada", ada, home);
  await setUpBoth(who);
  const removal = { audit: "factor_removal", ...who.by, user_id: ada };
  const { id } = (await node.authority.groups.create({ name: "Strict", policy: {} })).group;
  await node.authority.groups.addMember({ groupId: id, userId: ada });
  await node.authority.secondFactors.demand(id, true);
  lines.length = 0;
  const remove = (mfa_module_id: string) => who.socket.call("auth/depose_mfa", { mfa_module_id });
  expect(await remove("totp")).toMatchObject({ error: { code: "disable_failed" } });
  await node.authority.secondFactors.demand(id, false);
  // What somebody typed is not repeated.
  expect(await remove("canary")).toMatchObject({ error: { code: "no_module" } });
  expect(await remove("totp")).toMatchObject({ result: "done" });
  expect(records().filter((record) => "actor_id" in record)).toEqual([
    { ...removal, outcome: "denied", reason: "disable_failed" },
    { ...removal, outcome: "denied", reason: "no_module" },
    { ...removal, outcome: "allowed", factors: "totp recovery" },
  ]);
  expect(lines.join()).not.toContain("canary");
});

it("of a reset by an administrator, who is told apart from the user", async () => {
  const ada = await person("ada");
  await setUpBoth(await logIn("ada", ada, home));
  const admin = await logIn("paula", ownerId, office);
  const reset = { audit: "factor_reset", ...admin.by, user_id: ada };
  lines.length = 0;
  const call = (fields: object) => admin.socket.call("gatehouse/mfa/reset", fields);
  await call({ user_id: ada, mfa_module_id: "recovery" });
  await call({ user_id: ada });
  await call({ user_id: ada });
  expect(await call({ user_id: unknown })).toMatchObject({ error: { code: "not_found" } });
  expect(records()).toEqual([
    { ...reset, outcome: "allowed", factors: "recovery" },
    { ...reset, outcome: "allowed", factors: "totp" },
    { ...reset, outcome: "allowed", factors: "" },
    { ...reset, user_id: unknown, outcome: "denied", reason: "not_found" },
  ]);
});

it("of what an old login must not do to its own factors", async () => {
  const who = await stale(ownerId, home);
  lines.length = 0;
  const refused = { error: { code: "recent_login_required" } };
  expect(await who.socket.call("gatehouse/mfa/reset", { user_id: ownerId })).toMatchObject(refused);
  expect(await who.socket.call("auth/depose_mfa", { mfa_module_id: "totp" })).toMatchObject(refused);
  const denied = { ...who.by, outcome: "denied", user_id: ownerId, reason: "recent_login_required" };
  expect(records()).toEqual([
    { audit: "factor_reset", ...denied },
    { audit: "factor_removal", ...denied },
  ]);
});

it("of a demand, of whom and by whom, and of its end", async () => {
  const { id: group_id } = (await node.authority.groups.create({ name: "Strict", policy: {} })).group;
  const { socket, by } = await logIn("paula", ownerId, office);
  lines.length = 0;
  for (const demanded of [true, false]) {
    const answer = await socket.call("gatehouse/mfa/demands/set", { group_id, demanded });
    expect(answer).toMatchObject({ success: true });
  }
  const demand = { audit: "factor_demand", outcome: "allowed", ...by, group_ids: group_id };
  expect(records()).toEqual([
    { ...demand, demanded: true },
    { ...demand, demanded: false },
  ]);
});
