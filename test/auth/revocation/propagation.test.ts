import { describe, expect, it } from "vitest";

import type { ClusterMember } from "../../../src/auth/revocation/cluster-members.ts";
import { createPropagationTracker } from "../../../src/auth/revocation/propagation.ts";
import type { RevokeReceipt } from "../../../src/auth/revocation/receipt.ts";
import { handClock } from "../../support/hand-clock.ts";

const entry = (position: string) => ({ position, at: 0, version: Number(position), event: { type: "test" } });

/** A tracker beside one other node, which has applied the log up to `applied`. */
function beside(applied: string) {
  const clock = handClock(1_000_000);
  const faults: unknown[] = [];
  const member: ClusterMember = {
    n: 1,
    applied,
    policy: "suspend",
    heartbeatReadAt: clock.monotonic(),
    at: 0,
  };
  const tracker = createPropagationTracker({
    clock,
    members: { others: () => [member] },
    comparePositions: (a, b) => Number(a) - Number(b),
    role: {
      servesSockets: true,
      provenAt: Number.NEGATIVE_INFINITY,
      stalePrimaryWindowMs: 0,
      running: 0,
    },
    onListenerFault: (error) => void faults.push(error),
  });
  const seen: RevokeReceipt[] = [];
  const committed = () => {
    tracker.onCommitted(
      { revocationId: "r", socketsClosed: 0 },
      { sessions: 1, positions: ["4"], durability: "memory" },
    );
    tracker.watch("r", (receipt) => void seen.push(receipt));
  };
  tracker.begin("r");
  return { tracker, committed, last: () => seen.at(-1), faults };
}

it("is told to everybody who watches it, also beside a listener that throws", () => {
  const { tracker, committed, last, faults } = beside("12");
  committed();
  let calls = 0;
  tracker.watch("r", () => {
    calls += 1;
    if (calls > 1) throw new Error("at the second call");
  });
  const after: RevokeReceipt[] = [];
  tracker.watch("r", (receipt) => void after.push(receipt));
  tracker.onDelivered(entry("4"), "r");
  expect([last()?.effective, after.at(-1)?.effective]).toEqual(["all", "all"]);
  expect(faults).toEqual([new Error("at the second call")]);
});

describe("a revocation whose entry the log lost", () => {
  const everywhere = { effective: "all", nodes: { applied: 2, pending: 0, fenced: 0 } };
  const notYet = { effective: "pending", nodes: { applied: 1, pending: 1, fenced: 0 } };

  it("is not in effect where its new entry was not applied", () => {
    const { tracker, committed, last } = beside("5");
    tracker.onDelivered(entry("3"), "r");
    committed();
    tracker.onLogBreak();
    // Logged again, behind what the other node has applied of the new log.
    tracker.onDelivered(entry("9"), "r");
    tracker.review();
    expect(last()).toMatchObject(notYet);
    tracker.onRecovered("10");
    tracker.review();
    expect(last()).toMatchObject(notYet);
  });

  it("is not taken for delivered by what the lost log had delivered before the commit was known", () => {
    const { tracker, committed, last } = beside("5");
    tracker.onDelivered(entry("4"), "r");
    tracker.onLogBreak();
    committed();
    expect(last()).toMatchObject(notYet);
  });

  it("is in effect once the other node has applied what this one has written again", () => {
    const { tracker, committed, last } = beside("12");
    tracker.onDelivered(entry("4"), "r");
    tracker.onLogBreak();
    committed();
    tracker.onRecovered("10");
    tracker.review();
    expect(last()).toMatchObject(everywhere);
  });
});
