import type { Clock } from "../clock.ts";
import type { CommitOutcome, JsonObject, LogEntry, Step, Store } from "../store.ts";
import type { LogSeal } from "./log-seal.ts";

/** Commits of this node's domain. */
export interface Journal {
  /**
   * Commits, and takes what the step logged into this node's view before the caller goes on, so that this node never
   * acts on what it has itself taken away. The feed brings the same entries again, before or after. Events get a MAC.
   */
  commit(step: Step): Promise<CommitOutcome>;
}

export function createJournal(options: {
  readonly store: Store;
  readonly clock: Clock;
  readonly seal: LogSeal;
  readonly apply: (entries: readonly LogEntry[]) => void;
}): Journal {
  const { store, clock, seal, apply } = options;
  return {
    async commit(step) {
      if (step.log === undefined || step.log.length === 0) return store.commit(step);
      const log = step.log.map((event) => seal.sealed(event));
      const outcome = await store.commit({ ...step, log });
      if (outcome.ok) apply(entriesOf(outcome, log, clock.now()));
      return outcome;
    },
  };
}

function entriesOf(
  { version, positions }: Extract<CommitOutcome, { ok: true }>,
  events: readonly JsonObject[],
  at: number,
): readonly LogEntry[] {
  return events.flatMap((event, place) => {
    const position = positions[place];
    return position === undefined ? [] : [{ position, at, version, event }];
  });
}
