import type { FlowStep } from "../../../protocol/flow.ts";
import { AuthError } from "../errors.ts";
import type { Store } from "../store.ts";
import type { Sealing } from "../tokens/sealing.ts";
import { endFlowStep, type Flow, type VersionedFlow, writeFlowStep } from "./flow-record.ts";
import { type AbortReason, abortStep, sentStep } from "./flow-steps.ts";

export interface WritingTools {
  readonly store: Store;
  readonly sealing: Pick<Sealing, "seal" | "open">;
}

/** Ends the flow without a login. Throws `conflict`. */
export async function endFlow(
  { store }: Pick<WritingTools, "store">,
  at: VersionedFlow,
  reason: AbortReason | (string & {}),
): Promise<FlowStep> {
  const outcome = await store.commit(endFlowStep(at));
  if (!outcome.ok) throw new AuthError("conflict");
  return abortStep(at.flow, reason);
}

/** Writes the flow and returns the turn. Throws `conflict`. */
export async function write(tools: WritingTools, at: VersionedFlow, next: Flow): Promise<FlowStep> {
  const flow = { ...next, busyUntil: 0 };
  const outcome = await tools.store.commit(writeFlowStep({ flow, version: at.version }));
  if (!outcome.ok) throw new AuthError("conflict");
  return sentStep(tools, flow);
}
