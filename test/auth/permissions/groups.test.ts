import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { Policy } from "../../../protocol/policy.ts";
import type { Principal } from "../../../src/auth/model.ts";
import type { PermissionsWatch } from "../../../src/auth/permissions/permissions.ts";
import { recordKeys } from "../../../src/auth/record-keys.ts";
import type { Step } from "../../../src/auth/store.ts";
import { startAuthority, type TestAuthority } from "../../support/authority.ts";
import { eventually } from "../../support/eventually.ts";
import { handClock } from "../../support/hand-clock.ts";
import { type InterposedStore, interposedEmbeddedStore } from "../../support/interposed-store.ts";
import { refusal } from "../../support/refusal.ts";

let node: TestAuthority;
let store: InterposedStore;
let closeStore: () => Promise<void>;
beforeAll(async () => {
  const clock = handClock();
  ({ store, close: closeStore } = await interposedEmbeddedStore(clock));
  node = await startAuthority({ store, clock });
  await node.owner();
});
afterAll(async () => {
  await node.stop();
  await closeStore();
});

const lights: Policy = { entities: { domains: { light: true } } };
const nothing: Policy = {};
let names = 0;

async function makeGroup(policy = lights, on = node) {
  return (await on.authority.groups.create({ name: "Guests", policy })).group;
}

/** A user of this group alone, and what they may do. */
async function member(groupId: string, on = node) {
  names += 1;
  const { user } = await node.user(`member${names}`);
  await node.authority.users.update(user.id, { groupIds: [groupId] });
  const principal = await node.principal((await node.open(user.id)).accessToken);
  return { user, principal, ...(await watching(principal, on)) };
}

async function watching(principal: Principal, on: TestAuthority) {
  let calls = 0;
  const watch: PermissionsWatch = await on.authority.permissions.watch(principal, () => {
    calls += 1;
  });
  return { calls: () => calls, may: (entityId: string) => watch.permissions.mayUseEntity(entityId, "read") };
}

