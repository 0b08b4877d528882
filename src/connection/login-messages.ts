import type { Params } from "../../protocol/commands/index.ts";
import { loginCommands } from "../../protocol/commands/login.ts";
import type { ErrorName } from "../../protocol/errors.ts";
import type { Handler, SessionGrant } from "../../protocol/flow.ts";
import type { ServerMessage } from "../../protocol/frames.ts";
import { isRegisteredId } from "../auth/clients/client-id.ts";
import type { RegisteredClients } from "../auth/clients/registered-clients.ts";
import { AuthError } from "../auth/errors.ts";
import { abortStep } from "../auth/login/flow-steps.ts";
import type { FlowAnswer, FlowHolder, LoginFlows } from "../auth/login/login-flows.ts";
import type { Peer } from "../auth/model.ts";
import type { Revocation } from "../auth/revocation/revocation.ts";
import type { LoopTurns } from "../auth/scheduling/loop-turns.ts";
import type { Sessions } from "../auth/sessions/sessions.ts";
import { refreshGrantOf, sessionGrantOf } from "../auth/sessions/token-grant.ts";
import type { Onboarding } from "../auth/users/onboarding.ts";
import type { LoopBudget } from "../net/loop-budget.ts";
import { DeviceWait, type DeviceWaitParts } from "./device-wait.ts";
import { bodyOfFailure, codeOfFailure, errorBody, stoppingBody } from "./error-body.ts";
import { requestOf } from "./login-request.ts";
import { FlowPollTimer, type LookTimerParts } from "./look-timer.ts";
import { answerIdOf, idProblem, isId } from "./message-id.ts";
import type { ConnectionLog, ConnectionObserver } from "./observer.ts";
import type { State } from "./state-machine.ts";
import { compileValidator, type Validator } from "./validator.ts";

export interface LoginParts extends LookTimerParts, Pick<DeviceWaitParts, "devices"> {
  readonly logins: LoginFlows;
  readonly sessions: Pick<Sessions, "refresh" | "get">;
  readonly clients: Pick<RegisteredClients, "find">;
  readonly onboarding: Pick<Onboarding, "required" | "createOwnerWithSession">;
  readonly revocation: Pick<Revocation, "revoke">;
  readonly log: ConnectionLog;
  readonly observer: ConnectionObserver;
  readonly stopping: () => boolean;
  readonly loopBudget: LoopBudget;
  /** Of the login messages of all sockets, so that many logins at once delay the messages of authenticated sockets little. */
  readonly loginTurns: LoopTurns;
}

export interface LoginHost {
  readonly state: State;
  readonly peer: Peer;
  /** The address's key for limits that unauthenticated sockets share (see `addressShare`). */
  readonly addressKey: string;
  reply(message: ServerMessage): void;
  allowLogin(): void;
}

/** The phase of the socket that the messages belong to. */
export interface LoginPhase {
  /** The deadline of logins on this socket, monotonic ms. */
  readonly loginEndsAt: number;
  /** A login gave this socket an access token. */
  granted(accessToken: string): void;
}

/** Event-loop time that a login message takes on average after it was read, ms. Hashing runs in other threads. */
const carriedOutMs = 0.2;

type LoginType = keyof typeof loginCommands;
type Handlers = { readonly [T in LoginType]: (message: Params<T>) => Promise<LoginOutcome> };

/** An answer, and the access token that it authenticates this socket with. */
export interface LoginOutcome {
  readonly result: unknown;
  readonly granted?: { readonly accessToken: string; readonly newSession?: string };
}

/** The open flow. */
interface OpenFlow {
  readonly id: string;
  readonly secret: string;
  readonly handler: Handler;
  /** The id of the `start` or `resume`: pushed steps are events on it. */
  readonly requestId: number;
  readonly stepNumber: number;
  /** Monotonic ms. */
  readonly endsAt: number;
}

const shapes = new Map<string, Validator>(
  Object.entries(loginCommands).map(([type, contract]) => [type, compileValidator(contract.params)]),
);

/**
 * The login messages of one socket. They are checked as they come and handled one after another, so that a second
 * start finds the flow of the first. At most one flow is open. Its secret stays here. If its step waits for something
 * outside, the next step is sent as an event. The event bus says when. A message of the bus may be lost, so the
 * flow's record is also read before the flow ends.
 */
