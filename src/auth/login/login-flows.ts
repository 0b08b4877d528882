import { limits as wireLimits } from "../../../protocol/features.ts";
import type { AbortStep, FlowStep, Handler } from "../../../protocol/flow.ts";
import { addressShare } from "../../net/address-share.ts";
import { AuthError } from "../errors.ts";
import type { EventBus } from "../event-bus.ts";
import { newId } from "../ids.ts";
import type { AssuranceLevel, Peer } from "../model.ts";
import type { ProviderStep } from "../providers/provider.ts";
import { isOffered } from "../providers/registry.ts";
import { recordKeys } from "../record-keys.ts";
import type { Revocation } from "../revocation/revocation.ts";
import { retryConflicts, type Store } from "../store.ts";
import type { Credentials } from "../users/credentials.ts";
import { createAddressBoundClaims } from "./address-bound-secret.ts";
import { advanceFactor } from "./advance-factor.ts";
import {
  type ChargingTools,
  chargeStep,
  issueDeviceToken,
  runCharged,
  withDeviceToken,
} from "./charged-step.ts";
import {
  announceStep,
  completeExternalStep,
  type ExternalCompletion,
  listenForSteps,
} from "./external-steps.ts";
import { isDecided } from "./find-person.ts";
import type { FinishTools } from "./finish-login.ts";
import { firstStep } from "./first-step.ts";
import { answer, type Engine, endIfExpired, requireFlow } from "./flow-engine.ts";
import { endFlowStep, newFlowSecret, readHolds } from "./flow-record.ts";
import { abortStep } from "./flow-steps.ts";
import { askProvider, settle, shareTurn, takeTurn } from "./flow-turn.ts";
import { endFlow } from "./flow-writes.ts";
import { readAnswer, readFormInput } from "./form-input.ts";
import { type RedeemLinkCode, redeemLinkCode } from "./link-codes.ts";
import { newFlow } from "./new-flow.ts";
import { type EvictedFlow, OpenFlows } from "./open-flows.ts";
import { allowedStart } from "./pushed-start.ts";
import { conclude, nextStep, resumeFlow } from "./resume-flow.ts";
import { type OfferedProvider, waysOf } from "./ways.ts";

export interface StartLogin {
  readonly handler: Handler;
  /**
   * `link` adds the credential to the user of `linking`, and opens no session. `link_code` gives a code with which a
   * session of the client does that, see `linkByCode`. `step_up` proves the user of `linking` again, on their session.
   */
  readonly purpose: "session" | "code" | "link" | "link_code" | "step_up";
  /** The session that asks for a `link` or a `step_up`. */
  readonly linking?: { readonly userId: string; readonly sessionId: string } | undefined;
  /** The least assurance level that the flow ends with; 1 by default. */
  readonly level?: AssuranceLevel | undefined;
  readonly clientId: string | null;
  readonly clientName: string | null;
  readonly redirectUri: string | null;
  /** What continues the flow: the secret of its answer (the default), or `addressClaim` from the same address. */
  readonly claimedBy?: "secret" | "address" | undefined;
  readonly codeChallenge: string | null;
  /** What the client asks for beside; see `AuthorizationRequest`. */
  readonly scope?: string | null | undefined;
  readonly resource?: string | null | undefined;
  readonly nonce?: string | null | undefined;
  readonly acrValues?: string | undefined;
  readonly maxAge?: number | undefined;
  /** Of a pushed request. It counts instead of everything but the client id. */
  readonly requestUri?: string | null | undefined;
  /** Answers the first form at once, if it has this mechanism. */
  readonly initial?: { readonly mechanism: string; readonly response: string } | undefined;
  /** What an earlier `create_entry` of this device had. One that is not good is ignored. */
  readonly deviceToken?: string | undefined;
}

/** The socket that waits for a flow's answers. Compared by identity. */
export interface FlowHolder {
  /** The flow may have continued without it: call `next`. Must not throw. */
  flowContinued(): void;
}

/** What continues a flow. */
export interface FlowClaim {
  readonly flowId: string;
  readonly flowSecret: string;
}

export interface FlowAnswer {
  /** The flow object as it is sent. */
  readonly step: FlowStep;
  /**
   * The connection keeps it, shows it to the client once (on start and resume), and passes it to every further call.
   */
  readonly flowSecret: string;
  /** Rises with every step that is sent; see `next`. */
  readonly stepNumber: number;
  readonly purpose: StartLogin["purpose"];
  /** Time until the flow's deadline, ms. */
  readonly endsInMs: number;
  /** The user that the input was about, for the audit log. Not sent to the client. */
  readonly userId?: string;
  /** The second factor that the step has set up, for the audit log too. */
  readonly factorSetUp?: string | null;
  /** The provider has carried out what the login was for: a password was set by a reset code. For the audit log too. */
  readonly concluded?: true;
}

