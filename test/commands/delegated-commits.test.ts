import { afterAll, beforeAll, expect, it } from "vitest";

import type { Policy } from "../../protocol/policy.ts";
import type { Step } from "../../src/auth/store.ts";
import { handClock } from "../support/hand-clock.ts";
import { type InterposedStore, interposedEmbeddedStore } from "../support/interposed-store.ts";
import { type SocketGateway, startSocketGateway } from "../support/socket-gateway.ts";

let gateway: SocketGateway;
let store: InterposedStore;
let closeStore: () => Promise<void>;
beforeAll(async () => {
  const clock = handClock();
  ({ store, close: closeStore } = await interposedEmbeddedStore(clock));
  gateway = await startSocketGateway({ authority: { store, clock } });
  await gateway.owner();
});
afterAll(async () => {
  await gateway?.stop();
  await closeStore?.();
});

const commandsOnly: Policy = { commands: { namespaces: { "config/auth": true, "gatehouse/groups": true } } };
const given: Policy = { entities: true, commands: { namespaces: { "gatehouse/resources": true } } };
const lights: Policy = { entities: { domains: { light: true } } };

const group = async (policy: Policy) =>
  (await gateway.authority.groups.create({ name: "Made", policy })).group;
const member = (groupIds: readonly string[]) => gateway.authority.users.create({ name: "Made", groupIds });
const groupsOf = async (userId: string) => (await gateway.authority.users.read(userId))?.user.groupIds;

/** No heartbeat. */
const isChange = ({ put = [], remove = [] }: Step) => put.length + remove.length > 0;

/** A delegate, and a group that gives them everything that the command gives on. */
async function delegate() {
  const giver = await group(given);
  const user = await member([(await group(commandsOnly)).id, giver.id]);
  const { client } = await gateway.enter(user);
  return { giver, client };
}

it.each(["create", "update", "delete"] as const)(
  "a group's %s does not commit by rights that the sender's group loses just before",
  async (verb) => {
    const { giver, client } = await delegate();
    const target = await group(lights);
    const before = await gateway.authority.groups.list();
    const { id: group_id, version } = target;
    store.beforeCommit(isChange, () =>
      gateway.authority.groups.update(giver.id, giver.version, { policy: {} }),
    );
    const answer = await client.call(`gatehouse/groups/${verb}`, {
      ...(verb === "create" ? {} : { group_id, version }),
      ...(verb === "delete" ? {} : { name: "New", policy: lights }),
    });
    expect(["unauthorized", "conflict"]).toContain((answer.error as { readonly code?: string } | null)?.code);
    const after = await gateway.authority.groups.list();
    const names = (groups: typeof after) => groups.map(({ id, name }) => `${id} ${name}`).sort();
    expect(names(after)).toEqual(names(before));
  },
);

it("neither a new user, nor one who is changed, nor one who joins gets what the sender's group loses just before", async () => {
  const target = await group(lights);
  const friend = await member([]);
  for (const [type, fields] of [
    ["config/auth/create", { name: "Newcomer", group_ids: [target.id] }],
    ["config/auth/update", { user_id: friend.id, group_ids: [target.id] }],
    ["gatehouse/groups/members/add", { user_id: friend.id, group_id: target.id }],
  ] as const) {
    const { giver, client } = await delegate();
    store.beforeCommit(isChange, () =>
      gateway.authority.groups.update(giver.id, giver.version, { policy: {} }),
    );
    expect([type, await client.call(type, fields)]).toMatchObject([
      type,
      { error: { code: "unauthorized" } },
    ]);
  }
  expect(await groupsOf(friend.id)).toEqual([]);
  expect((await gateway.authority.users.list()).map(({ name }) => name)).not.toContain("Newcomer");
});

it("nobody gets more than the sender has by a group that gives more just before", async () => {
  const { client } = await delegate();
  const target = await group({});
  const friend = await member([]);
  const wider: Policy = { topics: true };
  store.beforeCommit(isChange, () =>
    gateway.authority.groups.update(target.id, target.version, { policy: wider }),
  );
  const fields = { user_id: friend.id, group_ids: [target.id] };
  expect(await client.call("config/auth/update", fields)).toMatchObject({ error: { code: "unauthorized" } });
  expect(await groupsOf(friend.id)).toEqual([]);
});

it("a demand of a second factor that is made just before holds", async () => {
  const { secondFactors, groups } = gateway.authority;
  const { client } = await delegate();
  for (const [type, fieldsOf] of [
    ["gatehouse/groups/members/remove", (group_id: string, user_id: string) => ({ group_id, user_id })],
    ["config/auth/update", (_: string, user_id: string) => ({ user_id, group_ids: [] })],
  ] as const) {
    const careful = await group({});
    const user = await member([careful.id]);
    store.beforeCommit(isChange, () => secondFactors.demand(careful.id, true));
    expect([type, await client.call(type, fieldsOf(careful.id, user.id))]).toMatchObject([
      type,
      { error: { code: "unauthorized" } },
    ]);
    expect(await groupsOf(user.id)).toEqual([careful.id]);
  }
  const careful = await group({});
  store.beforeCommit(isChange, () => secondFactors.demand(careful.id, true));
  const { id: group_id, version } = careful;
  const answer = await client.call("gatehouse/groups/delete", { group_id, version });
  expect(["unauthorized", "conflict"]).toContain((answer.error as { readonly code?: string } | null)?.code);
  expect((await groups.get(group_id))?.id).toBe(group_id);
});

it("no entity is registered by rights that the sender's group loses just before", async () => {
  const { giver, client } = await delegate();
  store.beforeCommit(isChange, () =>
    gateway.authority.groups.update(giver.id, giver.version, { policy: {} }),
  );
  const entities = [{ entity_id: "lock.front", device_id: "lamp" }];
  expect(await client.call("gatehouse/resources/set", { entities })).toMatchObject({
    error: { code: "unauthorized" },
  });
});
