import { AuthError } from "../errors.ts";
import { joinedStep } from "../joined-step.ts";
import type { LogEvent } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import { type CommitOutcome, type RecordKey, readRecord, type Step } from "../store.ts";
import { type CountLimits, countEnded } from "./ended-count.ts";
import { type Ended, type EndingRequest, type EndingTools, endedBy } from "./ending.ts";
import type { EpochTarget } from "./revocation.ts";

type Committed = Extract<CommitOutcome, { ok: true }>;

/** Other raises of the same epoch that come in between are waited for this often; then the count is given up. */
const mostAttempts = 3;

/**
 * Raises the epoch of a client, or of the installation: every session record under it that is older is dead from that
 * commit on, also one that is being made at this moment. The records stay until they expire. Whoever wants to know how many
 * they were has them counted afterwards.
 */
export function createEpochEnding(tools: EndingTools, limits: CountLimits) {
  return async (target: EpochTarget, request: EndingRequest): Promise<Ended> => {
    const { before, raised } = await raise(tools, target, request);
    const ended = endedBy(null, [raised]);
    if (before === undefined) return ended;
    const about = { target, before, epoch: raised.version, at: tools.clock.now() };
    return { ...ended, count: () => countEnded(tools, about, limits) };
  };
}

/** `before`: the epoch that it raised; undefined where the store did not say in time. */
async function raise(
  tools: EndingTools,
  target: EpochTarget,
  request: EndingRequest,
): Promise<{ readonly before: number | undefined; readonly raised: Committed }> {
  const key = epochKeyOf(target);
  const step = joinedStep(raising(key, target, request), request.also);
  for (let attempt = 1; attempt <= mostAttempts; attempt += 1) {
    const before = await versionOf(tools, key);
    if (before === undefined) break;
    const check = { check: [{ key, version: before }] };
    const outcome = await tools.journal.commit(joinedStep(step, check));
    if (outcome.ok) return { before, raised: outcome };
    if (outcome.conflict !== key) throw conflict(outcome.conflict);
  }
  const outcome = await tools.journal.commit(step);
  if (!outcome.ok) throw conflict(outcome.conflict);
  return { before: undefined, raised: outcome };
}

function raising(key: RecordKey, target: EpochTarget, { cause, revocationId }: EndingRequest): Step {
  const about = { cause, revocationId };
  const event: LogEvent =
    target.kind === "all"
      ? { type: "all_revoked", ...about }
      : { type: "client_revoked", clientId: target.clientId, ...about };
  return { raise: [key], log: [{ ...event }], durable: true };
}

/** A count is not worth a revocation. */
async function versionOf({ store }: EndingTools, key: RecordKey): Promise<number | undefined> {
  try {
    return (await readRecord(store, key))?.version ?? 0;
  } catch (error) {
    if (error instanceof AuthError && error.code === "unavailable") return undefined;
    throw error;
  }
}

function epochKeyOf(target: EpochTarget): RecordKey {
  return target.kind === "all" ? recordKeys.allEpoch : recordKeys.clientEpoch(target.clientId);
}

function conflict(key: RecordKey): AuthError {
  return new AuthError("conflict", { detail: `revoke: ${key} changed` });
}