describe("a group", () => {
  it("gives its members what its policy says, and takes it in the tick of the change", async () => {
    const group = await makeGroup();
    const { may, calls } = await member(group.id);
    expect([may("light.kitchen"), may("lock.front")]).toEqual([true, false]);
    const { groups } = node.authority;
    const narrowed = await groups.update(group.id, group.version, { policy: nothing });
    expect([may("light.kitchen"), calls()]).toEqual([false, 1]);
    expect(narrowed.group.version).toBeGreaterThan(group.version);
    expect(narrowed.receipt).toMatchObject({ sessions: 0, nodes: { applied: 1, pending: 0 } });
    const renamed = await groups.update(group.id, narrowed.group.version, { name: "Visitors" });
    expect([renamed.group.name, renamed.group.policy, calls()]).toEqual(["Visitors", nothing, 1]);
    await groups.update(group.id, renamed.group.version, { policy: { entities: true } });
    expect([may("lock.front"), calls()]).toEqual([true, 2]);
  });

  it("is changed by one of two who have seen the same version", async () => {
    const { groups } = node.authority;
    const { id, version } = await makeGroup();
    const both = await Promise.all([
      refusal(groups.update(id, version, { name: "One" })),
      refusal(groups.update(id, version, { name: "Two" })),
    ]);
    expect(both.sort()).toEqual(["accepted", "conflict"]);
    expect(await refusal(groups.delete(id, version))).toBe("conflict");
    const { user } = await node.user("raced");
    expect(await refusal(groups.addMember({ groupId: id, userId: user.id, version }))).toBe("conflict");
    expect(await refusal(groups.removeMember({ groupId: id, userId: user.id, version }))).toBe("conflict");
  });

  it("that is deleted gives nothing, is nobody's and does not come back", async () => {
    const { groups, users } = node.authority;
    const { id, version } = await makeGroup();
    const { user, may } = await member(id);
    await groups.delete(id, version);
    expect(may("light.kitchen")).toBe(false);
    expect((await users.read(user.id))?.user.groupIds).toEqual([]);
    expect((await users.current(user.id))?.groupIds).toEqual([]);
    expect((await users.list()).find((each) => each.id === user.id)?.groupIds).toEqual([]);
    expect(await groups.get(id)).toBeUndefined();
    expect(await refusal(users.update(user.id, { groupIds: [id] }))).toBe("invalid_group");
    expect(await refusal(groups.update(id, version, { name: "Again" }))).toBe("not_found");
    expect(await refusal(groups.addMember({ groupId: id, userId: user.id }))).toBe("not_found");
    // A change of something else keeps the user's record as it is.
    expect(await users.update(user.id, { name: "Still here" })).toMatchObject({
      name: "Still here",
      groupIds: [],
    });
    expect((await groups.addMember({ groupId: "system-users", userId: user.id })).user.groupIds).toEqual([
      "system-users",
    ]);
  });

  it("of the system has the version 0, for whoever names one", async () => {
    const { groups } = node.authority;
    const { user } = await node.user("vera");
    const join = (version: number) =>
      groups.addMember({ groupId: "system-read-only", userId: user.id, version });
    expect(await refusal(join(3))).toBe("conflict");
    expect((await join(0)).user.groupIds).toContain("system-read-only");
  });

  it("takes no member while it is deleted", async () => {
    const { groups } = node.authority;
    const { id, version } = await makeGroup();
    const { user } = await node.user("late");
    store.beforeCommit(
      (step) => step.put?.some(({ key }) => key === recordKeys.user(user.id)) === true,
      () => groups.delete(id, version),
    );
    expect(await refusal(groups.addMember({ groupId: id, userId: user.id }))).toBe("not_found");
  });

  it("has members", async () => {
    const { groups, users } = node.authority;
    const { id } = await makeGroup();
    const { user } = await node.user("joining");
    expect((await groups.addMember({ groupId: id, userId: user.id })).user.groupIds).toEqual([
      "system-users",
      id,
    ]);
    expect((await groups.addMember({ groupId: id, userId: user.id })).user.groupIds).toEqual([
      "system-users",
      id,
    ]);
    const receipt = await groups.removeMember({ groupId: id, userId: user.id });
    expect(receipt).toMatchObject({ nodes: { applied: 1, pending: 0 } });
    expect((await node.authority.revocation.settled(receipt)).effective).toBe("all");
    expect((await users.read(user.id))?.user.groupIds).toEqual(["system-users"]);
    expect(await refusal(groups.removeMember({ groupId: id, userId: user.id }))).toBe("not_found");
    expect(await refusal(groups.addMember({ groupId: id, userId: "nobody" }))).toBe("not_found");
    await groups.addMember({ groupId: "system-admin", userId: user.id });
    expect((await users.read(user.id))?.user.groupIds).toContain("system-admin");
  });

  it("of the system is not changed", async () => {
    const { groups } = node.authority;
    for (const id of ["system-admin", "system-users", "system-read-only"]) {
      expect(await refusal(groups.update(id, 0, { policy: nothing }))).toBe("not_allowed");
      expect(await refusal(groups.delete(id, 0))).toBe("not_allowed");
    }
  });

  it("has no policy that is too large, or that gives what cannot be given", async () => {
    const create = (policy: Policy) => refusal(node.authority.groups.create({ name: "Wrong", policy }));
    const many = Object.fromEntries(
      Array.from({ length: 500 }, (_, n) => [`light.${"x".repeat(40)}${n}`, true]),
    );
    expect(await create({ entities: { entity_ids: many as Record<string, true> } })).toBe("invalid_policy");
    expect(await create({ topics: { patterns: { [`${"a/".repeat(16)}a`]: true } } })).toBe("invalid_policy");
    expect(await create({ topics: { patterns: { "+/+/+/+/a/+": true } } })).toBe("invalid_policy");
    const wide = { topics: { patterns: { "+/+/+/+/a": true } } } as const;
    const { group } = await node.authority.groups.create({ name: "Wide", policy: wide });
    expect(group.policy).toEqual(wide);
    expect(await create({ commands: true })).toBe("invalid_policy");
    expect(await create({ commands: { namespaces: true } })).toBe("invalid_policy");
    expect(await create({ commands: { namespaces: { "gatehouse/owner": true } } })).toBe("invalid_policy");
  });

  it("is there at most 256 times, also if many are made at once", async () => {
    const { groups } = node.authority;
    const custom = async () => (await groups.list()).filter(({ systemGenerated }) => !systemGenerated);
    const present = (await custom()).length;
    for (let left = 254 - present; left > 0; left -= 1) await makeGroup(nothing);
    const last = await Promise.all(
      Array.from({ length: 6 }, () => refusal(groups.create({ name: "Last", policy: nothing }))),
    );
    expect(last.filter((outcome) => outcome === "accepted")).toHaveLength(2);
    expect(last.every((outcome) => ["accepted", "too_many_groups", "conflict"].includes(outcome))).toBe(true);
    for (const { id, version } of await custom()) await groups.delete(id, version);
  });
});

