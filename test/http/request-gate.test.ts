import { describe, expect, it } from "vitest";

import type { HttpHead } from "../../src/http/endpoint.ts";
import { createRequestGate } from "../../src/http/request-gate.ts";
import { LoopBudget, unlimitedLoopBudget } from "../../src/net/loop-budget.ts";

const head = (more: Partial<HttpHead> = {}): HttpHead => ({
  path: "/auth/token",
  method: "POST",
  hasBody: true,
  address: "203.0.113.9",
  header: () => undefined,
  ...more,
});

function gateWith(requestsPerAddress: number, loopBudget = unlimitedLoopBudget()) {
  const full: number[] = [];
  const gate = createRequestGate({
    loopBudget,
    requestsPerAddress,
    clientOf: (address) => ({ address: address === "" ? null : address, forwarding: "none" }),
    onFull: () => full.push(1),
  });
  return { gate, full };
}

describe("the gate of HTTP requests", () => {
  it("lets so many of one address in at once, and the next when one has left", () => {
    const { gate, full } = gateWith(2);
    const first = gate(head());
    expect([first.accept, gate(head()).accept]).toEqual([true, true]);
    const third = gate(head());
    if (third.accept || !first.accept) throw new Error("not as expected");
    expect([third.status, third.headers["retry-after"], full.length]).toEqual([429, "1", 1]);
    expect(JSON.parse(third.body)).toEqual({ message: "Too many requests", code: "rate_limited" });
    expect(gate(head({ address: "203.0.113.10" })).accept).toBe(true);
    first.leave();
    expect([gate(head()).accept, gate(head()).accept]).toEqual([true, false]);
  });

  it("counts a /64 of IPv6 as one address, and all that are not known as one", () => {
    const { gate } = gateWith(1);
    expect(gate(head({ address: "2001:db8::1" })).accept).toBe(true);
    expect(gate(head({ address: "2001:db8::2" })).accept).toBe(false);
    expect(gate(head({ address: "2001:db8:0:1::2" })).accept).toBe(true);
    expect([gate(head({ address: "" })).accept, gate(head({ address: "" })).accept]).toEqual([true, false]);
  });

  it("refuses an address that has used up its time, but no health probe", () => {
    const loopBudget = new LoopBudget({ msPerSecond: 10, now: () => 0, onRefused: () => undefined });
    const { gate } = gateWith(1000, loopBudget);
    loopBudget.charge("203.0.113.9", 81);
    const refused = gate(head({ path: "/" }));
    if (refused.accept) throw new Error("let in");
    expect([refused.status, refused.headers["retry-after"]]).toEqual([429, "1"]);
    const probe = { method: "GET", hasBody: false };
    expect(gate(head({ path: "/readyz", ...probe })).accept).toBe(true);
    expect(gate(head({ path: "/healthz", ...probe })).accept).toBe(true);
    expect(gate(head({ path: "/readyz" })).accept).toBe(false);
    expect(gate(head({ path: "/metrics", ...probe })).accept).toBe(false);
  });
});
