import { randomBytes } from "node:crypto";
import { limits } from "../../protocol/features.ts";
import type { FlowStep, Handler, StepUpGrant } from "../../protocol/flow.ts";
import type { ServerMessage } from "../../protocol/frames.ts";
import type { Authentication } from "../auth/authentication.ts";
import type { Clock } from "../auth/clock/clock.ts";
import { AuthError } from "../auth/errors.ts";
import { abortStep } from "../auth/login/flow-steps.ts";
import type { LoginFlows } from "../auth/login/login-flows.ts";
import type { OfferedProvider } from "../auth/login/ways.ts";
import type { AssuranceLevel, Peer, Principal } from "../auth/model.ts";
import { acrOf, type StepUpDemand, StepUpRequired } from "../auth/sessions/recent-login.ts";
import type { Sessions } from "../auth/sessions/sessions.ts";
import type { ConnectionLog, ConnectionObserver } from "./observer.ts";
import { SessionFlow, type SessionFlowHost } from "./session-flow.ts";
import { Timer, type TimerOwner, type TimerWheel } from "./timer-wheel.ts";

/** A command that needs a step-up. One of `run` and `refuse` is called, once, unless the socket closes before. */
export interface WaitingCommand {
  readonly id: number;
  readonly type: string;
  /** Of the whole message, encoded. */
  readonly bytes: number;
  readonly demand: StepUpDemand;
  /** Runs it from its beginning, as if it had just arrived. */
  run(): void;
  refuse(error: AuthError): void;
}

export interface StepUpParts {
  readonly logins: Pick<LoginFlows, "waysOf" | "start" | "advance" | "cancel" | "next">;
  readonly sessions: Pick<Sessions, "issueAccessToken">;
  readonly authentication: Pick<Authentication, "authenticateMinted">;
  readonly clock: Clock;
  readonly wheel: Pick<TimerWheel, "set" | "cancel">;
  readonly log: ConnectionLog;
  readonly observer: Pick<ConnectionObserver, "stepUp">;
}

/** The socket's session. */
export interface StepUpHost extends SessionFlowHost {
  readonly principal: Principal;
  renew(principal: Principal): void;
}

/** The one step-up of a socket. */
interface OpenStepUp {
  readonly flowId: string;
  readonly ways: Promise<readonly OfferedProvider[]>;
  /** Monotonic ms. */
  readonly endsAt: number;
  flow: SessionFlow | undefined;
}

const noSecondFactor = "This needs a second factor. Set one up first";

/** Why waiting commands are refused, for the audit log. */
type Failure = "aborted" | "cancelled" | "too_late" | "suspended";

/**
 * The commands of one socket that wait until its person has logged in again, and that login. All of them wait for the same
 * one. It belongs to the socket: no other one can go on with it. The session is raised for all of its sockets, on all
 * nodes. Whatever it ends with, the commands are told: they run, once each and in their order, or are refused.
 */
export class StepUp implements TimerOwner {
  readonly #parts: StepUpParts;
  readonly #host: StepUpHost;
  #waiting: WaitingCommand[] = [];
  #open: OpenStepUp | undefined;
  readonly #timer = new Timer(this);

  constructor(parts: StepUpParts, host: StepUpHost) {
    this.#parts = parts;
    this.#host = host;
  }

  /** Called by the timer wheel. */
  due(): void {
    this.#drop("too_late");
  }

  /** From now on the command waits, or is refused. */
  hold(command: WaitingCommand): void {
    const bytes = this.#waiting.reduce((sum, each) => sum + each.bytes, command.bytes);
    if (this.#waiting.length >= limits.stepUpCommands || bytes > limits.stepUpBytes) {
      const publicMessage = "Too many commands wait for a login";
      command.refuse(new AuthError("overloaded", { publicMessage }));
      return;
    }
    this.#waiting.push(command);
    this.#open ??= this.#begin();
    void this.#announce(this.#open, command);
  }

