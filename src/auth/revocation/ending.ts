import type { Clock } from "../clock.ts";
import type { RevocationCause } from "../model.ts";
import type { CommitOutcome, Durability, LogPosition, Step, Store } from "../store.ts";
import type { Journal } from "./journal.ts";

/** What both kinds of revoke are made with. */
export interface EndingTools {
  readonly store: Store;
  readonly clock: Clock;
  readonly journal: Journal;
  /** How long no token of what was taken away has ended for certain, and a node may tell it again, ms. */
  readonly rememberedMs: number;
}

export interface EndingRequest {
  readonly cause: RevocationCause;
  readonly revocationId: string;
  readonly also: Step | undefined;
}

/** What a revoke did to the store. */
export interface Ended {
  /** Sessions that were live; null: not counted, or not yet. */
  readonly sessions: number | null;
  /** Counts them, once; null: it would take too long. Never rejects. */
  readonly count?: () => Promise<number | null>;
  /** Where its events are in the log, in order; a node that has applied the last has applied all. */
  readonly positions: readonly LogPosition[];
  /** The weakest of its commits'. */
  readonly durability: Durability;
}

/** From the weakest on. */
const strengths: readonly Durability[] = ["memory", "fsync", "replicated"];

export function endedBy(
  sessions: number | null,
  commits: readonly Extract<CommitOutcome, { ok: true }>[],
): Ended {
  const weakest = Math.min(...commits.map(({ durability }) => strengths.indexOf(durability)));
  return {
    sessions,
    positions: commits.flatMap(({ positions }) => positions),
    durability: strengths[weakest] ?? "memory",
  };
}
