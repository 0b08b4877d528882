import { addressShare } from "../../net/address-share.ts";
import { AuthError } from "../errors.ts";
import { newId } from "../ids.ts";
import type { Peer } from "../model.ts";
import { announceStep } from "./external-steps.ts";
import { isDecided } from "./find-person.ts";
import { answer, type Engine, endIfExpired, requireFlow } from "./flow-engine.ts";
import { readHold, takeHoldStep, type VersionedFlow } from "./flow-record.ts";
import { sentStep } from "./flow-steps.ts";
import { finish } from "./flow-turn.ts";
import { endFlow } from "./flow-writes.ts";
import type { FlowAnswer, FlowClaim, FlowHolder, LoginFlows } from "./login-flows.ts";
import { restoredProof } from "./proof.ts";

/* A flow that goes on without input: on another socket, or because something outside has happened. */

export async function resumeFlow(
  engine: Engine,
  claim: FlowClaim,
  peer: Peer,
  holder: FlowHolder | undefined,
): Promise<FlowAnswer> {
  const { flow } = await requireFlow(engine, claim);
  const { store, clock } = engine.options;
  const hold = newId();
  // From here on the socket before it, which may be dead without knowing, finishes nothing by itself.
  await store.commit(takeHoldStep(flow, hold));
  engine.open.hold(flow.id, addressShare(peer.address), flow.deadline - clock.now(), holder, hold);
  if (holder !== undefined) engine.listen();
  // Read again: what came before there was a holder was told to nobody.
  return await present(engine, await requireFlow(engine, claim), claim.flowSecret, peer);
}

export async function nextStep(
  engine: Engine,
  request: Parameters<LoginFlows["next"]>[0],
  peer: Peer,
  holder: FlowHolder,
): Promise<FlowAnswer | undefined> {
  const at = await requireFlow(engine, request);
  const { stepNumber, outcome, deadline } = at.flow;
  const isSame = stepNumber === request.stepNumber && outcome === null;
  const isOver = deadline <= engine.options.clock.now();
  if (isSame && !isOver && !(await isDecided(engine.options, at.flow))) return undefined;
  const { hold, version } = await readHold(engine.options.store, request.flowId);
  if (engine.open.holdOf(request.flowId, holder) !== hold) return undefined;
  try {
    return await present(engine, { ...at, holdVersion: version }, request.flowSecret, peer);
  } catch (error) {
    // Another socket resumed the flow at this moment: what comes is for that one.
    const now = await readHold(engine.options.store, request.flowId);
    if (error instanceof AuthError && error.code === "conflict" && now.version !== version) return undefined;
    throw error;
  }
}

/** The step to show to the client now. */
async function present(
  engine: Engine,
  at: VersionedFlow,
  flowSecret: string,
  peer: Peer,
): Promise<FlowAnswer> {
  if (at.flow.waiting !== null) engine.open.awaitUser(at.flow.id, at.flow.waiting.userId);
  const over = await endIfExpired(engine, at);
  if (over === undefined && (at.flow.outcome !== null || (await isDecided(engine.options, at.flow))))
    return await conclude(engine, at, flowSecret, peer);
  return answer(engine, { flow: at.flow, flowSecret }, over ?? sentStep(engine.options, at.flow));
}

/** Ends the flow with the outcome of its external step, or with the decision on its user. Throws `conflict`. */
export async function conclude(
  engine: Engine,
  at: VersionedFlow,
  flowSecret: string,
  peer: Peer,
): Promise<FlowAnswer> {
  const { outcome, waiting } = at.flow;
  const about = { flow: at.flow, flowSecret };
  if (outcome?.kind === "abort")
    return answer(engine, about, await endFlow(engine.options, at, outcome.reason));
  const proved = outcome ?? waiting;
  if (proved === null) throw new RangeError("a flow that has no outcome");
  // Its record stays, so a node that has the provider can go on with it.
  if (engine.options.registry.find(...at.flow.handler) === undefined)
    throw new AuthError("invalid_flow", { detail: "its provider is not configured on this node" });
  const step = await finish(engine.options, at, restoredProof(proved.proof), peer);
  // Another socket may hold the flow, on another node: it learns that the flow is over.
  announceStep(engine.options.events, at.flow.id);
  const concluded = answer(engine, about, step, 1);
  return proved.userId === null ? concluded : { ...concluded, userId: proved.userId };
}