  /** A login at one of the providers; it replaces one that has begun. Throws `invalid_flow`, `invalid_handler`, and what a login does. */
  async start(startId: number, flowId: string, handler: Handler): Promise<FlowStep> {
    const open = this.#require(flowId);
    const ways = await open.ways;
    if (!ways.some(({ type, id }) => type === handler[0] && id === handler[1]))
      throw new AuthError("invalid_handler");
    const { logins } = this.#parts;
    const { principal, peer } = this.#host;
    const flow = new SessionFlow(logins, this.#host, startId, {
      shown: (step) => this.#shown(flowId, step),
      sent: (step) => this.#sent(open, flow, step),
    });
    const answer = await logins.start(
      {
        handler,
        purpose: "step_up",
        linking: { userId: principal.userId, sessionId: principal.sessionId },
        level: this.#level(),
        clientId: null,
        clientName: null,
        redirectUri: null,
        codeChallenge: null,
      },
      peer,
      flow,
    );
    const step = await flow.begin(answer);
    // Starts that were sent at once come here in any order. The last one that was sent stays.
    const isOver = this.#open !== open;
    const isReplaced = open.flow !== undefined && open.flow.startId > startId;
    const ends = isOver || isReplaced ? flow : open.flow;
    if (ends !== flow) open.flow = flow;
    await ends?.cancel().catch(() => undefined);
    if (isOver) throw new AuthError("invalid_flow");
    return step;
  }

  /** Throws `invalid_flow` unless it is the login of this socket. */
  async submit(flowId: string, input: Readonly<Record<string, unknown>>): Promise<FlowStep> {
    const { flow } = this.#require(flowId);
    if (flow === undefined) throw new AuthError("invalid_flow");
    return await flow.submit(input);
  }

  /** A step was sent as the answer to a command. */
  sent(step: FlowStep): void {
    const open = this.#open;
    if (open?.flow !== undefined && open.flowId === step.flow_id) this.#sent(open, open.flow, step);
  }

  /** The person does not log in. Throws `invalid_flow`. */
  cancel(flowId: string): void {
    this.#require(flowId);
    this.#drop("cancelled");
  }

  /** The node may not carry anything out, and does not know for how long. */
  suspended(): void {
    this.#drop("suspended");
  }

  /** The socket is gone: nobody is told. Its flow is cancelled as the session's other resources are. */
  close(): void {
    this.#end();
  }

  #require(flowId: string): OpenStepUp {
    if (this.#open?.flowId !== flowId) throw new AuthError("invalid_flow");
    return this.#open;
  }

  #begin(): OpenStepUp {
    const { principal, peer } = this.#host;
    this.#parts.wheel.set(this.#timer, limits.stepUpMs);
    return {
      flowId: randomBytes(16).toString("hex"),
      ways: this.#parts.logins.waysOf(principal.userId, peer),
      endsAt: this.#parts.clock.monotonic() + limits.stepUpMs,
      flow: undefined,
    };
  }

  async #announce(open: OpenStepUp, command: WaitingCommand): Promise<void> {
    const { id, demand, type } = command;
    try {
      const providers = await open.ways;
      if (!this.#waiting.includes(command)) return;
      if (providers.length === 0) throw new StepUpRequired(demand, false);
      const acr = acrOf(demand.level);
      this.#host.send({
        id,
        type: "step_up_required",
        acr,
        max_age: Math.floor(demand.maxAgeMs / 1000),
        flow_id: open.flowId,
        providers: providers.map(({ name, type, id }) => ({ name, type, id })),
        expires_in: Math.max(0, Math.ceil((open.endsAt - this.#parts.clock.monotonic()) / 1000)),
      } satisfies ServerMessage);
      this.#parts.observer.stepUp("required", this.#host, { acr, command: type });
    } catch (error) {
      this.#waiting = this.#waiting.filter((each) => each !== command);
      if (this.#waiting.length === 0) this.#end();
      command.refuse(error instanceof AuthError ? error : new AuthError("unavailable", { cause: error }));
    }
  }

  /** A login that began for less goes on for less: a command that needs more asks again when it runs. */
  #level(): AssuranceLevel {
    return this.#waiting.some(({ demand }) => demand.level === 2) ? 2 : 1;
  }

  /** The step as the client gets it. */
  async #shown(flowId: string, step: FlowStep): Promise<FlowStep> {
    if (step.type !== "create_entry") return { ...step, flow_id: flowId };
    try {
      return { ...step, flow_id: flowId, token: await this.#newToken() };
    } catch (error) {
      // The session is raised all the same: the command can be sent again.
      this.#parts.log.warn({ err: error }, "a step-up gave no access token");
      return abortStep({ id: flowId, handler: step.handler }, "unknown_error");
    }
  }

  /** Goes the way of every token: what was revoked meanwhile is refused. */
  async #newToken(): Promise<StepUpGrant> {
    const { sessionId, scope } = this.#host.principal;
    const { peer } = this.#host;
    const grant = await this.#parts.sessions.issueAccessToken(sessionId, { scope, resource: null, peer });
    const verdict = grant && (await this.#parts.authentication.authenticateMinted(grant.principal, peer));
    if (grant === undefined || verdict?.ok !== true) throw new AuthError("unauthorized");
    this.#host.renew(verdict.principal);
    const { tokenExpiresAt, tokenIssuedAt } = verdict.principal;
    const expires_in = Math.floor((tokenExpiresAt - tokenIssuedAt) / 1000);
    return { access_token: grant.accessToken, token_type: "Bearer", expires_in };
  }

  #sent(open: OpenStepUp, flow: SessionFlow, step: FlowStep): void {
    if (this.#open !== open || open.flow !== flow) return;
    if (step.type === "abort")
      this.#drop("aborted", step.reason === "second_factor_required" ? noSecondFactor : undefined);
    if (step.type !== "create_entry") return;
    const waiting = this.#end();
    this.#parts.observer.stepUp("done", this.#host, {});
    for (const command of waiting) if (this.#host.live) command.run();
  }

  #drop(reason: Failure, publicMessage?: string): void {
    if (this.#open === undefined) return;
    const { flow } = this.#open;
    const waiting = this.#end();
    this.#parts.observer.stepUp("failed", this.#host, { reason });
    for (const command of waiting) command.refuse(new AuthError("step_up_failed", { publicMessage }));
    void flow?.cancel().catch(() => undefined);
  }

  #end(): readonly WaitingCommand[] {
    this.#parts.wheel.cancel(this.#timer);
    const waiting = this.#waiting;
    this.#open = undefined;
    this.#waiting = [];
    return waiting;
  }
}

/** What an observer learns of a step-up. */
export interface StepUpAbout {
  readonly acr?: string;
  /** The type of the command that waits. */
  readonly command?: string;
  readonly reason?: Failure;
}

export type StepUpTeller = { readonly principal: Principal; readonly peer: Peer };
