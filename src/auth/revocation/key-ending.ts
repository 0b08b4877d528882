import { AuthError } from "../errors.ts";
import { joinedStep } from "../joined-step.ts";
import type { LogEvent } from "../model.ts";
import type { Step } from "../store.ts";
import { type Ended, endedBy } from "./ending.ts";
import type { Journal } from "./journal.ts";

export interface KeyEndingRequest {
  readonly keyIds: readonly string[];
  readonly revocationId: string;
  /** Takes the keys out of the keyring. */
  readonly also: Step;
}

/** One commit, durable. Rejects with `conflict` where a check of `also` fails. */
export async function endKeys(journal: Journal, request: KeyEndingRequest): Promise<Ended> {
  const { keyIds: dropped, revocationId, also } = request;
  const event: LogEvent = { type: "keyring_changed", dropped, revocationId };
  const outcome = await journal.commit(joinedStep(also, { log: [{ ...event }], durable: true }));
  if (!outcome.ok) throw new AuthError("conflict", { detail: `keys: ${outcome.conflict} changed` });
  return endedBy(0, [outcome]);
}
