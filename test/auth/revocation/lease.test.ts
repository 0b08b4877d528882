import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import type { Safeguard } from "../../../src/auth/safeguards.ts";
import type { LogEntry } from "../../../src/auth/store.ts";
import { eventually } from "../../support/eventually.ts";
import { type RedisServer, startRedis } from "../../support/redis-server.ts";
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
  return node;
}
const trusted = ({ authority }: HandNode) => authority.revocation.view.trusted;
const without = (...protections: readonly Safeguard[]) => ({ disabledSafeguards: new Set(protections) });

describe("the lease of a node on Redis", () => {
  it("starts when the first heartbeat is read back, and ends three seconds after that was sent", async () => {
    const node = await start();
    expect(trusted(node)).toBe(false);
    node.hold();
    await node.beat();
    const beats = await node.held(1);
    expect(trusted(node)).toBe(false);
    // It counts from the sending, however long it took to come back.
    node.clock.advance(2_000);
    node.release(beats);
    expect(trusted(node)).toBe(true);
    node.clock.advance(999);
    expect([trusted(node), node.authority.revocation.lease.ageMs()]).toEqual([true, 2_999]);
    node.clock.advance(1);
    expect(trusted(node)).toBe(false);
    await node.beatUntilTrusted();
    expect(node.reported).toEqual(["recovered", "lapsed", "recovered"]);
  });

  it("ages by the wall clock if that advanced further, as after a sleep of the machine", async () => {
    const node = await start();
    await node.beatUntilTrusted();
    const now = node.clock.now();
    node.clock.setWall(now + 3_000);
    expect(trusted(node)).toBe(false);
    node.clock.setWall(now - 3_600_000);
    expect(trusted(node)).toBe(true);
    node.clock.advance(3_000);
    expect(trusted(node)).toBe(false);
  });

  it("is given up for good: no heartbeat follows, also if a repair was under way", async () => {
    let read: () => void = () => undefined;
    let reads: Promise<void> | undefined;
    const node = await start({ beforeGet: async () => await reads });
    await node.beatUntilTrusted();
    node.hold();
    reads = new Promise((resolve) => {
      read = resolve;
    });
    node.authority.revocation.logBroke("lost");
    const cycle = node.beat();
    await node.authority.revocation.lease.leave();
    read();
    await cycle;
    await node.store.commit({ log: [{ type: "the end of the test" }] });
    const types = (await node.held(2)).map(({ event }) => event.type);
    expect(types).toEqual(["node_left", "the end of the test"]);
    node.release();
  });

  it("never ends if the safeguard is disabled", async () => {
    const node = await start(without("lease"));
    expect(trusted(node)).toBe(false);
    await node.beatUntilTrusted();
    node.clock.advance(3_600_000);
    expect(trusted(node)).toBe(true);
  });

  it("is not renewed by heartbeats that are written and not read back", async () => {
    const node = await start();
    await node.beatUntilTrusted();
    node.hold();
    for (let count = 0; count < 4; count += 1) {
      node.clock.advance(750);
      await node.beat();
    }
    expect(trusted(node)).toBe(false);
  });

  it("is not renewed by another node's heartbeats, nor by a replayed one of its own", async () => {
    const [node, other] = [await start(), await start()];
    node.hold();
    await node.beat();
    const [beat] = await node.held(1);
    if (beat === undefined) throw new Error("no heartbeat");
    node.release([beat]);
    expect(trusted(node)).toBe(true);
    node.clock.advance(3_000);
    await other.beatUntilTrusted();
    node.authority.revocation.apply([beat, { ...beat, position: "99999999999999-0" }]);
    expect(trusted(node)).toBe(false);
  });

  it("reports the drift of the store's clock", async () => {
    const node = await start();
    await node.beatUntilTrusted();
    expect(Math.abs(node.authority.revocation.lease.driftMs)).toBeLessThan(5_000);
    node.clock.setWall(Date.now() - 60_000);
    node.clock.advance(1);
    await eventually("the drift", async () => {
      await node.beat();
      return node.authority.revocation.lease.driftMs > 50_000;
    });
  });
});

describe("a forged heartbeat", () => {
  const forged = async (node: HandNode): Promise<LogEntry> => {
    node.hold();
    await node.beat();
    const [beat] = await node.held(1);
    if (beat === undefined) throw new Error("no heartbeat");
    return { ...beat, event: { ...beat.event, mac: Buffer.alloc(16).toString("base64url") } };
  };

  it("renews nothing and is reported", async () => {
    const node = await start();
    const beat = await forged(node);
    node.release([beat, { ...beat, event: { ...beat.event, mac: undefined } }]);
    expect([trusted(node), node.reported]).toEqual([false, ["badMac", "badMac"]]);
  });

  it("would renew without the MAC", async () => {
    const node = await start(without("mac"));
    node.release([await forged(node)]);
    expect(trusted(node)).toBe(true);
  });

  it("cannot renew further than the heartbeat that was sent", async () => {
    const node = await start();
    node.hold();
    await node.beat();
    const [beat] = await node.held(1);
    if (beat === undefined) throw new Error("no heartbeat");
    node.release([{ ...beat, event: { ...beat.event, applied: "99999999999999-0" } }]);
    expect([trusted(node), node.reported]).toEqual([false, ["badMac"]]);
  });
});

describe("a heartbeat that the store acknowledged and that is not in the log", () => {
  const dropped = async (node: HandNode) => {
    await node.beatUntilTrusted();
    node.hold();
    await node.beat();
    await node.held(1);
    await node.beat();
    node.release(await node.held(1));
  };

  it("ends trust until everything was reviewed", async () => {
    const node = await start();
    await dropped(node);
    const { invalidationCount } = node.authority.revocation.view;
    expect(trusted(node)).toBe(false);
    await node.beatUntilTrusted();
    expect(node.reported).toEqual(["recovered", "lost", "lapsed", "rollback_repaired 0", "recovered"]);
    expect(node.authority.revocation.view.invalidationCount).toBeGreaterThan(invalidationCount);
  });

  it("is missed without break detection", async () => {
    const node = await start(without("break_detection"));
    await dropped(node);
    expect([trusted(node), node.reported]).toEqual([true, ["recovered"]]);
  });
});

describe("an old primary that still takes heartbeats, while the Sentinels name another", () => {
  const isolated = async (more: Partial<HandNodeOptions> = {}) => {
    let confirmedAt = 0;
    const node = await start({ ...more, primaryConfirmedAt: () => confirmedAt });
    node.clock.advance(500);
    confirmedAt = node.clock.monotonic();
    node.clock.advance(1_000);
    await node.beatUntilTrusted();
    return node;
  };
  const beaten = async (node: HandNode, ms: number) => {
    for (let passed = 0; passed < ms; passed += 500) {
      node.clock.advance(500);
      node.hold();
      await node.beat();
      node.release(await node.held(1));
    }
  };

  it("keeps no lease for more than three seconds after their last confirmation", async () => {
    const node = await isolated();
    await beaten(node, 1_500);
    expect(trusted(node)).toBe(true);
    await beaten(node, 500);
    expect(trusted(node)).toBe(false);
  });

  it("keeps it for ever without asking them", async () => {
    const node = await isolated(without("sentinel_majority"));
    await beaten(node, 5_000);
    expect(trusted(node)).toBe(true);
  });
});
