import type { CommitOutcome } from "../../auth/store.ts";
import type { PreparedStep } from "../step-limits.ts";
import { appendEvents } from "./log.ts";
import { linkMember, putRecord, raiseRecord, removeRecord, unlinkMember, versionOf } from "./records.ts";
import { readState, writeState } from "./state.ts";
import type { Tables } from "./tables.ts";

/**
 * One step inside a write transaction, which sees the steps before it. All checks come before the first write; a
 * throw leaves the transaction to be aborted as a whole.
 */
export function applyStep(tables: Tables, step: PreparedStep, now: number): CommitOutcome {
  for (const { key, version } of step.check) {
    if (versionOf(tables, key, now) !== version) return { ok: false, conflict: key };
  }
  const before = readState(tables);
  const version = before.commits + 1;
  for (const put of step.put) putRecord(tables, put, version);
  for (const key of step.remove) removeRecord(tables, key);
  for (const { index, member } of step.link) linkMember(tables, index, member);
  for (const { index, member } of step.unlink) unlinkMember(tables, index, member);
  for (const key of step.raise) raiseRecord(tables, key, version);
  const { state, positions } = appendEvents(tables, { ...before, commits: version }, step.log, now);
  writeState(tables, state);
  return { ok: true, version, positions };
}