export class LoginMessages implements FlowHolder {
  readonly #parts: LoginParts;
  readonly #host: LoginHost;
  readonly #phase: LoginPhase;
  readonly #handlers: Handlers;
  #lastId = 0;
  #flow: OpenFlow | undefined;
  readonly #pollTimer: FlowPollTimer;
  readonly #device: DeviceWait;
  /** A read of the flow's record is queued. */
  #readQueued = false;
  #tail: Promise<void> = Promise.resolve();
  #isGone = false;
  #pending = 0;

  constructor(parts: LoginParts, host: LoginHost, phase: LoginPhase) {
    this.#parts = parts;
    this.#host = host;
    this.#phase = phase;
    this.#pollTimer = new FlowPollTimer(parts, () => this.flowContinued());
    this.#device = new DeviceWait(
      parts,
      host,
      (look) => this.#queue(look),
      (outcome, message) => this.#hand(outcome, message),
    );
    this.#handlers = {
      "auth/providers": () => this.#providers(),
      "auth/login/start": (message) => this.#start(message),
      "auth/login/step": (message) => this.#step(message),
      "auth/login/cancel": (message) => this.#cancel(message),
      "auth/login/resume": (message) => this.#resume(message),
      "auth/login/refresh": (message) => this.#refresh(message),
      "auth/device/start": (message) => this.#device.start(message),
      "auth/device/wait": (message) => this.#device.wait(message),
      "auth/onboarding/create_owner": (message) => this.#createOwner(message),
    };
  }

  /** The answers to some messages are still to come. */
  get busy(): boolean {
    return this.#pending > 0;
  }

  get lastId(): number {
    return this.#lastId;
  }

  /** `message.type` is a login message. Nothing else was checked. */
  take(message: { readonly type: string; readonly id?: unknown }): void {
    const { id, type } = message;
    const problem = idProblem(id, this.#lastId);
    if (problem === undefined && isId(id)) this.#lastId = id;
    const retryAfter = this.#parts.loopBudget.refusal(this.#host.addressKey, "message");
    if (retryAfter !== undefined) {
      // Only an id that is one: any other may take long to encode.
      const answerId = isId(id) ? id : 0;
      this.#fail(answerId, type, { ...errorBody("rate_limited"), retry_after: retryAfter });
      return;
    }
    if (problem !== undefined || !isId(id)) {
      this.#fail(answerIdOf(message), type, problem ?? errorBody("invalid_format"));
      return;
    }
    const validator = shapes.get(type)?.(message);
    if (validator !== undefined) this.#fail(id, type, errorBody("invalid_format", validator));
    else if (this.#parts.stopping()) this.#fail(id, type, stoppingBody());
    else {
      this.#parts.loopBudget.charge(this.#host.addressKey, carriedOutMs);
      this.#queue(() => this.#run(id, type as LoginType, message));
    }
  }

  flowContinued(): void {
    // Queued also while a start is handled, whose flow may go on before it is answered.
    if (this.#readQueued) return;
    this.#readQueued = true;
    this.#queue(() => this.#readFlow());
  }

  /** The socket was authenticated. Nobody will finish a flow that is still open. */
  leave(): void {
    this.#pollTimer.stop();
    this.#device.gone();
    this.#tail = this.#tail.then(() => this.#tryToAbandonFlow());
  }

  /** The socket is gone. A flow that is still open waits to be resumed. */
  gone(): void {
    this.#isGone = true;
    this.#pollTimer.stop();
    this.#device.gone();
    if (this.#flow !== undefined) this.#parts.logins.detach(this.#flow.id, this);
  }

  #queue(work: () => Promise<void>): void {
    this.#pending += 1;
    this.#tail = this.#tail
      .then(() => this.#parts.loginTurns.next())
      .then(work)
      .finally(() => {
        this.#pending -= 1;
      });
  }

  async #run(id: number, type: LoginType, message: object): Promise<void> {
    try {
      const handler = this.#handlers[type] as (message: object) => Promise<LoginOutcome>;
      const outcome = await handler(message);
      await this.#hand(outcome, { id, type: "result", success: true, result: outcome.result });
      this.#parts.observer.answered(type, "ok");
    } catch (error) {
      this.#parts.observer.answered(type, codeOfFailure(error));
      const body = bodyOfFailure(error, type, this.#parts.log);
      this.#host.reply({ id, type: "result", success: false, error: body });
    }
  }

  /** Sends the message. Authenticates the socket if the outcome has an access token. */
  async #hand(
    { granted }: LoginOutcome,
    message: Extract<ServerMessage, { readonly type: "result" | "event" }>,
  ): Promise<void> {
    if (!isLive(this.#host.state)) {
      this.gone();
      await this.#undelivered(granted?.newSession);
      return;
    }
    // A token of another login has authenticated the socket meanwhile, or is being checked: these tokens would be lost on it.
    if (granted !== undefined && this.#host.state !== "open") {
      await this.#undelivered(granted.newSession);
      const { id, type } = message;
      if (type === "result") this.#host.reply({ id, type, success: false, error: errorBody("conflict") });
      return;
    }
    this.#host.reply(message);
    if (granted !== undefined) this.#phase.granted(granted.accessToken);
  }

  /** Reads the flow's record, and sends its step if something outside completed the one before. */
  async #readFlow(): Promise<void> {
    this.#readQueued = false;
    const flow = this.#flow;
    if (flow === undefined || !isLive(this.#host.state) || this.#host.state === "ready") return;
    const { id: flowId, secret: flowSecret, stepNumber, requestId } = flow;
    try {
      const answer = await this.#parts.logins.next({ flowId, flowSecret, stepNumber }, this.#host.peer, this);
      if (answer === undefined) this.#pollTimer.beforeEnd(flow.endsAt, this.#phase.loginEndsAt);
      else await this.#push(requestId, this.#entered(answer, requestId, false));
    } catch (error) {
      if (error instanceof AuthError && error.code === "invalid_flow") await this.#endedElsewhere(flow);
      else {
        if (!(error instanceof AuthError)) this.#parts.log.error({ err: error }, "login flow was not read");
        this.#pollTimer.again();
      }
    }
  }

  async #endedElsewhere({ id, handler, requestId }: OpenFlow): Promise<void> {
    this.#flow = undefined;
    this.#pollTimer.stop();
    await this.#push(requestId, { result: abortStep({ id, handler }, "ended_elsewhere") });
  }

  async #push(id: number, outcome: LoginOutcome): Promise<void> {
    await this.#hand(outcome, { id, type: "event", event: outcome.result });
  }

  #fail(id: unknown, type: string, error: ReturnType<typeof errorBody>): void {
    this.#parts.observer.answered(type, error.code as ErrorName);
    this.#host.reply({ id, type: "result", success: false, error });
  }

  async #providers(): Promise<LoginOutcome> {
    const onboarding_required = await this.#parts.onboarding.required();
    const providers = this.#parts.logins
      .providers(this.#host.peer)
      .map(({ name, type, id }) => ({ name, type, id }));
    return { result: { providers, onboarding_required } };
  }

  /** The open flow stays until there is a new one: a start that is refused costs nothing. */
  async #start(message: Params<"auth/login/start">): Promise<LoginOutcome> {
    const answer = await this.#parts.logins.start(requestOf(message), this.#host.peer, this);
    await this.#tryToAbandonFlow();
    this.#host.allowLogin();
    return this.#entered(answer, message.id, true);
  }

  async #step(message: Params<"auth/login/step">): Promise<LoginOutcome> {
    const flow = this.#own(message.flow_id);
    const answer = await this.#parts.logins.advance(
      { flowId: flow.id, flowSecret: flow.secret, input: message.user_input },
      { ...this.#host.peer, isGone: () => this.#isGone },
    );
    return this.#entered(answer, flow.requestId, false);
  }

  async #cancel(message: Params<"auth/login/cancel">): Promise<LoginOutcome> {
    const flow = this.#own(message.flow_id);
    this.#flow = undefined;
    this.#pollTimer.stop();
    return { result: await this.#parts.logins.cancel({ flowId: flow.id, flowSecret: flow.secret }) };
  }

  async #resume(message: Params<"auth/login/resume">): Promise<LoginOutcome> {
    const request = { flowId: message.flow_id, flowSecret: message.flow_secret };
    const answer = await this.#parts.logins.resume(request, this.#host.peer, this);
    if (this.#flow?.id !== message.flow_id) await this.#tryToAbandonFlow();
    this.#host.allowLogin();
    return this.#entered(answer, message.id, true);
  }

  async #refresh(message: Params<"auth/login/refresh">): Promise<LoginOutcome> {
    await this.#refuseConfidential(message.client_id);
    const grant = await this.#parts.sessions.refresh({
      refreshToken: message.refresh_token,
      clientId: message.client_id ?? null,
      peer: this.#host.peer,
    });
    return { result: refreshGrantOf(grant), granted: { accessToken: grant.accessToken } };
  }

  /** Nothing authenticates a client here, so whoever got hold of its refresh token could use it. */
  async #refuseConfidential(clientId: string | undefined): Promise<void> {
    if (clientId === undefined || !isRegisteredId(clientId)) return;
    const client = await this.#parts.clients.find(clientId);
    if (client?.authMethod !== "none") throw new AuthError("invalid_client");
  }

  async #createOwner(message: Params<"auth/onboarding/create_owner">): Promise<LoginOutcome> {
    const { user, grant } = await this.#parts.onboarding.createOwnerWithSession({
      setupCode: message.setup_code,
      name: message.name,
      username: message.username,
      password: message.password,
      clientId: message.client_id ?? null,
      peer: this.#host.peer,
    });
    return {
      result: { user_id: user.id, session: sessionGrantOf(grant) },
      granted: { accessToken: grant.accessToken, newSession: grant.session.id },
    };
  }

  /** The open flow, if it has this id. The id of another socket's flow is answered like an unknown one. */
  #own(flowId: string): OpenFlow {
    if (this.#flow?.id !== flowId) throw new AuthError("invalid_flow");
    return this.#flow;
  }

  /** Remembers a flow that goes on, and forgets one that ended. */
  #entered(answer: FlowAnswer, requestId: number, showSecret: boolean): LoginOutcome {
    const { step, flowSecret: secret, stepNumber } = answer;
    this.#pollTimer.stop();
    if (step.type === "abort" || step.type === "create_entry") {
      this.#flow = undefined;
      const grant = step.type === "create_entry" ? step.result : "";
      if (typeof grant === "string") return { result: step };
      return { result: step, granted: grantOf(grant) };
    }
    const endsAt = this.#parts.clock.monotonic() + answer.endsInMs;
    this.#flow = { id: step.flow_id, secret, handler: step.handler, requestId, stepNumber, endsAt };
    if (step.type !== "form") this.#pollTimer.beforeEnd(endsAt, this.#phase.loginEndsAt);
    return { result: showSecret ? { ...step, flow_secret: secret } : step };
  }

  /** A new start or resume cancels the open flow. It does not matter if that one is gone already. */
  async #tryToAbandonFlow(): Promise<void> {
    const flow = this.#flow;
    this.#flow = undefined;
    this.#pollTimer.stop();
    if (flow === undefined) return;
    try {
      await this.#parts.logins.cancel({ flowId: flow.id, flowSecret: flow.secret });
    } catch (error) {
      if (error instanceof AuthError && error.code === "invalid_flow") return;
      this.#parts.logins.detach(flow.id, this);
      this.#parts.log.warn({ err: error }, "open login flow was kept");
    }
  }

  /** The socket closed before it got its session. Nobody has the tokens, so the session is ended. */
  async #undelivered(sessionId: string | undefined): Promise<void> {
    if (sessionId === undefined) return;
    try {
      const session = await this.#parts.sessions.get(sessionId);
      if (session === undefined) return;
      await this.#parts.revocation.revoke(
        { kind: "sessions", userId: session.userId, sessionIds: [sessionId] },
        "session_revoked",
      );
    } catch (error) {
      this.#parts.log.warn({ err: error, session_id: sessionId }, "undelivered session was kept");
    }
  }
}

function grantOf(grant: SessionGrant): NonNullable<LoginOutcome["granted"]> {
  return { accessToken: grant.access_token, newSession: grant.session_id };
}

function isLive(state: State): boolean {
  return state !== "closing" && state !== "closed";
}
