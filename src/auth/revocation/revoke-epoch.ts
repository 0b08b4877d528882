import { AuthError } from "../errors.ts";
import type { LogEvent } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import { mergeSteps } from "../store.ts";
import type { EpochTarget } from "./receipt.ts";
import { outcomeOf, type RevokeOutcome, type RevokeRequest, type RevokeTools } from "./revoke-commit.ts";

/**
 * Bumps the epoch of a client, or of the installation: every older session record under it is dead from that commit on,
 * also one that is being created at this moment. The records stay until they expire. Nobody counts them: that would read
 * every session of every user.
 */
export async function revokeEpoch(
  { logWriter }: Pick<RevokeTools, "logWriter">,
  target: EpochTarget,
  { cause, revocationId, also }: RevokeRequest,
): Promise<RevokeOutcome> {
  const key = target.kind === "all" ? recordKeys.allEpoch : recordKeys.clientEpoch(target.clientId);
  const about = { cause, revocationId };
  const event: LogEvent =
    target.kind === "all"
      ? { type: "all_revoked", ...about }
      : { type: "client_revoked", clientId: target.clientId, ...about };
  const step = mergeSteps({ bumpEpochs: [key], log: [{ ...event }], durable: true }, also);
  const outcome = await logWriter.commit(step);
  if (!outcome.ok) throw new AuthError("conflict", { detail: `revoke: ${outcome.conflict} changed` });
  return outcomeOf(null, [outcome]);
}