/**
 * The login-flow engine. Flows are records in the store, so any node can continue them, and each step is a
 * compare-and-set. The engine handles ids, validation against the form that was sent, attempts, deadline and MFA.
 */
export interface LoginFlows {
  /** Providers that can be used from this address. */
  providers(peer: Peer): readonly OfferedProvider[];
  /**
   * The ways in which a user can prove who they are again from this address: providers where they have a login, and that
   * prove something which only the person has or knows.
   */
  waysOf(userId: string, peer: Peer): Promise<readonly OfferedProvider[]>;
  /**
   * Checks client id and redirect URI before anybody types a password. `holder` waits for the flow's answers until
   * `detach`; without a holder nobody does. Throws `invalid_handler`, `onboarding_required`, and what `allowedStart`
   * does.
   */
  start(request: StartLogin, peer: Peer, holder?: FlowHolder): Promise<FlowAnswer>;
  /**
   * Every call counts as a failed attempt until it is known not to be one; five end the flow (abort
   * `too_many_retry`). After its deadline the flow ends with abort `login_expired`, for a client that calls within a
   * minute. An external step takes no input: if it is completed, the next step is the answer. Throws `not_supported`
   * if it is not completed, `invalid_flow` (unknown, finished, long expired or a wrong secret, all alike),
   * `invalid_format` (the input does not fit the form; the flow stays, no attempt is charged), `overloaded` (the KDF
   * queue is full; the same), `rate_limited` (no guess is left for the account or the address; the same), `conflict`
   * (two steps at once).
   */
  advance(
    request: {
      readonly flowId: string;
      readonly flowSecret: string;
      readonly input: Readonly<Record<string, unknown>>;
      /** If given, the client that began the flow. Throws `invalid_client` for another one. */
      readonly clientId?: string | undefined;
      /** The form is answered by its fields alone, and none of its mechanisms is taken. */
      readonly fieldsOnly?: true | undefined;
    },
    peer: Peer,
  ): Promise<FlowAnswer>;
  /**
   * Returns the flow's current step to another socket or node; abort `login_expired` as above. `holder` replaces the
   * flow's holder. Throws `invalid_flow`.
   */
  resume(
    request: { readonly flowId: string; readonly flowSecret: string },
    peer: Peer,
    holder?: FlowHolder,
  ): Promise<FlowAnswer>;
  /**
   * The step that came after `stepNumber` without the client's doing; undefined while there is none, and once another
   * socket has resumed the flow: what comes is for that one. Throws `invalid_flow`
   * when the flow was finished, or ended, elsewhere, and `conflict` when it is being finished there.
   */
  next(
    request: { readonly flowId: string; readonly flowSecret: string; readonly stepNumber: number },
    peer: Peer,
    holder: FlowHolder,
  ): Promise<FlowAnswer | undefined>;
  /**
   * Completes an `external` or `progress` step, on any node of the installation. For callers in this process that
   * have their own proof of what happened outside; `peer` is the caller's. The socket that waits for the flow gets
   * what follows, on whatever node it is; without one, whoever resumes the flow does. Of several calls for one step
   * one is carried out. Gives the kind of what follows. Throws `invalid_flow` (unknown, over, or it waits for
   * something else) and `conflict` (another call was first, or is at work).
   */
  completeExternalStep(request: ExternalCompletion, peer: Peer): Promise<ProviderStep["kind"]>;
  /**
   * Links what a flow with the purpose `link_code` has proved to the user who asks. Gives the id of the credential, also
   * of one that the user has already. See `redeemLinkCode` for what it throws.
   */
  linkByCode(request: RedeemLinkCode): Promise<string>;
  cancel(request: FlowClaim): Promise<AbortStep>;
  /**
   * The claim of whoever knows a flow's id, at the address that it was started from (IPv6: the /64), as Home Assistant's
   * HTTP clients have it. Fits only flows that were started with `claimedBy: "address"`.
   */
  addressClaim(flowId: string, peer: Peer): FlowClaim;
  /**
   * The holder's socket has closed. The flow can be resumed until its deadline, or until newer detached flows evict
   * it. Without effect if another holder has resumed it.
   */
  detach(flowId: string, holder: FlowHolder): void;
  /** No holder is called any more. */
  close(): void;
}

