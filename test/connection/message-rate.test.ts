import { describe, expect, it } from "vitest";

import { MessageRate, stricter, UserMessageRates } from "../../src/connection/message-rate.ts";

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

describe("the message rate of a user", () => {
  it("is one for all sockets, and another user's is another", () => {
    const rates = new UserMessageRates(100);
    const take = (userId: string, count: number) => {
      const verdicts = { pass: 0, refuse: 0, close: 0 };
      for (let index = 0; index < count; index += 1) verdicts[rates.take(userId, 0)] += 1;
      return verdicts;
    };
    expect(take("ada", 400)).toEqual({ pass: 400, refuse: 0, close: 0 });
    expect(take("ada", 700)).toEqual({ pass: 100, refuse: 500, close: 100 });
    expect(take("bob", 500)).toEqual({ pass: 500, refuse: 0, close: 0 });
  });

  it("is remembered only while something of it is used", () => {
    const rates = new UserMessageRates(100);
    for (let user = 0; user < 5_000; user += 1) rates.take(`user ${user}`, user * 1_000);
    expect(rates.users).toBeLessThanOrEqual(1_024);
    for (let count = 0; count < 500; count += 1) rates.take("busy", 5_000_000);
    for (let user = 0; user < 2_000; user += 1) rates.take(`late ${user}`, 5_000_000);
    expect(rates.take("busy", 5_000_000)).toBe("refuse");
  });

  it("counts beside a socket's own, and the stricter one decides", () => {
    expect([stricter("pass", "refuse"), stricter("close", "pass"), stricter("refuse", "close")]).toEqual([
      "refuse",
      "close",
      "close",
    ]);
    expect(stricter("pass", "pass")).toBe("pass");
  });
});
