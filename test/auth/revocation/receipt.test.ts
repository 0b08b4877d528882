import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { RevokeReceipt } from "../../../src/auth/revocation/receipt.ts";
import { eventually } from "../../support/eventually.ts";
import { type RedisServer, startRedis } from "../../support/redis-server.ts";
import { within } from "../../support/within.ts";
import { type HandNode, type HandNodeOptions, startHandNode } from "./lease-rig.ts";

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

async function start(more: Partial<HandNodeOptions> = {}): Promise<HandNode> {
  const node = await startHandNode({ url: redis.url, ...more });
  nodes.push(node);
  await node.beatUntilTrusted();
  return node;
}

/** Two nodes that have read each other's heartbeats. */
async function two(first: Partial<HandNodeOptions> = {}, second: Partial<HandNodeOptions> = {}) {
  const pair = [await start(first), await start(second)] as const;
  await eventually("each other", async () => {
    for (const node of pair) await node.beat();
    return pair.every(({ authority }) => authority.revocation.lease.nodes === 2);
  });
  return pair;
}

const target = { kind: "user", userId: "0123456789abcdef0123456789abcdef" } as const;
const revoke = ({ authority }: HandNode) => authority.revocation.revoke(target, "session_revoked");

/** Every state that a listener is called with. */
function watched({ authority }: HandNode, receipt: RevokeReceipt) {
  const states: RevokeReceipt["nodes"][] = [];
  const settled = authority.revocation.settled(receipt);
  authority.revocation.watch(receipt.revocationId, ({ nodes: counts }) => states.push(counts));
  return { states, settled };
}

describe("the receipt of a revocation", () => {
  it("is complete once the only node has read its entry", async () => {
    const node = await start();
    const receipt = await revoke(node);
    const settled = await within(node.authority.revocation.settled(receipt), "completion");
    expect(settled).toMatchObject({
      durability: "memory",
      effective: "all",
      nodes: { applied: 1, pending: 0, fenced: 0 },
    });
  });

  it("is pending until the other node has acknowledged it, which it does at once", async () => {
    const [node, other] = await two();
    other.hold();
    const receipt = await revoke(node);
    expect(receipt).toMatchObject({ effective: "pending", nodes: { applied: 1, pending: 1, fenced: 0 } });
    // Its heartbeat from before the entry says nothing of it.
    await other.beat();
    const { states, settled } = watched(node, receipt);
    await other.held(1);
    other.release();
    await eventually("its word", async () => states.at(-1)?.pending === 0 || other.beat().then(() => false));
    expect((await settled).nodes).toEqual({ applied: 2, pending: 0, fenced: 0 });
  });

  it("counts a silent node as fenced only when its lease must have expired", async () => {
    const [node, other] = await two();
    other.hold();
    const receipt = await revoke(node);
    const { states, settled } = watched(node, receipt);
    await eventually("the own entry", async () => {
      await node.beat();
      return node.authority.revocation.view.trusted;
    });
    node.clock.advance(3_000);
    await node.beatUntilTrusted();
    expect(states.every(({ fenced }) => fenced === 0)).toBe(true);
    node.clock.advance(250);
    // Not because time passed: this node must first prove that it is not the one that is partitioned off.
    expect(states.every(({ fenced }) => fenced === 0)).toBe(true);
    await eventually("the fence", async () => {
      await node.beat();
      return states.at(-1)?.fenced === 1;
    });
    expect(await settled).toMatchObject({ effective: "all", nodes: { applied: 1, pending: 0, fenced: 1 } });
  });

  it("waits for as long as an old primary may accept commits", async () => {
    const [node, other] = await two({ stalePrimaryWindowMs: 1_500 });
    other.hold();
    const { states } = watched(node, await revoke(node));
    await node.beatUntilTrusted();
    for (const ms of [3_000, 1_000]) {
      node.clock.advance(ms);
      await node.beatUntilTrusted();
      expect(states.every(({ fenced }) => fenced === 0)).toBe(true);
    }
    node.clock.advance(750);
    await eventually("the fence", async () => {
      await node.beat();
      return states.at(-1)?.fenced === 1;
    });
  });

  it("never counts a node as fenced that serves without a lease, nor any node if the stale primary's window is infinite", async () => {
    for (const [first, second] of [
      [{}, { policy: "serve_until_exp" }],
      [{ stalePrimaryWindowMs: Number.POSITIVE_INFINITY }, {}],
    ] as const) {
      const [node, other] = await two(first, second);
      other.hold();
      const { states, settled } = watched(node, await revoke(node));
      for (let count = 0; count < 10; count += 1) {
        node.clock.advance(2_000);
        await node.beatUntilTrusted();
      }
      expect(states.every(({ fenced, pending }) => fenced === 0 && pending > 0)).toBe(true);
      node.clock.advance(40_000);
      await node.beat();
      // In the end it is called with this state instead of waiting for ever.
      expect(await within(settled, "the end of the wait")).toMatchObject({ effective: "pending" });
      for (const each of nodes.splice(0)) await each.stop();
      await redis.command("FLUSHALL");
    }
  });

  it("does not wait for a node that has left", async () => {
    const [node, other] = await two();
    await other.authority.revocation.lease.leave();
    await eventually("its leave", async () => {
      await node.beat();
      return node.authority.revocation.lease.nodes === 1;
    });
    const settled = await node.authority.revocation.settled(await revoke(node));
    expect(settled.nodes).toEqual({ applied: 1, pending: 0, fenced: 0 });
  });

  it("is not completed by a replayed heartbeat, nor by a forged one", async () => {
    const [node, other] = await two();
    other.hold();
    node.hold();
    await other.beat();
    const [before] = await node.held(1);
    if (before === undefined) throw new Error("no heartbeat");
    node.release([before]);
    const receipt = await revoke(node);
    const { states } = watched(node, receipt);
    const claims = { ...before.event, applied: "99999999999999-0" };
    node.authority.revocation.apply([
      { ...before, position: "99999999999999-0" },
      { ...before, event: claims },
      { ...before, event: { ...claims, n: 1_000 } },
    ]);
    expect(states.at(-1)).toMatchObject({ applied: 1, pending: 1 });
    expect(node.reported.filter((each) => each === "badMac")).toHaveLength(2);
  });

  it("remembers a bounded number, and reports the end of the evicted ones", async () => {
    const [node, other] = await two();
    other.hold();
    const { settled } = watched(node, await revoke(node));
    for (let count = 0; count < 1_000; count += 50)
      await Promise.all(Array.from({ length: 50 }, () => revoke(node)));
    expect(await within(settled, "the oldest")).toMatchObject({ effective: "pending" });
  });
});
