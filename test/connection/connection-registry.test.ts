import { describe, expect, it } from "vitest";

import { ConnectionRegistry } from "../../src/connection/connection-registry.ts";

const limits = { sockets: 10_000, unauthenticated: 5000, unauthenticatedPerAddress: 2 };
const member = () => ({});
const placeOf = (nth: number) => `10.${nth >> 16}.${(nth >> 8) & 255}.${nth & 255}`;

describe("the registry", () => {
  it("remembers a bounded number of places, however many strangers have come and gone", () => {
    const registry = new ConnectionRegistry(limits);
    let most = 0;
    for (let nth = 0; nth < 10_000; nth += 1) {
      const passer = member();
      registry.enter(passer, placeOf(nth));
      most = Math.max(most, registry.addresses);
      if (nth % 2 === 0) registry.leaveUnauthenticated(placeOf(nth));
      registry.leave(passer, placeOf(nth), nth % 2 === 0);
    }
    expect(most).toBeGreaterThan(1000);
    expect(most).toBeLessThanOrEqual(1026);
    expect([registry.sockets, registry.unauthenticated]).toEqual([0, 0]);
  });

  it("forgets no addressKey that has a stranger, whoever passes meanwhile", () => {
    const registry = new ConnectionRegistry(limits);
    const strangers = Array.from({ length: 300 }, (_, nth) => ({
      stranger: member(),
      addressKey: placeOf(nth),
    }));
    for (const { stranger, addressKey } of strangers) registry.enter(stranger, addressKey);
    for (const { addressKey } of strangers) registry.enter(member(), addressKey);
    for (let nth = 1000; nth < 6000; nth += 1) {
      const passer = member();
      registry.enter(passer, placeOf(nth));
      registry.leave(passer, placeOf(nth), false);
      expect(registry.addresses).toBeLessThanOrEqual(600 + 1026);
    }
    expect(strangers.map(({ addressKey }) => registry.roomFor(addressKey))).toEqual(
      strangers.map(() => "address_full"),
    );
    for (const { stranger, addressKey } of strangers) registry.leave(stranger, addressKey, false);
    expect(strangers.map(({ addressKey }) => registry.roomFor(addressKey))).toEqual(
      strangers.map(() => "free"),
    );
  });
});
