import type { Clock } from "../clock/clock.ts";
import type { CommitOutcome, JsonObject, LogEntry, Step, Store } from "../store.ts";
import type { LogMac } from "./log-mac.ts";

/** How this node's domain commits. */
export interface LogWriter {
  /**
   * Commits a step and adds a MAC to its events. Applies the events to this node's view before the caller continues,
   * so that this node never serves what it has revoked itself. The feed delivers the same entries too, before or
   * after.
   */
  commit(step: Step): Promise<CommitOutcome>;
}

export function createLogWriter(options: {
  readonly store: Store;
  readonly clock: Clock;
  readonly logMac: LogMac;
  readonly apply: (entries: readonly LogEntry[]) => void;
}): LogWriter {
  const { store, clock, logMac, apply } = options;
  return {
    async commit(step) {
      if (step.log === undefined || step.log.length === 0) return store.commit(step);
      const log = step.log.map((event) => logMac.withMac(event));
      const outcome = await store.commit({ ...step, log });
      if (outcome.ok) apply(toEntries(outcome, log, clock.now()));
      return outcome;
    },
  };
}

function toEntries(
  { version, positions }: Extract<CommitOutcome, { ok: true }>,
  events: readonly JsonObject[],
  at: number,
): readonly LogEntry[] {
  return events.flatMap((event, place) => {
    const position = positions[place];
    return position === undefined ? [] : [{ position, at, version, event }];
  });
}
