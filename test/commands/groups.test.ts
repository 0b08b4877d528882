import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { User } from "../../src/auth/model.ts";
import { type Entered, type SocketGateway, startSocketGateway } from "../support/socket-gateway.ts";

let gateway: SocketGateway;
let owner: User;
let admin: User;
let plain: User;
let asOwner: Entered;
let asAdmin: Entered;
let asPlain: Entered;
beforeAll(async () => {
  gateway = await startSocketGateway();
  owner = await gateway.owner();
  ({ user: admin } = await gateway.user("adam"));
  await gateway.authority.users.update(admin.id, { groupIds: ["system-admin"] });
  ({ user: plain } = await gateway.user("petra"));
  [asOwner, asAdmin, asPlain] = await Promise.all([
    gateway.enter(owner),
    gateway.enter(admin),
    gateway.enter(plain),
  ]);
});
afterAll(() => gateway?.stop());

const ask = async (who: Entered, type: string, fields: object = {}) => await who.client.call(type, fields);
const policy = { entities: { domains: { light: true } } };
const receipt = {
  revocation_id: expect.any(String),
  sessions: 0,
  sockets_closed: 0,
  nodes: { applied: 1, pending: 0, fenced: 0 },
  durability: "fsync",
  effective: "all",
};

describe("the commands for groups", () => {
  it("make a group, change it, give it to somebody, take it away and delete it", async () => {
    const made = await ask(asAdmin, "gatehouse/groups/create", { name: "Guests", policy });
    const { group_id, version } = made.result as { readonly group_id: string; readonly version: number };
    expect(made.result).toEqual({ group_id, version, name: "Guests", system_generated: false, policy });
    expect(await ask(asAdmin, "gatehouse/groups/get", { group_id })).toMatchObject({ result: made.result });

    const member = { group_id, user_id: plain.id };
    expect(await ask(asAdmin, "gatehouse/groups/members/add", member)).toMatchObject({ result: null });
    expect(await ask(asAdmin, "gatehouse/groups/members/list", { group_id })).toMatchObject({
      result: { user_ids: [plain.id], cursor: null },
    });
    const changes = { group_id, version, policy: {}, wait: true };
    const changed = await ask(asAdmin, "gatehouse/groups/update", changes);
    expect(changed.result).toMatchObject({ group: { name: "Guests", policy: {} }, revocation: receipt });
    expect(await ask(asAdmin, "gatehouse/groups/update", changes)).toMatchObject({
      error: { code: "conflict" },
    });
    const { group } = changed.result as { readonly group: { readonly version: number } };
    expect(await ask(asAdmin, "gatehouse/groups/members/remove", { ...member, wait: true })).toMatchObject({
      result: receipt,
    });
    expect(
      await ask(asAdmin, "gatehouse/groups/delete", { group_id, version: group.version, wait: true }),
    ).toMatchObject({ result: receipt });
    expect(await ask(asAdmin, "gatehouse/groups/get", { group_id })).toMatchObject({
      error: { code: "not_found", message: "Group not found" },
    });
  });

  it("tell administrators of each change, and nobody else", async () => {
    await ask(asAdmin, "subscribe_events", { event_type: "group_changed" });
    expect(await ask(asPlain, "subscribe_events", { event_type: "group_changed" })).toMatchObject({
      error: { code: "unauthorized" },
    });
    const made = await ask(asOwner, "gatehouse/groups/create", { name: "Told", policy });
    const { group_id, version } = made.result as { readonly group_id: string; readonly version: number };
    expect(await asAdmin.client.next()).toMatchObject({
      type: "event",
      event: { event_type: "group_changed", data: { group_id, version, deleted: false } },
    });
    await ask(asOwner, "gatehouse/groups/delete", { group_id, version });
    expect(await asAdmin.client.next()).toMatchObject({
      event: { data: { group_id, deleted: true } },
    });
  });

  it("tell administrators which groups demand a second factor, as soon as that changes", async () => {
    const made = await ask(asOwner, "gatehouse/groups/create", { name: "Careful", policy });
    const { group_id } = made.result as { readonly group_id: string };
    const reader = await gateway.enter(admin);
    await ask(reader, "subscribe_events", { event_type: "factor_demands_changed" });
    const set = (demanded: boolean) => ask(asOwner, "gatehouse/mfa/demands/set", { group_id, demanded });
    expect(await set(true)).toMatchObject({ success: true });
    expect(await reader.client.next()).toMatchObject({
      event: { event_type: "factor_demands_changed", data: { group_ids: [group_id] } },
    });
    await set(false);
    expect(await reader.client.next()).toMatchObject({ event: { data: { group_ids: [] } } });
  });

  it.each(["list", "get", "create", "update", "delete", "members/list", "members/add", "members/remove"])(
    "refuse others: %s",
    async (name) => {
      expect(await ask(asPlain, `gatehouse/groups/${name}`)).toMatchObject({
        error: { code: "unauthorized" },
      });
    },
  );

  it("leave the owner's groups to the owner", async () => {
    const member = { group_id: "system-users", user_id: owner.id };
    for (const name of ["add", "remove"])
      expect(await ask(asAdmin, `gatehouse/groups/members/${name}`, member)).toMatchObject({
        error: { code: "unauthorized" },
      });
    expect(await ask(asOwner, "gatehouse/groups/members/add", member)).toMatchObject({ result: null });
  });
});
