import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { Policy } from "../../../protocol/policy.ts";
import { createResourceTable } from "../../../src/auth/permissions/resource-table.ts";
import type { ResourceChange } from "../../../src/auth/permissions/resources.ts";
import { startAuthority, type TestAuthority } from "../../support/authority.ts";
import { eventually } from "../../support/eventually.ts";
import { refusal } from "../../support/refusal.ts";

let node: TestAuthority;
beforeAll(async () => {
  node = await startAuthority();
  await node.owner();
});
afterAll(() => node.stop());

const entity = (id: string, parent: string | null | undefined): ResourceChange => ({
  kind: "entity",
  id,
  parent,
});
const device = (id: string, parent: string | null | undefined): ResourceChange => ({
  kind: "device",
  id,
  parent,
});
const change = (...changes: readonly ResourceChange[]) => node.authority.resources.change(changes);

let names = 0;
async function watching(policy: Policy, on = node) {
  names += 1;
  const { group } = await node.authority.groups.create({ name: "Made", policy });
  const { user } = await node.user(`resources${names}`);
  await node.authority.users.update(user.id, { groupIds: [group.id] });
  const principal = await node.principal((await node.open(user.id)).accessToken);
  let calls = 0;
  const watch = await on.authority.permissions.watch(principal, () => {
    calls += 1;
  });
  return { may: (id: string) => watch.permissions.mayUseEntity(id, "read"), calls: () => calls };
}

describe("what is registered", () => {
  it("decides on rules by device and by area of the device, in the tick of the change", async () => {
    const kitchen = await watching({ entities: { area_ids: { kitchen: { read: true } } } });
    const lamp = await watching({ entities: { device_ids: { lamp: true } } });
    const other = await watching({ entities: { domains: { lock: true } } });
    const may = () => [kitchen.may("light.one"), lamp.may("light.one")];
    expect(may()).toEqual([false, false]);
    await change(entity("light.one", "lamp"), device("lamp", "kitchen"));
    expect(may()).toEqual([true, true]);
    const moved = await change(device("lamp", "hall"));
    expect(may()).toEqual([false, true]);
    expect((await node.authority.revocation.settled(moved)).effective).toBe("all");
    await change(device("lamp", "kitchen"));
    await change(entity("light.one", null));
    expect(may()).toEqual([false, false]);
    await change(entity("light.one", "lamp"));
    await change(device("lamp", undefined));
    expect(may()).toEqual([false, true]);
    await change(entity("light.one", undefined));
    expect(may()).toEqual([false, false]);
    // Nobody else is asked to decide again.
    expect([kitchen.calls() > 0, lamp.calls() > 0, other.calls()]).toEqual([true, true, 0]);
  });

  it("is listed in pages", async () => {
    await change(...["c", "a", "b"].map((id) => device(`page.${id}`, null)));
    const { resources } = node.authority;
    const ids = async (after: string | undefined, limit: number) =>
      (await resources.page("device", after, limit)).map(({ id }) => id);
    expect(await ids("page", 2)).toEqual(["page.a", "page.b"]);
    expect(await ids("page.b", 2)).toEqual(["page.c"]);
  });

  it("is the same on every node, also on one that starts later", async () => {
    const policy: Policy = { entities: { device_ids: { sensor: true } } };
    const other = await node.another();
    const there = await watching(policy, other);
    await change(entity("sensor.two", "sensor"));
    await eventually("the change on the other node", () => there.may("sensor.two"));
    const late = await node.another();
    expect((await watching(policy, late)).may("sensor.two")).toBe(true);
    await change(entity("sensor.two", undefined));
    await eventually("the removal on the other node", () => !there.may("sensor.two"));
  });

  it("is not lost if two nodes register at the same time", async () => {
    const other = await node.another();
    const ids = Array.from({ length: 40 }, (_, n) => `switch.number_${n}`);
    await Promise.all(
      ids.map((id, n) => (n % 2 === 0 ? node : other).authority.resources.change([entity(id, "board")])),
    );
    const late = await node.another();
    const { may } = await watching({ entities: { device_ids: { board: true } } }, late);
    expect(ids.filter((id) => !may(id))).toEqual([]);
  });

  it("is bounded", async () => {
    const many = Array.from({ length: 10_001 }, (_, n) => device(`many.${n}`, null));
    const { resources } = node.authority;
    for (let start = 0; start + 1_000 <= 9_000; start += 1_000)
      await resources.change(many.slice(start, start + 1_000));
    expect(await refusal(resources.change(many.slice(9_000)))).toBe("too_many_resources");
    expect(await refusal(resources.change(many.slice(0, 10)))).toBe("accepted");
  });
});

describe("the table of what is registered", () => {
  const state = (id: string, parent: string | null | undefined, version: number) => ({
    ...entity(id, parent),
    version,
  });

  it("keeps the latest version, in whatever order they come", () => {
    const table = createResourceTable();
    table.apply([state("a", "new", 3), state("a", "old", 2), state("b", undefined, 5), state("b", "old", 4)]);
    expect([table.deviceOf("a"), table.deviceOf("b")]).toEqual(["new", undefined]);
  });

  it("forgets what the store has removed since, and nothing newer", () => {
    const table = createResourceTable();
    table.apply([state("a", "x", 2), state("b", "x", 9), state("c", "x", 2)]);
    table.settle([state("d", "x", 4)], 5, ({ id }) => id !== "c");
    expect(["a", "b", "c", "d"].map(table.deviceOf)).toEqual([undefined, "x", "x", "x"]);
  });

  it("has another revision after each change, and only then", () => {
    const table = createResourceTable();
    table.apply([state("a", "x", 1)]);
    const before = table.revision;
    table.apply([state("a", "x", 2), state("a", "y", 1)]);
    expect(table.revision).toBe(before);
    table.apply([state("a", "y", 3)]);
    expect(table.revision).toBeGreaterThan(before);
  });
});
