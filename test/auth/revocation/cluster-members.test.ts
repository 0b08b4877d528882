import { describe, expect, it } from "vitest";

import { createClusterMembers } from "../../../src/auth/revocation/cluster-members.ts";
import { handClock } from "../../support/hand-clock.ts";

describe("the nodes that sent heartbeats", () => {
  it("are at most a thousand: the one with the oldest heartbeat is evicted", () => {
    const clock = handClock();
    const members = createClusterMembers({ clock, self: "self", longestTokenMs: 60_000 });
    const hear = (node: string, n: number) =>
      members.onHeartbeat(
        { type: "heartbeat", node, n, applied: null, policy: "suspend" },
        { position: `${n}`, at: clock.now(), version: n, event: {} },
      );
    for (let node = 0; node < 1_000; node += 1) hear(`node ${node}`, 1);
    hear("node 0", 2);
    expect(members.others()).toHaveLength(1_000);
    hear("one more", 7);
    const numbers = members.others().map(({ n }) => n);
    expect([numbers.length, numbers.includes(2), numbers.at(-1)]).toEqual([1_000, true, 7]);
  });
});
