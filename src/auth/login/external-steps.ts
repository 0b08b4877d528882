import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import type { EventBus } from "../event-bus.ts";
import type { Peer } from "../model.ts";
import type { ProviderStep } from "../providers/provider.ts";
import type { ProviderRegistry } from "../providers/registry.ts";
import type { FinishTools } from "./finish-login.ts";
import { type Flow, readFlowById, type VersionedFlow } from "./flow-record.ts";
import { askProvider, flowAfter, hasNoAttemptsLeft, type Turn, takeTurn } from "./flow-turn.ts";
import { write } from "./flow-writes.ts";
import type { FlowHolder } from "./login-flows.ts";
import { proofOf, storedProof } from "./proof.ts";

/** The topic of the event that a flow has continued: `{flowId}`. */
const topic = "login_flow";

/** Whoever holds the flow reads its record. */
export function announceStep(events: Pick<EventBus, "publish">, flowId: string): void {
  events.publish(topic, { flowId });
}

export interface ExternalCompletion {
  readonly flowId: string;
  /** The `external` or `progress` step that it completes. */
  readonly stepId: string;
  /** The provider's own input; only the provider checks it. */
  readonly input: Readonly<Record<string, unknown>>;
}

export interface ExternalCompletionTools extends FinishTools {
  readonly registry: ProviderRegistry;
  readonly events: Pick<EventBus, "publish">;
}

/**
 * Completes an external step: takes the turn, asks the provider, and writes the outcome into the flow's record. A
 * completed login opens no session here. The record says what was proved, and the node whose socket waits opens the
 * session. So no token is sent over the bus, and the socket's address is the one that counts.
 */
export async function completeExternalStep(
  tools: ExternalCompletionTools,
  { flowId, stepId, input }: ExternalCompletion,
  peer: Peer,
): Promise<ProviderStep["kind"]> {
  const at = await waitingFlow(tools, flowId, stepId);
  const provider = tools.registry.find(...at.flow.handler);
  if (provider === undefined)
    throw new AuthError("invalid_flow", { detail: "its provider is not configured any more" });
  const turn = await takeTurn(tools, at);
  const step = await askProvider(tools, provider, turn, input, { flowId, peer, known: false });
  await write(tools, turn.at, flowAfterCompletion(turn, step, tools.clock));
  announceStep(tools.events, flowId);
  return step.kind;
}

async function waitingFlow(
  { store, clock }: ExternalCompletionTools,
  flowId: string,
  stepId: string,
): Promise<VersionedFlow> {
  const at = await readFlowById(store, flowId);
  const waits = at?.flow.step.kind !== "form" && at?.flow.step.stepId === stepId;
  if (at === undefined || !waits || at.flow.deadline <= clock.now()) throw new AuthError("invalid_flow");
  if (at.flow.outcome !== null || at.flow.waiting !== null)
    throw new AuthError("conflict", { detail: "the step was completed by another call" });
  return at;
}

function flowAfterCompletion(turn: Turn, step: ProviderStep, clock: Clock): Flow {
  const { flow } = turn.at;
  switch (step.kind) {
    case "abort":
      return { ...flow, outcome: { kind: "abort", reason: step.reason } };
    case "done":
      return {
        ...flow,
        attemptsLeft: turn.attemptsIfRight,
        outcome: {
          kind: "done",
          proof: storedProof(proofOf(step, clock.now())),
          userId: step.userId ?? null,
        },
      };
    default: {
      const next = flowAfter(turn, step);
      return hasNoAttemptsLeft(next)
        ? { ...flow, outcome: { kind: "abort", reason: "too_many_retry" } }
        : next;
    }
  }
}

/**
 * Calls the holders of this node's flows when their flows have continued. After a gap, in which events may be lost,
 * every holder reads its record.
 */
export function listenForSteps(
  events: Pick<EventBus, "subscribe">,
  holderOf: (flowId: string) => FlowHolder | undefined,
  everyone: () => readonly FlowHolder[],
): () => void {
  return events.subscribe(topic, {
    onMessage: ({ flowId }) => {
      if (typeof flowId === "string") holderOf(flowId)?.flowContinued();
    },
    onGap: () => {
      for (const holder of everyone()) holder.flowContinued();
    },
  });
}
