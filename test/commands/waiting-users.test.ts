import { afterAll, beforeAll, expect, it } from "vitest";

import { type SocketGateway, startSocketGateway } from "../support/socket-gateway.ts";

let gateway: SocketGateway;
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