export interface LoginFlowLimits {
  /** Failed attempts that end a flow. */
  readonly attempts: number;
  /**
   * Limits of flows that no socket waits for, kept to be resumed: for one address (one IPv6 /64), and for this node.
   */
  readonly detachedPerAddress: number;
  readonly detachedPerNode: number;
  /** Life of a flow from its start, whatever happens in it, ms. */
  readonly lifeMs: number;
}

export const defaultLoginFlowLimits: LoginFlowLimits = {
  attempts: 5,
  detachedPerAddress: 64,
  detachedPerNode: 10_000,
  lifeMs: wireLimits.loginDeadlineMs,
};

export interface LoginFlowsOptions
  extends Omit<FinishTools, "onWaiting" | "onConcluded">,
    Pick<ChargingTools, "throttle" | "devices"> {
  readonly revocation: FinishTools["revocation"] & Pick<Revocation, "onSecurityEvent">;
  readonly credentials: FinishTools["credentials"] & Pick<Credentials, "list">;
  readonly events: EventBus;
  readonly onboardingRequired: () => Promise<boolean>;
  readonly limits?: Partial<LoginFlowLimits> | undefined;
}

/** The login-flow engine over a store that several nodes may share. */
export function createLoginFlows(given: LoginFlowsOptions): LoginFlows {
  const limits = { ...defaultLoginFlowLimits, ...given.limits };
  const open = new OpenFlows({ clock: given.clock, limits });
  const options = {
    ...given,
    onWaiting(flowId: string, userId: string) {
      open.awaitUser(flowId, userId);
      // The decision may have come before.
      open.holderOf(flowId)?.flowContinued();
    },
  };
  const stopWatchingUsers = given.revocation.onSecurityEvent((event) => {
    if (event.kind === "user" || event.kind === "user_changed")
      for (const holder of open.holdersAwaiting(event.userId)) holder.flowContinued();
    return 0;
  });
  let stopListening: (() => void) | undefined;
  const listen = () => {
    stopListening ??= listenForSteps(
      options.events,
      (flowId) => open.holderOf(flowId),
      () => open.holders(),
    );
  };
  const addressClaim = createAddressBoundClaims(given.sealing);
  const engine = { options, limits, open, listen, addressClaim };
  return {
    providers: (peer) =>
      options.registry.providers
        .filter((provider) => isOffered(provider, peer))
        .map(({ type, id, name }) => ({ type, id, name })),
    waysOf: (userId, peer) => waysOf(options, userId, peer),
    start: (request, peer, holder) => start(engine, request, peer, holder),
    advance: (request, peer) => advance(engine, request, peer),
    resume: (request, peer, holder) => resumeFlow(engine, request, peer, holder),
    next: (request, peer, holder) => nextStep(engine, request, peer, holder),
    completeExternalStep: (request, peer) => completeExternalStep(options, request, peer),
    linkByCode: (request) => redeemLinkCode(options, request),
    cancel: (request) => cancel(engine, request),
    addressClaim,
    detach: (flowId, holder) => open.detach(flowId, holder),
    close() {
      stopWatchingUsers();
      stopListening?.();
    },
  };
}

async function start(
  engine: Engine,
  request: StartLogin,
  peer: Peer,
  holder: FlowHolder | undefined,
): Promise<FlowAnswer> {
  const { options, open } = engine;
  const provider = options.registry.find(...request.handler);
  if (provider === undefined) throw new AuthError("invalid_handler");
  const allowed = await allowedStart(options, request);
  const id = newId();
  const { flowSecret } =
    request.claimedBy === "address" ? engine.addressClaim(id, peer) : { flowSecret: newFlowSecret() };
  const flow = newFlow(engine, request, allowed, { id, secret: flowSecret });
  if (await options.onboardingRequired()) throw new AuthError("onboarding_required");
  const share = addressShare(peer.address);
  await endEvicted(options.store, open.makeRoom(share));
  const turn = { at: { flow, version: 0 }, attemptsIfRight: flow.attemptsLeft, isTaken: false };
  // The holder is registered before the flow can be continued, so it is called for everything that follows.
  open.hold(flow.id, share, engine.limits.lifeMs, holder);
  if (holder !== undefined) engine.listen();
  try {
    const context = { flowId: flow.id, peer, known: false };
    const begun = isOffered(provider, peer) ? await firstStep(provider, request, context) : notOffered;
    return answer(engine, { flow, flowSecret }, await settle(options, turn, begun, peer), 1);
  } catch (error) {
    open.remove(flow.id);
    throw error;
  }
}

