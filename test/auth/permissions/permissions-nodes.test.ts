import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import type { Policy } from "../../../protocol/policy.ts";
import { ownerLogin } from "../../support/authority.ts";
import { eventually } from "../../support/eventually.ts";
import { principalOf } from "../../support/people.ts";
import { type RedisServer, startRedis } from "../../support/redis-server.ts";
import { within } from "../../support/within.ts";
import { type HandNode, startHandNode } from "../revocation/lease-rig.ts";

let redis: RedisServer;
const nodes: HandNode[] = [];
beforeAll(async () => {
  redis = await startRedis();
});
beforeEach(() => redis.command("FLUSHALL"));
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.stop();
});
afterAll(() => redis?.dispose());

/** Two nodes that have read each other's heartbeats. */
async function two() {
  const pair = [await startHandNode({ url: redis.url }), await startHandNode({ url: redis.url })] as const;
  nodes.push(...pair);
  await eventually("each other", async () => {
    for (const node of pair) await node.beat();
    return pair.every(
      ({ authority: { revocation } }) => revocation.view.trusted && revocation.lease.nodes === 2,
    );
  });
  return pair;
}

const lights: Policy = { entities: { domains: { light: true } } };

async function makeMember({ authority }: HandNode) {
  const setupCode = await authority.onboarding.setupCode();
  await authority.onboarding.createOwner({ setupCode, ...ownerLogin });
  const { group } = await authority.groups.create({ name: "Guests", policy: lights });
  const user = await authority.users.create({ name: "Gus", groupIds: [group.id, "system-read-only"] });
  return { group, user };
}

async function watching({ authority }: HandNode, userId: string) {
  let calls = 0;
  const watch = await authority.permissions.watch(principalOf({ userId }), () => {
    calls += 1;
  });
  const may = () =>
    (["control", "read"] as const).map((verb) => watch.permissions.mayUseEntity("light.hall", verb));
  return { may, calls: () => calls };
}

describe("a group that loses a right", () => {
  it("has lost it on all nodes when the receipt says so, and not before", async () => {
    const [node, other] = await two();
    const { group, user } = await makeMember(node);
    await eventually(
      "the user on the other node",
      async () => ((await other.authority.users.read(user.id))?.user.groupIds.length ?? 0) > 1,
    );
    const there = await watching(other, user.id);
    expect(there.may()).toEqual([true, true]);
    other.hold();
    const { receipt } = await node.authority.groups.update(group.id, group.version, { policy: {} });
    expect(receipt).toMatchObject({ effective: "pending", nodes: { applied: 1, pending: 1, fenced: 0 } });
    const settled = node.authority.revocation.settled(receipt);
    await other.held(1).then((entries) => {
      expect(there.calls()).toBe(0);
      other.release(entries);
    });
    expect([there.calls(), there.may()]).toEqual([1, [false, true]]);
    await eventually("its word", async () => {
      await other.beat();
      return (await Promise.race([settled, undefined]))?.effective === "all";
    });
    expect((await within(settled, "the receipt")).nodes).toEqual({ applied: 2, pending: 0, fenced: 0 });
  });

  it("has lost it on a node that missed entries, before that node is trusted again", async () => {
    const [node, other] = await two();
    const { group, user } = await makeMember(node);
    const second = await node.authority.users.create({ name: "Gil", groupIds: ["system-users"] });
    const here = await Promise.all([user.id, second.id].map((id) => watching(other, id)));
    expect(here.map(({ may }) => may())).toEqual([
      [true, true],
      [true, true],
    ]);
    other.hold();
    await node.authority.groups.update(group.id, group.version, { policy: {} });
    await node.authority.users.update(second.id, { groupIds: [] });
    // They never arrive.
    await other.held(2);
    other.authority.revocation.logBroke("trimmed");
    expect(other.authority.revocation.view.trusted).toBe(false);
    other.release();
    await other.beatUntilTrusted();
    expect(here.map(({ may }) => may())).toEqual([
      [false, true],
      [false, false],
    ]);
    expect(here.map(({ calls }) => calls())).toEqual([1, 1]);
  });
});
