import { describe, expect, it } from "vitest";

import { transportNames } from "../support/gateway.ts";
import { fuzz, percentile } from "./run.ts";

/** A look at each transport in every run of the tests; `npm run fuzz` goes on for longer. */
const cases = transportNames.flatMap((transport) =>
  (["mutations", "flood"] as const).map((attack) => ({ transport, attack })),
);

describe.each(cases)("a gateway under $attack on $transport", ({ transport, attack }) => {
  it("goes on serving somebody else, suspends nobody, and logs no defect", async () => {
    const { connections, served, faults } = await fuzz({
      seed: 20_261_128,
      seconds: 5,
      transport,
      attack,
      parallel: 8,
      ...(attack === "flood" ? { bytesPerSecond: 5e6 } : {}),
    });
    expect(faults).toEqual([]);
    expect(connections).toBeGreaterThan(50);
    expect(served.length).toBeGreaterThan(10);
    expect(percentile(served, 0.99)).toBeLessThan(250);
  });
});
