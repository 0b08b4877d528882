import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { closeCodes } from "../../protocol/close-codes.ts";
import type { GatewayParts } from "../../src/server/gateway.ts";
import { eventually } from "../support/eventually.ts";
import {
  ownerPassword,
  type RunningGateway,
  setUpOwner,
  startNode,
  transportNames,
} from "../support/gateway.ts";
import { guestProvider } from "../support/guest-provider.ts";
import { outsideProvider } from "../support/outside-provider.ts";
import { refusal } from "../support/refusal.ts";
import { openSocket, type SocketClient } from "../support/socket-client.ts";

type Node = Omit<RunningGateway, "owner" | "ownerPassword">;

const providers: NonNullable<GatewayParts["providers"]> = (configured) => [
  ...configured,
  guestProvider({ activate: true, groups: ["system-users"] }),
  { ...outsideProvider("somebody"), type: "outside" },
];

async function logIn(
  node: Node,
  codec: "json" | "msgpack",
  handler: string,
  input: object,
): Promise<SocketClient> {
  const socket = await openSocket(node.port, { codec });
  const begun = await socket.call("auth/login/start", { handler: [handler, null] });
  const { flow_id } = begun.result as { flow_id: string };
  await socket.call("auth/login/step", { flow_id, user_input: input });
  await socket.find(({ type }) => type === "auth_ok", "auth_ok");
  return socket;
}

const owner = { username: "paula", password: ownerPassword };