/** Another node may have resumed one of them: that one goes on there. */
async function endEvicted(store: Store, evicted: readonly EvictedFlow[]): Promise<void> {
  if (evicted.length === 0) return;
  const holds = await readHolds(
    store,
    evicted.map(({ flowId }) => flowId),
  );
  const ended = evicted.filter(({ hold }, place) => holds[place]?.hold === hold);
  if (ended.length > 0) await store.commit({ remove: ended.map(({ flowId }) => recordKeys.flow(flowId)) });
}

const notOffered: ProviderStep = { kind: "abort", reason: "not_allowed" };

async function advance(
  engine: Engine,
  { flowId, flowSecret, input, clientId, fieldsOnly }: Parameters<LoginFlows["advance"]>[0],
  peer: Peer,
): Promise<FlowAnswer> {
  const { options } = engine;
  const at = await requireFlow(engine, { flowId, flowSecret });
  if (clientId !== undefined && clientId !== at.flow.clientId) throw new AuthError("invalid_client");
  const about = { flow: at.flow, flowSecret };
  const over = await endIfExpired(engine, at);
  if (over !== undefined) return answer(engine, about, over);
  const { step: sent } = at.flow;
  if (sent.kind !== "form") {
    if (at.flow.outcome === null && !(await isDecided(options, at.flow))) throw takesNoInput();
    return await conclude(engine, at, flowSecret, peer);
  }
  const provider = options.registry.find(...at.flow.handler);
  if (provider === undefined)
    throw new AuthError("invalid_flow", { detail: "its provider is not configured any more" });
  const values = fieldsOnly === true ? readFormInput(sent.fields, input) : readAnswer(sent, input);
  const { factor } = at.flow;
  const told: { concluded?: true } = {};
  const onConcluded = () => {
    told.concluded = true;
  };
  if (factor != null) {
    const { step, ...setUp } = isOffered(provider, peer)
      ? await advanceFactor({ ...options, onConcluded }, at, factor, values, peer)
      : { step: await endFlow(options, at, "not_allowed") };
    return { ...answer(engine, about, step, 1), ...setUp, ...told, userId: factor.userId };
  }
  const atOnce = provider.isJudgedAtOnce?.(sent.stepId, values) === true;
  const guess = await chargeStep(options, { provider, atOnce }, at.flow, values, peer);
  const { turn, step } = await runCharged(guess, async () => {
    const turn = atOnce ? shareTurn(options, at) : await takeTurn(options, at);
    const { purpose } = at.flow;
    const mayReset = purpose === "session" || purpose === "code";
    const context = { flowId, peer, known: guess?.known ?? false, device: guess?.deviceId, mayReset };
    const step = isOffered(provider, peer)
      ? await askProvider(options, provider, turn, values, context)
      : notOffered;
    return { turn, step };
  });
  // A step-up gives nothing but what it is for.
  const secretVersion = step.kind === "done" ? step.secretVersion : undefined;
  const deviceToken =
    guess && at.flow.purpose !== "step_up"
      ? () => issueDeviceToken(options, at.flow, guess, secretVersion)
      : undefined;
  const settled = await settle({ ...options, onConcluded }, turn, step, peer, deviceToken).catch(
    (error: unknown) => {
      // Another call has continued the flow. The guess was judged all the same, and is recorded as one at this account.
      if (!(error instanceof AuthError) || error.code !== "conflict" || !atOnce) throw error;
      throw new AuthError("conflict", { cause: error, userId: async () => step.userId });
    },
  );
  const following = answer(engine, about, withDeviceToken(settled, deviceToken), 1);
  return step.userId === undefined ? following : { ...following, ...told, userId: step.userId };
}

function takesNoInput(): AuthError {
  const publicMessage = "This step takes no input. The next step comes as an event";
  return new AuthError("not_supported", { publicMessage });
}

async function cancel(engine: Engine, claim: FlowClaim): Promise<AbortStep> {
  return await retryConflicts(async () => {
    const at = await requireFlow(engine, claim);
    const outcome = await engine.options.store.commit(endFlowStep(at));
    if (!outcome.ok) return undefined;
    engine.open.remove(at.flow.id);
    // The socket that holds it may be another one, on another node.
    announceStep(engine.options.events, at.flow.id);
    return abortStep(at.flow, "cancelled");
  });
}
