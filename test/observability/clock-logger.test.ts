import { describe, expect, it } from "vitest";

import type { ClockDisagreement } from "../../src/auth/clock/quorum-clock.ts";
import { createClockLogger } from "../../src/observability/clock-logger.ts";
import type { Log } from "../../src/observability/log.ts";

const hour = 3_600_000;

function logged(doubt: ClockDisagreement) {
  const lines: [string, unknown, string][] = [];
  const level = (name: string) => (fields: { readonly alarm?: string }, text: string) =>
    lines.push([name, fields.alarm, text.split(":")[0] as string]);
  const log = { info: level("info"), warn: level("warn"), error: level("error") } as unknown as Log;
  createClockLogger(log, { clockDoubted: () => undefined }).disagreed(doubt);
  return lines;
}

describe("a clock that disagrees", () => {
  it.each([
    ["after a pause", { machineAheadMs: 8 * hour, storeAheadMs: null, atStart: true }, "warn", undefined],
    [
      "behind at the start",
      { machineAheadMs: -8 * hour, storeAheadMs: null, atStart: true },
      "error",
      "clock_jumped",
    ],
    [
      "while it runs",
      { machineAheadMs: 8 * hour, storeAheadMs: null, atStart: false },
      "error",
      "clock_jumped",
    ],
    [
      "with the store's, at the start",
      { machineAheadMs: 8 * hour, storeAheadMs: 0, atStart: true },
      "error",
      "clock_jumped",
    ],
  ])("%s is logged as what it may be", (_, doubt, level, alarm) => {
    expect(logged(doubt).map(([name, alarmed]) => [name, alarmed])).toEqual([[level, alarm]]);
  });
});
