import { AuthError } from "../errors.ts";
import { joinedStep } from "../joined-step.ts";
import type { LogEvent } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import type { RecordKey } from "../store.ts";
import { type Ended, type EndingRequest, type EndingTools, endedBy } from "./ending.ts";
import type { RevokeTarget } from "./revocation.ts";

type EpochTarget = Extract<RevokeTarget, { kind: "client" | "all" }>;

/**
 * Raises the epoch of a client, or of the installation: every session record under it that is older is dead from that
 * commit on, also one that is being made at this moment. The records stay until they expire; nobody counts them.
 */
export function createEpochEnding({ journal }: EndingTools) {
  return async (target: EpochTarget, { cause, revocationId, also }: EndingRequest): Promise<Ended> => {
    const about = { cause, revocationId };
    const event: LogEvent =
      target.kind === "all"
        ? { type: "all_revoked", ...about }
        : { type: "client_revoked", clientId: target.clientId, ...about };
    const raise = { raise: [epochKeyOf(target)], log: [{ ...event }], durable: true };
    const outcome = await journal.commit(joinedStep(raise, also));
    if (!outcome.ok) throw new AuthError("conflict", { detail: `revoke: ${outcome.conflict} changed` });
    return endedBy(null, [outcome]);
  };
}

function epochKeyOf(target: EpochTarget): RecordKey {
  return target.kind === "all" ? recordKeys.allEpoch : recordKeys.clientEpoch(target.clientId);
}
