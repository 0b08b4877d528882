import type { CommitOutcome, Durability } from "../../auth/store.ts";
import { type PreparedStep, stepLimits } from "../step-limits.ts";
import { unavailable } from "../unavailable.ts";
import type { RedisKeys } from "./keys.ts";
import { logBounds } from "./log-stream.ts";

export interface ScriptCall {
  readonly keys: readonly string[];
  readonly args: readonly string[];
}

/** Builds the call in the order that commit.lua's header gives. */
export function commitCall(keys: RedisKeys, step: PreparedStep, logKeptMs: number): ScriptCall {
  const counts = [
    ...[step.check, step.put, step.remove, step.link, step.unlink],
    ...[step.bumpEpochs, step.raiseEpochsTo, step.log],
  ];
  return {
    keys: [
      keys.commits,
      keys.log,
      ...step.check.map(({ key }) => keys.record(key)),
      ...step.put.map(({ key }) => keys.record(key)),
      ...step.remove.map((key) => keys.record(key)),
      ...step.link.map(({ index }) => keys.index(index)),
      ...step.unlink.map(({ index }) => keys.index(index)),
      ...step.bumpEpochs.map((key) => keys.record(key)),
      ...step.raiseEpochsTo.map(({ key }) => keys.record(key)),
    ],
    args: [
      ...counts.map((list) => String(list.length)),
      String(logBounds.entries),
      String(logKeptMs),
      String(stepLimits.version),
      ...step.check.map(({ version }) => String(version)),
      ...step.put.flatMap(({ json, expiresAt }) => [json, String(expiresAt ?? "")]),
      ...step.link.map(({ member }) => member),
      ...step.unlink.map(({ member }) => member),
      ...step.raiseEpochsTo.map(({ version }) => String(version)),
      ...step.log,
    ],
  };
}

/** Such a step needs no extra memory: the log drops an entry for each one that it appends. */
export function isLogOnly(step: PreparedStep): boolean {
  const { check: _, log, ...changes } = step;
  return log.length > 0 && Object.values(changes).every((list) => list.length === 0);
}

export function outcomeOf(reply: unknown, step: PreparedStep, durability: Durability): CommitOutcome {
  const [applied, detail, ...positions] = reply as readonly (string | number)[];
  if (applied === 1) {
    return { ok: true, version: Number(detail), positions: positions.map(String), durability };
  }
  const failed = step.check[Number(detail) - 1];
  if (failed === undefined) throw unavailable("redis: the commit script's answer has an unexpected shape");
  return { ok: false, conflict: failed.key };
}
