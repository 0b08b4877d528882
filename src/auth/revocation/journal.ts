import type { Clock } from "../clock.ts";
import type { CommitOutcome, JsonObject, LogEntry, Step, Store } from "../store.ts";

/** Commits of this node's domain. */
export interface Journal {
  /**
   * Commits, and takes what the step logged into this node's view before the caller goes on, so that this node never
   * acts on what it has itself taken away. The feed brings the same entries again, before or after.
   */
  commit(step: Step): Promise<CommitOutcome>;
}

export function createJournal(options: {
  readonly store: Store;
  readonly clock: Clock;
  readonly apply: (entries: readonly LogEntry[]) => void;
}): Journal {
  const { store, clock, apply } = options;
  return {
    async commit(step) {
      const outcome = await store.commit(step);
      if (outcome.ok && step.log !== undefined) apply(entriesOf(outcome, step.log, clock.now()));
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
