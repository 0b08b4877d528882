import {
  type ClockDisagreement,
  type ClockObserver,
  clockLeewayMs,
  confirmMs,
} from "../auth/clock/quorum-clock.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";

/** What is found of the clocks, for people and for metrics. */
export function createClockLogger(log: Log, metrics: Pick<Metrics, "clockDoubted">): ClockObserver {
  return {
    disagreed(doubt) {
      metrics.clockDoubted();
      const { machineAheadMs, storeAheadMs } = doubt;
      const fields = { machine_ahead_ms: machineAheadMs, store_ahead_ms: storeAheadMs };
      for (const problem of clockProblems(doubt))
        if (mayHavePaused(doubt)) log.warn(fields, problem);
        else log.error({ alarm: "clock_jumped", ...fields }, problem);
    },
    agreed: () => log.info({}, "the clocks agree: sessions end by their time again"),
  };
}

const consequence = `No session ends by its time until the clocks agree, or were steady for ${confirmMs / 60_000} minutes.`;

/** Every start after a longer pause looks like this, and so does a clock that was set ahead meanwhile. */
function mayHavePaused(doubt: ClockDisagreement): boolean {
  return doubt.atStart && doubt.machineAheadMs > 0 && Math.abs(aheadOfStore(doubt)) <= clockLeewayMs;
}

/** ms. 0: the store has no clock. */
function aheadOfStore({ machineAheadMs, storeAheadMs }: ClockDisagreement): number {
  return storeAheadMs === null ? 0 : machineAheadMs - storeAheadMs;
}

/** What is wrong and what to do, for people; nothing while the clocks agree. */
export function clockProblems(doubt: ClockDisagreement | undefined): readonly string[] {
  if (doubt === undefined) return [];
  const { machineAheadMs } = doubt;
  const betweenMs = aheadOfStore(doubt);
  if (Math.abs(betweenMs) > clockLeewayMs)
    return [`This machine's clock is ${distance(betweenMs)} the store's: set both by NTP. ${consequence}`];
  if (mayHavePaused(doubt)) return [`${pause(machineAheadMs)} ${consequence}`];
  return [
    `This machine's clock is ${distance(machineAheadMs)} the time that was known before. ${consequence}`,
  ];
}

function pause(ms: number): string {
  return `No gateway has run for ${duration(ms)}, or this machine's clock was set ahead: nothing tells which.`;
}

function distance(ms: number): string {
  return `${duration(ms)} ${ms > 0 ? "ahead of" : "behind"}`;
}

function duration(ms: number): string {
  const seconds = Math.round(Math.abs(ms) / 1000);
  const [size, unit] =
    seconds >= 172_800
      ? ([86_400, "days"] as const)
      : seconds >= 7_200
        ? ([3_600, "hours"] as const)
        : ([1, "s"] as const);
  return `${Math.round(seconds / size)} ${unit}`;
}
