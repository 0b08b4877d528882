import { describe, expect, it } from "vitest";

import { MessageRate } from "../../src/connection/message-rate.ts";

const takeAll = (rate: MessageRate, now: number, count: number) => {
  const verdicts = { pass: 0, refuse: 0, close: 0 };
  for (let index = 0; index < count; index += 1) verdicts[rate.take(now)] += 1;
  return verdicts;
};

describe("message rate", () => {
  it("passes five seconds' worth at once, then refuses", () => {
    expect(takeAll(new MessageRate(100, 0), 0, 600)).toEqual({ pass: 500, refuse: 100, close: 0 });
  });

  it("passes its rate for ever", () => {
    const rate = new MessageRate(100, 0);
    for (let now = 0; now < 100_000; now += 10) expect(rate.take(now)).toBe("pass");
  });

  it("closes who goes on over it for another burst, also while some messages pass", () => {
    const rate = new MessageRate(100, 0);
    const seen = new Set<string>();
    let now = 0;
    for (let index = 0; index < 2000; index += 1) {
      now += 2;
      seen.add(rate.take(now));
    }
    expect(seen).toContain("close");
  });

  it("forgets refusals of who has let it fill up again", () => {
    const rate = new MessageRate(100, 0);
    for (let burst = 0; burst < 5; burst += 1) {
      const verdicts = takeAll(rate, burst * 10_000, 900);
      expect(verdicts).toEqual({ pass: 500, refuse: 400, close: 0 });
    }
  });
});
