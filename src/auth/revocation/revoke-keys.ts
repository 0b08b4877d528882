import { AuthError } from "../errors.ts";
import type { LogEvent } from "../model.ts";
import type { Step } from "../store.ts";
import { mergeSteps } from "../store.ts";
import type { LogWriter } from "./log-writer.ts";
import { outcomeOf, type RevokeOutcome } from "./revoke-commit.ts";

export interface KeyRevokeRequest {
  readonly keyIds: readonly string[];
  readonly revocationId: string;
  /** Takes the keys out of the keyring. */
  readonly also: Step;
}

/** One commit, durable. Rejects with `conflict` where a check of `also` fails. */
export async function revokeKeys(logWriter: LogWriter, request: KeyRevokeRequest): Promise<RevokeOutcome> {
  const { keyIds: dropped, revocationId, also } = request;
  const event: LogEvent = { type: "keyring_changed", dropped, revocationId };
  const outcome = await logWriter.commit(mergeSteps(also, { log: [{ ...event }], durable: true }));
  if (!outcome.ok) throw new AuthError("conflict", { detail: `keys: ${outcome.conflict} changed` });
  return outcomeOf(0, [outcome]);
}
