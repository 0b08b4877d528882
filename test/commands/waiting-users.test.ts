import { afterAll, beforeAll, expect, it } from "vitest";

import { type SocketGateway, startSocketGateway } from "../support/socket-gateway.ts";

let gateway: SocketGateway;
beforeAll(async () => {
  gateway = await startSocketGateway();
});
afterAll(() => gateway.stop());

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
