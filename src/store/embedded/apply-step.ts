import type { CommitOutcome } from "../../auth/store.ts";
import { type PreparedStep, stepLimits } from "../step-limits.ts";
import { appendEvents } from "./log.ts";
import { linkMember, putRecord, raiseRecord, removeRecord, unlinkMember, versionOf } from "./records.ts";
import { readState, writeState } from "./state.ts";
import type { Tables } from "./tables.ts";

/**
 * Applies one step inside a write transaction; the step sees the steps before it. All checks come before the first
 * write. A throw aborts the whole transaction. Records that expired at or before `over` count as absent.
 */
export function applyStep(
  tables: Tables,
  step: PreparedStep,
  { now, over }: { readonly now: number; readonly over: number },
): CommitOutcome {
  for (const { key, version } of step.check) {
    if (versionOf(tables, key, over) !== version) return { ok: false, conflict: key };
  }
  const before = readState(tables);
  const version = nextVersion(before.commits, step, now);
  for (const put of step.put) putRecord(tables, put, version);
  for (const key of step.remove) removeRecord(tables, key);
  for (const { index, member } of step.link) linkMember(tables, index, member);
  for (const { index, member } of step.unlink) unlinkMember(tables, index, member);
  for (const key of step.bumpEpochs) raiseRecord(tables, { key, version }, over);
  for (const raised of step.raiseEpochsTo) raiseRecord(tables, raised, over);
  const { state, positions } = appendEvents(tables, { ...before, commits: version }, step.log, now);
  writeState(tables, state);
  // The caller reports this only after the transaction is flushed.
  return { ok: true, version, positions, durability: "fsync" };
}

/** A clock that is far ahead does not count: version numbers would leave the range of exact integers. */
function nextVersion(last: number, step: PreparedStep, now: number): number {
  const byClock = Math.floor(now * 1_000);
  const floors = step.raiseEpochsTo.map(({ version }) => version + 1);
  return Math.max(last + 1, byClock > stepLimits.version ? 0 : byClock, ...floors);
}
