import type { Clock } from "../clock/clock.ts";
import type { RevocationCause } from "../model.ts";
import type { CommitOutcome, Durability, LogPosition, Step, Store } from "../store.ts";
import type { LogWriter } from "./log-writer.ts";

/** What both kinds of revoke are made with. */
export interface RevokeTools {
  readonly store: Store;
  readonly clock: Clock;
  readonly logWriter: LogWriter;
  /** How long no token of what was taken away has ended for certain, and a node may tell it again, ms. */
  readonly rememberedMs: number;
}

export interface RevokeRequest {
  readonly cause: RevocationCause;
  readonly revocationId: string;
  readonly also: Step | undefined;
}

/** What a revoke did to the store. */
export interface RevokeOutcome {
  /** Sessions that were live; null: not counted. */
  readonly sessions: number | null;
  /** Where its events are in the log, in order; a node that has applied the last has applied all. */
  readonly positions: readonly LogPosition[];
  /** The weakest of its commits'. */
  readonly durability: Durability;
}

/** From the weakest on. */
const strengths: readonly Durability[] = ["memory", "fsync", "replicated"];

export function outcomeOf(
  sessions: number | null,
  commits: readonly Extract<CommitOutcome, { ok: true }>[],
): RevokeOutcome {
  const weakest = Math.min(...commits.map(({ durability }) => strengths.indexOf(durability)));
  return {
    sessions,
    positions: commits.flatMap(({ positions }) => positions),
    durability: strengths[weakest] ?? "memory",
  };
}
