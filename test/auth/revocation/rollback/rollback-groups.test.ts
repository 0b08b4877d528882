import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { Policy } from "../../../../protocol/policy.ts";
import { startWithOwner } from "./rollback-people.ts";
import { embeddedRig, goBack, type RollbackNode, type RollbackRig, redisRig } from "./rollback-rig.ts";

let rig: RollbackRig;
afterEach(() => rig.dispose());

const wide: Policy = { entities: true };
const narrow: Policy = { entities: { all: { read: true } } };

const make = async ({ authority }: RollbackNode, policy = wide) =>
  (await authority.groups.create({ name: "Guests", policy })).group;
const policyOf = async ({ authority }: RollbackNode, id: string) => (await authority.groups.get(id))?.policy;

describe.each([
  ["Redis", redisRig],
  ["the embedded store", embeddedRig],
])("after %s went back in time", (name, makeRig) => {
  beforeEach(async () => {
    rig = await makeRig();
  });

  /** A node that starts then, where there can be two. */
  const readers = async (node: RollbackNode) => (name === "Redis" ? [node, await rig.start()] : [node]);

  it("a group has the policy that it had last, in the store too", async () => {
    const node = await startWithOwner(rig);
    const group = await make(node);
    await rig.remember();
    const narrowed = await node.authority.groups.update(group.id, group.version, { policy: narrow });
    await goBack(rig, node);
    for (const each of await readers(node)) {
      expect(await policyOf(each, group.id)).toEqual(narrow);
      expect((await each.authority.groups.get(group.id))?.version).toBe(narrowed.group.version);
    }
    // The version that was seen before is still the version.
    await node.authority.groups.update(group.id, narrowed.group.version, { name: "Visitors" });
  });

  it("entities and devices are where they were last, in the store too", async () => {
    const node = await startWithOwner(rig);
    const { resources } = node.authority;
    const entity = (id: string, parent: string | null | undefined) =>
      ({ kind: "entity", id, parent }) as const;
    await resources.change([entity("light.moved", "kitchen"), entity("light.gone", "kitchen")]);
    await rig.remember();
    await resources.change([entity("light.moved", "hall"), entity("light.gone", undefined)]);
    await resources.change([entity("light.new", "hall")]);
    await goBack(rig, node);
    for (const each of await readers(node)) {
      const page = await each.authority.resources.page("entity", undefined, 10);
      expect(page.map(({ id, parent }) => [id, parent])).toEqual([
        ["light.moved", "hall"],
        ["light.new", "hall"],
      ]);
    }
  });

  it("the groups demand a second factor that did last, in the store too", async () => {
    const node = await startWithOwner(rig);
    const [kept, freed] = [await make(node), await make(node)];
    await node.authority.secondFactors.demand(freed.id, true);
    await rig.remember();
    await node.authority.secondFactors.demand(kept.id, true);
    await node.authority.secondFactors.demand(freed.id, false);
    await goBack(rig, node);
    for (const each of await readers(node))
      expect(await each.authority.secondFactors.demandingGroups()).toEqual([kept.id]);
  });

  it("a group that was deleted stays deleted, and one that was made is there", async () => {
    const node = await startWithOwner(rig);
    const group = await make(node);
    await rig.remember();
    await node.authority.groups.delete(group.id, group.version);
    const made = await make(node, narrow);
    await goBack(rig, node);
    for (const each of await readers(node)) {
      expect(await policyOf(each, group.id)).toBeUndefined();
      expect(await policyOf(each, made.id)).toEqual(narrow);
    }
    expect(await node.authority.groups.list()).toHaveLength(4);
  });
});

describe("after Redis went back in time", () => {
  beforeEach(async () => {
    rig = await redisRig();
  });

  it("a later change stands, whatever a node remembers", async () => {
    const [node, other] = [await startWithOwner(rig), await rig.start()];
    const group = await make(node);
    await rig.remember();
    const narrowed = await node.authority.groups.update(group.id, group.version, { policy: narrow });
    const last = await node.authority.groups.update(group.id, narrowed.group.version, { policy: {} });
    await goBack(rig, node, other);
    expect(await policyOf(node, group.id)).toEqual({});
    expect(await policyOf(other, group.id)).toEqual({});
    const widened = await other.authority.groups.update(group.id, last.group.version, { policy: wide });
    await rig.remember();
    await make(node);
    await goBack(rig, node, other);
    expect((await node.authority.groups.get(group.id))?.version).toBe(widened.group.version);
  });
});
