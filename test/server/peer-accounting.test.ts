import { describe, expect, it } from "vitest";

import { LoopBudget } from "../../src/net/loop-budget.ts";
import { createPeerAccounting, handshakeMs } from "../../src/server/peer-accounting.ts";

const proxy = "10.0.0.1";
const none = () => undefined;

/** A share that may use almost nothing, so every debt shows at once. */
function setUp() {
  const budget = new LoopBudget({ msPerSecond: 0.01, now: () => 0, onRefused: none });
  const accounting = createPeerAccounting({ trusted_proxies: [proxy] }, budget);
  const owes = (share: string) => budget.refusal(share, "request") !== undefined;
  return { accounting, budget, owes };
}

describe("what a transport does for TCP peers", () => {
  it("is charged to the client: the peer, or the one that a trusted proxy names", () => {
    const { accounting, owes } = setUp();
    accounting.refused("203.0.113.9", none);
    accounting.refused(proxy, (name) => (name === "x-forwarded-for" ? "203.0.113.10" : undefined));
    accounting.refused("2001:db8::1", (name) => (name === "x-forwarded-for" ? "203.0.113.11" : undefined));
    const shares = ["203.0.113.9", "203.0.113.10", "unknown", "203.0.113.11", proxy, "2001:db8:0:0::/64"];
    expect(shares.map(owes)).toEqual([true, true, true, false, false, false]);
  });

  it("is never charged to a trusted proxy, which would be refused with everybody behind it", () => {
    const { accounting, budget } = setUp();
    for (let count = 0; count < 10_000; count += 1) {
      accounting.refused(proxy, none);
      accounting.handshake(proxy);
    }
    expect(budget.shares).toBe(0);
    expect(accounting.accepts(proxy)).toBe(true);
  });

  it("refunds the handshake at an upgrade, and refuses handshakes to peers that continue without one", () => {
    const budget = new LoopBudget({ msPerSecond: 1, now: () => 0, onRefused: none });
    const accounting = createPeerAccounting({ trusted_proxies: [] }, budget);
    for (let count = 0; count < 1000; count += 1) {
      accounting.handshake("203.0.113.9");
      accounting.upgraded("203.0.113.9");
    }
    expect(budget.refusal("203.0.113.9", "upgrade")).toBeUndefined();
    for (let count = 0; count * handshakeMs <= 12; count += 1) {
      expect(accounting.accepts("203.0.113.9")).toBe(true);
      accounting.handshake("203.0.113.9");
    }
    expect(accounting.accepts("203.0.113.9")).toBe(false);
    expect(accounting.accepts("203.0.113.10")).toBe(true);
  });
});
