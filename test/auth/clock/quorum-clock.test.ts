import { describe, expect, it } from "vitest";

import { isCertainlyPast } from "../../../src/auth/clock/clock.ts";
import { confirmMs, QuorumClock } from "../../../src/auth/clock/quorum-clock.ts";

const start = Date.UTC(2026, 10, 23, 12);
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** A machine and a store whose clocks the test sets. `go` advances the time and checks the clocks once a minute. */
function setUp({
  store = false,
  machineAhead = 0,
  storeAhead = 0,
  remembered = start as number | null,
} = {}) {
  let passed = 0;
  let slept = 0;
  const at = { machine: machineAhead, store: storeAhead };
  const reported: string[] = [];
  const machine = {
    now: () => start + passed + slept + at.machine,
    monotonic: () => passed,
    uptime: () => passed + slept,
  };
  const clock = new QuorumClock(machine, {
    disagreed: ({ machineAheadMs, storeAheadMs }) =>
      reported.push(
        `${Math.round(machineAheadMs / day)} ${storeAheadMs === null ? "-" : Math.round(storeAheadMs / day)}`,
      ),
    agreed: () => reported.push("settled"),
  });
  const storeTime = () => (store ? start + passed + slept + at.store : undefined);
  clock.start(remembered ?? undefined, storeTime());
  const look = () => clock.check(storeTime());
  return {
    clock,
    at,
    reported,
    look,
    go(ms: number) {
      for (let left = ms; left > 0; left -= minute) {
        passed += Math.min(left, minute);
        look();
      }
    },
    sleep(ms: number) {
      slept += ms;
    },
    /** How far `now` and `earliest` are from the true time. */
    get error() {
      const truth = start + passed + slept;
      return [clock.now() - truth, clock.earliest() - truth];
    },
  };
}

describe("one clock alone", () => {
  it("considers nothing past before a time is known", () => {
    const clock = new QuorumClock({ now: () => start, monotonic: () => 0 });
    expect([clock.now(), isCertainlyPast(clock, 1), clock.certainlyPast]).toEqual([start, false, undefined]);
  });

  it("is the time while it runs correctly", () => {
    const rig = setUp();
    rig.go(3 * hour);
    rig.at.machine = 9_000;
    rig.look();
    rig.at.machine = 0;
    rig.look();
    expect([rig.error, rig.reported, rig.clock.disagreement]).toEqual([[0, 0], [], undefined]);
  });

  it.each([100 * day, -100 * day])(
    "is not trusted after a jump of %d ms, before and after the next check",
    (ms) => {
      const rig = setUp();
      rig.at.machine = ms;
      expect(rig.error).toEqual([0, Math.min(0, ms)]);
      rig.go(9 * minute);
      expect(rig.error).toEqual([0, Math.min(0, ms)]);
      expect([rig.reported, rig.clock.certainlyPast]).toEqual([[`${ms / day} -`], undefined]);
      rig.at.machine = 0;
      rig.look();
      expect([rig.error, rig.reported.at(-1)]).toEqual([[0, 0], "settled"]);
    },
  );

  it("is trusted once its new time was steady for long enough", () => {
    const rig = setUp();
    rig.at.machine = 3 * hour;
    rig.go(9 * minute);
    rig.at.machine = 4 * hour;
    rig.go(minute);
    rig.go(confirmMs - minute);
    expect(rig.error).toEqual([0, 0]);
    rig.go(minute);
    expect([rig.error, rig.reported]).toEqual([
      [4 * hour, 4 * hour],
      ["0 -", "settled"],
    ]);
  });

  it("is trusted at once if the machine slept", () => {
    const rig = setUp();
    rig.sleep(8 * hour);
    rig.look();
    expect([rig.error, rig.reported]).toEqual([[0, 0], []]);
  });

  it("is the time after a start a week later, but considers nothing past by it until it is confirmed", () => {
    const rig = setUp({ remembered: start - 7 * day });
    expect(rig.error).toEqual([0, -7 * day]);
    rig.go(confirmMs - minute);
    expect(rig.error).toEqual([0, -7 * day]);
    rig.go(minute);
    expect([rig.error, rig.reported]).toEqual([
      [0, 0],
      ["7 -", "settled"],
    ]);
  });

  it.each([
    [false, 9 * minute],
    [true, 9 * minute],
    [false, -5_000],
  ])("is believed after a start soon after (with a store: %s, %d ms)", (store, ms) => {
    const rig = setUp({ store, remembered: start - ms });
    expect([rig.error, rig.reported, rig.clock.disagreement]).toEqual([[0, 0], [], undefined]);
  });

  it("is trusted when it was behind at the start and is corrected", () => {
    const rig = setUp({ remembered: start - minute, machineAhead: -200 * day });
    expect(rig.error).toEqual([-minute, -200 * day]);
    rig.go(minute);
    rig.at.machine = 0;
    rig.look();
    expect([rig.error, rig.reported]).toEqual([
      [0, 0],
      ["-200 -", "settled"],
    ]);
  });
});

describe("a machine and a store", () => {
  it.each([
    ["the machine", { machine: 91 * day, store: 0 }],
    ["the machine", { machine: -91 * day, store: 0 }],
    ["the store", { machine: 0, store: 91 * day }],
    ["the store", { machine: 0, store: -91 * day }],
  ])("that disagree after a jump of %s: the other one is right, however long it lasts", (_, jump) => {
    const rig = setUp({ store: true });
    rig.go(minute);
    Object.assign(rig.at, jump);
    rig.go(day);
    expect(rig.error).toEqual([0, Math.min(0, jump.machine, jump.store)]);
    expect(rig.reported).toHaveLength(1);
    Object.assign(rig.at, { machine: 0, store: 0 });
    rig.look();
    expect(rig.clock.disagreement).toBeUndefined();
  });

  it.each([91 * day, -91 * day])(
    "whose machine is %d ms off from the first start on: the store is right",
    (ms) => {
      const rig = setUp({ store: true, machineAhead: ms, remembered: null });
      expect(rig.error).toEqual([0, Math.min(0, ms)]);
      rig.go(hour);
      expect([rig.error, rig.reported]).toEqual([[0, Math.min(0, ms)], [`${ms / day} 0`]]);
    },
  );

  it.each([91 * day, -91 * day])(
    "whose machine is %d ms off at a start three days later: the store is right",
    (ms) => {
      const rig = setUp({ store: true, machineAhead: ms, remembered: start - 3 * day });
      expect(rig.error).toEqual([0, Math.min(0, ms)]);
    },
  );

  it("whose store is ahead at a start: the machine is right", () => {
    const rig = setUp({ store: true, storeAhead: 91 * day, remembered: start - minute });
    expect(rig.error).toEqual([0, 0]);
  });

  it("that jump together are the time, but nothing is past by it until it was steady", () => {
    const rig = setUp({ store: true });
    Object.assign(rig.at, { machine: 30 * day, store: 30 * day });
    rig.go(confirmMs - minute);
    expect(rig.error).toEqual([30 * day, 0]);
    rig.go(2 * minute);
    expect(rig.error).toEqual([30 * day, 30 * day]);
  });
});
