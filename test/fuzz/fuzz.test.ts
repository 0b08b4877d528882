import { describe, expect, it } from "vitest";

import { transportNames } from "../support/gateway.ts";
import { stretched } from "../support/machine-share.ts";
import { fuzz, percentile } from "./run.ts";

/** A look at each transport in every run of the tests; `npm run fuzz` goes on for longer. */
describe.each(transportNames)("a gateway that is sent mutated input on %s", (transport) => {
  it("goes on serving somebody else, suspends nobody, and logs no defect", async () => {
    const { connections, pings, faults } = await fuzz({
      seed: 20_261_128,
      seconds: 6,
      transport,
      parallel: 8,
    });
    expect(faults).toEqual([]);
    expect(connections).toBeGreaterThan(50);
    expect(pings.length).toBeGreaterThan(10);
    expect(percentile(pings, 0.99)).toBeLessThan(stretched(250));
  });
});
