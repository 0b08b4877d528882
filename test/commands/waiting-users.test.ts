import { afterAll, beforeAll, expect, it } from "vitest";

import { type SocketGateway, startSocketGateway } from "../support/socket-gateway.ts";

let gateway: SocketGateway;
let tokens = 0;
beforeAll(async () => {
  gateway = await startSocketGateway();
});
afterAll(() => gateway.stop());

it("are decided on by the owner alone, and an explanation says so to everybody else", async () => {
  const { groups, users } = gateway.authority;
  const namespaces = { "gatehouse/approvals": true } as const;
  const { group } = await groups.create({ name: "Doors", policy: { commands: { namespaces } } });
  const owner = await gateway.enter(await gateway.owner());
  for (const [groupId, allowed] of [
    ["system-admin", false],
    [group.id, false],
    [null, true],
  ] as const) {
    const { client } =
      groupId === null
        ? owner
        : await gateway.enter(await users.create({ name: groupId, groupIds: [groupId] }));
    for (const command of ["gatehouse/approvals/list", "gatehouse/approvals/approve"]) {
      const { result } = await client.call("gatehouse/permissions/explain", { resource: { command } });
      const verdict = allowed ? "pass" : "deny";
      expect(result).toMatchObject({
        allowed,
        rules: expect.arrayContaining([expect.objectContaining({ rule: "guard", verdict })]),
      });
    }
    expect(await client.call("gatehouse/approvals/list")).toMatchObject({ success: allowed });
  }
});

it("are announced to whoever may have the list of them, and nobody else may ask for that event", async () => {
  const { groups, users } = gateway.authority;
  const namespaces = { "gatehouse/approvals": true } as const;
  const { group } = await groups.create({ name: "Gates", policy: { commands: { namespaces } } });
  const owner = await gateway.enter(await gateway.owner());
  const admin = await gateway.enter(await users.create({ name: "Adam", groupIds: ["system-admin"] }));
  const delegate = await gateway.enter(await users.create({ name: "Doris", groupIds: [group.id] }));
  const narrowed = async ({ client }: typeof owner, given: object) => {
    const fields = {
      lifespan: 1,
      client_name: `narrowed ${++tokens}`,
      policy: { commands: { namespaces: given } },
    };
    const { result } = await client.call("auth/long_lived_access_token", fields);
    const other = await gateway.connect();
    expect(await other.authenticate(result as string)).toMatchObject({ type: "auth_ok" });
    return other;
  };
  const listOnly = { "gatehouse/approvals/list": true };
  const asked = [
    [owner.client, true],
    [await narrowed(owner, listOnly), true],
    [await narrowed(owner, { "gatehouse/users": true }), false],
    [admin.client, false],
    [await narrowed(admin, namespaces), false],
    [await narrowed(admin, listOnly), false],
    [delegate.client, false],
  ] as const;
  for (const [client, allowed] of asked) {
    const answer = allowed ? { success: true } : { success: false, error: { code: "unauthorized" } };
    expect(await client.call("gatehouse/approvals/list")).toMatchObject(answer);
    expect(await client.call("subscribe_events", { event_type: "approval_requested" })).toMatchObject(answer);
  }
});

it("are not active to Home Assistant's clients, wait on when these save a user, and are activated by them", async () => {
  const { client } = await gateway.enter(await gateway.owner());
  const { users } = gateway.authority;
  const { id } = await users.create({ name: "Willa", state: "pending" });
  const listed = async () => {
    const { result } = await client.call("config/auth/list");
    return (result as { id: string; is_active: boolean }[]).find((user) => user.id === id)?.is_active;
  };
  const stateAfter = async (fields: object) => {
    expect(await client.call("config/auth/update", { user_id: id, ...fields })).toMatchObject({
      success: true,
    });
    return (await users.read(id))?.user.state;
  };
  expect(await listed()).toBe(false);
  expect(await stateAfter({ name: "Wilma", is_active: false })).toBe("pending");
  expect(await stateAfter({ is_active: true })).toBe("active");
  expect(await listed()).toBe(true);
  expect(await stateAfter({ is_active: false })).toBe("deactivated");
});