describe("on several nodes, a group", () => {
  it("is the same, and its change is told in the tick in which it is applied there", async () => {
    const group = await makeGroup();
    const other = await node.another();
    const here = await member(group.id, other);
    expect(here.may("light.kitchen")).toBe(true);
    let toldBefore: number | undefined;
    other.authority.revocation.onSecurityEvent((event) => {
      if (event.kind === "group_changed") toldBefore ??= here.calls();
      return 0;
    });
    await node.authority.groups.update(group.id, group.version, { policy: nothing });
    await eventually("the change", () => here.calls() === 1);
    expect([toldBefore, here.may("light.kitchen")]).toEqual([1, false]);
  });

  it("that was made a moment ago elsewhere may be given", async () => {
    const other = await node.another({ fed: false });
    await other.authority.groups.list();
    const group = await makeGroup();
    const { user } = await node.user("given");
    const updated = await other.authority.users.update(user.id, { groupIds: [group.id] });
    expect(updated.groupIds).toEqual([group.id]);
  });

  it("is known to a node that starts, before the node serves anybody", async () => {
    const group = await makeGroup();
    const { principal } = await member(group.id);
    const late = await node.another();
    expect((await late.authority.permissions.of(principal)).mayUseEntity("light.hall", "read")).toBe(true);
  });

  it("does not widen because the store answers with what was there before", async () => {
    const group = await makeGroup({ entities: true });
    const { may, principal } = await member(group.id);
    const [before] = await store.get([recordKeys.group(group.id)]);
    await node.authority.groups.update(group.id, group.version, { policy: nothing });
    const { get } = store;
    store.get = async (keys) =>
      (await get(keys)).map((record, place) =>
        keys[place] === recordKeys.group(group.id) ? before : record,
      );
    await node.authority.groups.get(group.id);
    await node.authority.users.current(principal.userId);
    expect((await node.authority.permissions.of(principal)).mayUseEntity("light.hall", "read")).toBe(false);
    store.get = get;
    expect(may("light.hall")).toBe(false);
  });

  it("in a form that only a newer node understands grants what this one understands", async () => {
    const group = await makeGroup();
    const { may } = await member(group.id);
    const { revocation } = node.authority as typeof node.authority & {
      readonly revocation: { commit(step: Step): Promise<unknown> };
    };
    const policy = { entities: { rooms: true }, topics: true, services: true };
    await revocation.commit({ log: [{ type: "group_changed", groupId: group.id, name: "New", policy }] });
    expect(may("light.kitchen")).toBe(false);
    expect((await node.authority.groups.get(group.id))?.policy).toEqual({ topics: true });
  });
});

it("ids of deleted groups leave room for others", async () => {
  const { user } = await node.user("collector");
  const groups = [];
  for (let n = 0; n < 64; n += 1) groups.push(await makeGroup());
  await node.authority.users.update(user.id, { groupIds: groups.map(({ id }) => id) });
  const one = await makeGroup();
  const join = () => node.authority.groups.addMember({ groupId: one.id, userId: user.id });
  expect(await refusal(join())).toBe("not_allowed");
  for (const { id, version } of groups) await node.authority.groups.delete(id, version);
  expect((await join()).user.groupIds).toEqual([one.id]);
});