describe.each(transportNames)("credentials on an authenticated socket, %s", (transport) => {
  let node: Node;
  beforeAll(async () => {
    node = await startNode({ transport }, { providers });
    await setUpOwner(node.authority);
  });
  afterAll(async () => {
    await node.stop();
  });

  it.each(["json", "msgpack"] as const)("are linked, listed and removed, in %s", async (codec) => {
    const socket = await logIn(node, codec, "homeassistant", owner);
    const { result } = await socket.call("auth/link/start", { handler: ["guest", null] });
    expect(result).toMatchObject({ type: "form", step_id: "init" });
    expect(result).not.toHaveProperty("flow_secret");
    const { flow_id } = result as { flow_id: string };
    const linked = await socket.call("auth/link/step", { flow_id, user_input: { name: "p." } });
    expect(linked.result).toMatchObject({ type: "create_entry", result: expect.any(String) });
    const { result: credential_id } = linked.result as { result: string };
    const list = await socket.call("auth/credentials/list");
    expect((list.result as { credentials: object[] }).credentials).toContainEqual(
      expect.objectContaining({ credential_id, auth_provider_type: "guest", subject: "p.", usable: true }),
    );
    // A socket that logged in with it is closed with it, after its own answer.
    const other = await logIn(node, codec, "guest", { name: "p." });
    expect(await other.call("auth/credentials/remove", { credential_id })).toMatchObject({ result: null });
    expect((await other.closed).code).toBe(closeCodes.credential_removed.number);
    expect(await socket.call("auth/credentials/remove", { credential_id })).toMatchObject({
      error: { code: "not_found" },
    });
    socket.close();
  });
  it("cannot be linked by another socket that knows the flow, nor after the socket has closed", async () => {
    const socket = await logIn(node, "json", "homeassistant", owner);
    const { result } = await socket.call("auth/link/start", { handler: ["guest", null] });
    const { flow_id } = result as { flow_id: string };
    const other = await logIn(node, "json", "homeassistant", owner);
    const step = { flow_id, user_input: { name: "x" } };
    expect(await other.call("auth/link/step", step)).toMatchObject({ error: { code: "invalid_flow" } });
    const stranger = await openSocket(node.port);
    const guess = { flow_id, flow_secret: "A".repeat(43) };
    expect(await stranger.call("auth/login/resume", guess)).toMatchObject({
      error: { code: "invalid_flow" },
    });
    expect(await stranger.call("auth/login/step", step)).toMatchObject({ error: { code: "invalid_flow" } });
    socket.close();
    await socket.closed;
    for (const each of [other, stranger]) each.close();
  });
  it("are told of by an event when something outside completes the step", async () => {
    const socket = await logIn(node, "msgpack", "homeassistant", owner);
    const begun = await socket.call("auth/link/start", { handler: ["outside", null] });
    const { flow_id, step_id } = begun.result as { flow_id: string; step_id: string };
    expect(await socket.call("auth/link/step", { flow_id, user_input: {} })).toMatchObject({
      error: { code: "not_supported" },
    });
    const completion = { flowId: flow_id, stepId: step_id, input: { answer: "yes" } };
    await node.authority.logins.completeExternalStep(completion, { address: null });
    const pushed = await socket.find(({ type, id }) => type === "event" && id === begun.id, "the next step");
    expect(pushed.event).toMatchObject({ type: "create_entry" });
    socket.close();
  });
  it("are cancelled by their user, and by another start", async () => {
    const socket = await logIn(node, "json", "homeassistant", owner);
    const start = async () =>
      (await socket.call("auth/link/start", { handler: ["guest", null] })).result as { flow_id: string };
    const first = await start();
    const second = await start();
    const cancel = ({ flow_id }: { flow_id: string }) => socket.call("auth/link/cancel", { flow_id });
    expect(await cancel(first)).toMatchObject({ error: { code: "invalid_flow" } });
    expect(await cancel(second)).toMatchObject({ result: { type: "abort", reason: "cancelled" } });
    expect(await cancel(second)).toMatchObject({ error: { code: "invalid_flow" } });
    socket.close();
  });
  it("are one flow, of starts that were sent at once too", async () => {
    const socket = await logIn(node, "json", "homeassistant", owner);
    const ids = Array.from({ length: 8 }, (_, place) => 100 + place);
    for (const id of ids) socket.send({ id, type: "auth/link/start", handler: ["outside", null] });
    const flows = await Promise.all(
      ids.map(async (id) => {
        const { result } = await socket.find((message) => message.id === id, "the answer to a start");
        return result as { flow_id: string; step_id: string };
      }),
    );
    socket.send({ id: 200, type: "auth/link/cancel", flow_id: flows.at(-1)?.flow_id });
    expect(await socket.find(({ id }) => id === 200, "the answer to a cancel")).toMatchObject({
      result: { type: "abort", reason: "cancelled" },
    });
    for (const { flow_id: flowId, step_id: stepId } of flows) {
      const completed = node.authority.logins.completeExternalStep(
        { flowId, stepId, input: { answer: "no" } },
        { address: null },
      );
      expect(await refusal(completed)).toBe("invalid_flow");
    }
    socket.close();
  });
  it("are changed by nobody whose login is not recent", async () => {
    const { id } = (await node.authority.users.list()).find(({ isOwner }) => isOwner) ?? { id: "" };
    const { accessToken } = await node.authority.sessions.openLongLived({
      userId: id,
      clientName: `a script on ${transport}`,
      clientIcon: null,
      days: 1,
    });
    const socket = await openSocket(node.port);
    await socket.authenticate(accessToken);
    const refused = { error: { code: "recent_login_required" } };
    expect(await socket.call("auth/link/start", { handler: ["guest", null] })).toMatchObject(refused);
    const { credentials } = (await socket.call("auth/credentials/list")).result as {
      credentials: readonly { credential_id: string }[];
    };
    const credential_id = credentials[0]?.credential_id;
    expect(await socket.call("auth/credentials/remove", { credential_id })).toMatchObject(refused);
    // Nor by giving oneself a password.
    const prefix = "config/auth_provider/homeassistant";
    const login = { user_id: id, username: "another", password: "a long enough password" };
    expect(await socket.call(`${prefix}/create`, login)).toMatchObject(refused);
    const password = { user_id: id, password: "a long enough password" };
    expect(await socket.call(`${prefix}/admin_change_password`, password)).toMatchObject(refused);
    socket.close();
  });
  it("of others are seen and removed by administrators, the owner's by the owner only", async () => {
    const admin = await logIn(node, "json", "guest", { name: `admin on ${transport}` });
    const { result } = await admin.call("auth/current_user");
    const { id: adminId } = result as { id: string };
    await node.authority.users.update(adminId, { groupIds: ["system-admin"] });
    const boss = (await node.authority.users.list()).find(({ isOwner }) => isOwner)?.id;
    const seen = await admin.call("gatehouse/credentials/list", { user_id: boss });
    const { credentials } = seen.result as { credentials: readonly { credential_id: string }[] };
    const credential_id = credentials[0]?.credential_id;
    expect(await admin.call("gatehouse/credentials/remove", { user_id: boss, credential_id })).toMatchObject({
      error: { code: "unauthorized" },
    });
    const guest = await logIn(node, "json", "guest", { name: `guest on ${transport}` });
    const guestId = ((await guest.call("auth/current_user")).result as { id: string }).id;
    const hers = await admin.call("gatehouse/credentials/list", { user_id: guestId });
    const [only] = (hers.result as { credentials: readonly { credential_id: string }[] }).credentials;
    const removal = { user_id: guestId, credential_id: only?.credential_id };
    expect(await admin.call("gatehouse/credentials/remove", removal)).toMatchObject({ result: null });
    expect((await guest.closed).code).toBe(closeCodes.credential_removed.number);
    await eventually(
      "no credential",
      async () => (await node.authority.credentials.list(guestId)).length === 0,
    );
    admin.close();
  });
});
