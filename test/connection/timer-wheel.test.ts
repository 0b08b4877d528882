import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { createTimerWheel, Timer } from "../../src/connection/timer-wheel.ts";
import { handClock } from "../support/hand-clock.ts";

function setUp(tickMs = 100) {
  const clock = handClock();
  const errors: unknown[] = [];
  const wheel = createTimerWheel({ clock, tickMs, onError: (error) => errors.push(error) });
  const timer = (fire: () => void) => new Timer({ due: fire });
  const wind = (ms: number) => {
    clock.advance(ms);
    wheel.turn();
  };
  return { clock, wheel, timer, wind, errors };
}

const day = 86_400_000;

describe("timer wheel", () => {
  it("fires never early and at most one tick late, at every distance", () => {
    for (const delay of [0, 1, 99, 100, 101, 6399, 6400, 6401, 409_600, 27_000_000, 90 * day, 3650 * day]) {
      const { clock, wheel, timer, errors } = setUp();
      const begin = clock.monotonic();
      let firedAt: number | undefined;
      const late = timer(() => {
        firedAt = clock.monotonic() - begin;
      });
      wheel.set(late, delay);
      // In leaps that end just before and just at each of the ticks around the time that counts.
      for (const leap of [delay - 1, 1, 99, 1, 100]) {
        if (leap > 0) clock.advance(leap);
        wheel.turn();
        if (firedAt === undefined) expect(clock.monotonic() - begin).toBeLessThan(delay + 100);
      }
      expect(firedAt).toBeGreaterThanOrEqual(delay);
      expect(firedAt).toBeLessThan(delay + 200);
      expect(errors).toEqual([]);
    }
  });

  it("comes to an end of a turn in which a lone timer is set again at every firing", () => {
    for (let leap = 100; leap <= 10_000; leap += 100) {
      const { wheel, timer, wind } = setUp();
      let fired = 0;
      const again = timer(() => {
        fired += 1;
        if (fired < 1000) wheel.set(again, 0);
      });
      wheel.set(again, 0);
      wind(leap);
      expect(fired).toBeLessThanOrEqual(2);
      wind(100);
      expect(fired).toBeGreaterThan(1);
    }
  });

  it("agrees with a sorted list, whatever is set, moved and cancelled", () => {
    const action = fc.record({
      timer: fc.nat(7),
      delay: fc.oneof(fc.nat(500), fc.nat(20_000), fc.nat(2_000_000), fc.nat(200_000_000)),
      cancel: fc.boolean(),
      wind: fc.oneof(fc.nat(150), fc.nat(30_000), fc.nat(50_000_000)),
    });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
        const { clock, wheel, wind } = setUp();
        const due = new Map<number, number>();
        const early: number[] = [];
        const timers = Array.from({ length: 8 }, (_, index) => {
          const owner = {
            due: () => {
              if ((due.get(index) ?? Number.POSITIVE_INFINITY) > clock.monotonic()) early.push(index);
              due.delete(index);
            },
          };
          return new Timer(owner);
        });
        for (const step of actions) {
          const timer = timers[step.timer];
          if (timer === undefined) continue;
          if (step.cancel) {
            wheel.cancel(timer);
            due.delete(step.timer);
          } else {
            wheel.set(timer, step.delay);
            due.set(step.timer, clock.monotonic() + step.delay);
          }
          wind(step.wind);
          const overdue = [...due.values()].filter((at) => at + 100 <= clock.monotonic());
          expect({ early, overdue }).toEqual({ early: [], overdue: [] });
          expect(wheel.armed).toBe(due.size);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("does not fire what was cancelled, and fires what was set again once", () => {
    const { wheel, timer, wind } = setUp();
    const fired: string[] = [];
    const gone = timer(() => fired.push("gone"));
    const moved = timer(() => fired.push("moved"));
    wheel.set(gone, 500);
    wheel.set(moved, 500);
    wheel.cancel(gone);
    wheel.cancel(gone);
    wheel.set(moved, 1000);
    wind(900);
    expect(fired).toEqual([]);
    wind(200);
    wind(10_000);
    expect(fired).toEqual(["moved"]);
    expect(wheel.armed).toBe(0);
  });

  it("lets a timer that fires cancel its neighbour and set itself again", () => {
    const { wheel, timer, wind } = setUp();
    const fired: string[] = [];
    const neighbour = timer(() => fired.push("neighbour"));
    const first: Timer = timer(() => {
      fired.push("first");
      wheel.cancel(neighbour);
      if (fired.length < 3) wheel.set(first, 100);
    });
    wheel.set(first, 100);
    wheel.set(neighbour, 100);
    wind(100);
    wind(100);
    wind(100);
    wind(100);
    expect(fired).toEqual(["first", "first", "first"]);
  });

  it("reports an owner that throws and fires the rest", () => {
    const { wheel, timer, wind, errors } = setUp();
    const fired: string[] = [];
    wheel.set(
      timer(() => {
        throw new Error("mine");
      }),
      50,
    );
    wheel.set(
      timer(() => fired.push("other")),
      50,
    );
    wind(100);
    expect(fired).toEqual(["other"]);
    expect(errors).toHaveLength(1);
  });

  it("sets and cancels a hundred thousand timers at the same cost as one", () => {
    const { wheel, timer } = setUp();
    const timers = Array.from({ length: 100_000 }, () => timer(() => undefined));
    for (const each of timers) wheel.set(each, 55_000);
    expect(wheel.armed).toBe(100_000);
    for (const each of timers) wheel.cancel(each);
    expect(wheel.armed).toBe(0);
  });
});
