import type { Params } from "../../protocol/commands/index.ts";
import { loginCommands } from "../../protocol/commands/login.ts";
import type { ErrorName } from "../../protocol/errors.ts";
import type { FlowStep, SessionGrant } from "../../protocol/flow.ts";
import type { ServerMessage } from "../../protocol/frames.ts";
import { AuthError } from "../auth/errors.ts";
import type { LoginFlows } from "../auth/login/login-flows.ts";
import type { Peer } from "../auth/model.ts";
import type { Revocation } from "../auth/revocation/revocation.ts";
import type { Sessions } from "../auth/sessions/sessions.ts";
import { refreshGrantOf, sessionGrantOf } from "../auth/sessions/token-grant.ts";
import type { Onboarding } from "../auth/users/onboarding.ts";
import type { LoopBudget } from "../net/loop-budget.ts";
import { bodyOfFailure, codeOfFailure, errorBody, stoppingBody } from "./error-body.ts";
import { idProblem, isId } from "./message-id.ts";
import type { ConnectionLog, ConnectionObserver } from "./observer.ts";
import type { State } from "./state-machine.ts";
import { compileValidator, type Validator } from "./validator.ts";

export interface LoginParts {
  readonly logins: LoginFlows;
  readonly sessions: Pick<Sessions, "refresh" | "get">;
  readonly onboarding: Pick<Onboarding, "required" | "createOwnerWithSession">;
  readonly revocation: Pick<Revocation, "revoke">;
  readonly log: ConnectionLog;
  readonly observer: ConnectionObserver;
  readonly stopping: () => boolean;
  readonly loopBudget: LoopBudget;
}

export interface LoginHost {
  readonly state: State;
  readonly peer: Peer;
  /** Whose share of what strangers may take the socket has. */
  readonly addressKey: string;
  reply(message: ServerMessage): void;
  allowLogin(): void;
}

/** Milliseconds of the loop that a login message takes after it was read, on average; hashing is not done on the loop. */
const carriedOutMs = 0.2;

type LoginType = keyof typeof loginCommands;
type Handlers = { readonly [T in LoginType]: (message: Params<T>) => Promise<Outcome> };

/** An answer, and the access token that it authenticates this socket with. */
interface Outcome {
  readonly result: unknown;
  readonly granted?: { readonly accessToken: string; readonly newSession?: string };
}

const shapes = new Map<string, Validator>(
  Object.entries(loginCommands).map(([type, contract]) => [type, compileValidator(contract.params)]),
);

/**
 * The login messages of one socket: checked as they come, then done one after another, so that a second start finds the
 * flow of the first. At most one flow is open; the flow's secret stays here.
 */
export class LoginMessages {
  readonly #parts: LoginParts;
  readonly #host: LoginHost;
  readonly #onToken: (accessToken: string) => void;
  readonly #handlers: Handlers;
  #lastId = 0;
  #flow: { readonly id: string; readonly secret: string } | undefined;
  #tail: Promise<void> = Promise.resolve();
  #pending = 0;

  constructor(parts: LoginParts, host: LoginHost, onToken: (accessToken: string) => void) {
    this.#parts = parts;
    this.#host = host;
    this.#onToken = onToken;
    this.#handlers = {
      "auth/providers": () => this.#providers(),
      "auth/login/start": (message) => this.#start(message),
      "auth/login/step": (message) => this.#step(message),
      "auth/login/cancel": (message) => this.#cancel(message),
      "auth/login/resume": (message) => this.#resume(message),
      "auth/login/refresh": (message) => this.#refresh(message),
      "auth/onboarding/create_owner": (message) => this.#createOwner(message),
    };
  }

  /** Messages are at work, or wait for those, whose answers are owed. */
  get busy(): boolean {
    return this.#pending > 0;
  }

  get lastId(): number {
    return this.#lastId;
  }

  /** `message.type` is a login message's; nothing else was checked. */
  take(message: { readonly type: string; readonly id?: unknown }): void {
    const { id, type } = message;
    const problem = idProblem(id, this.#lastId);
    if (problem !== undefined || !isId(id)) {
      this.#fail(id ?? 0, type, problem ?? errorBody("invalid_format"));
      return;
    }
    this.#lastId = id;
    const retryAfter = this.#parts.loopBudget.refusal(this.#host.addressKey, "message");
    const validator = retryAfter === undefined ? shapes.get(type)?.(message) : undefined;
    if (retryAfter !== undefined)
      this.#fail(id, type, { ...errorBody("rate_limited"), retry_after: retryAfter });
    else if (validator !== undefined) this.#fail(id, type, errorBody("invalid_format", validator));
    else if (this.#parts.stopping()) this.#fail(id, type, stoppingBody());
    else {
      this.#parts.loopBudget.charge(this.#host.addressKey, carriedOutMs);
      this.#pending += 1;
      this.#tail = this.#tail
        .then(() => this.#run(id, type as LoginType, message))
        .finally(() => {
          this.#pending -= 1;
        });
    }
  }

  /** The socket was authenticated: a flow that is still open has nobody to finish it. */
  leave(): void {
    this.#tail = this.#tail.then(() => this.#tryToAbandonFlow());
  }

  /** The socket is gone: a flow that is still open waits to be resumed. */
  gone(): void {
    if (this.#flow !== undefined) this.#parts.logins.left(this.#flow.id, this);
  }

  async #run(id: number, type: LoginType, message: object): Promise<void> {
    try {
      const handler = this.#handlers[type] as (message: object) => Promise<Outcome>;
      const { result, granted } = await handler(message);
      if (!isLive(this.#host.state)) {
        this.gone();
        await this.#undelivered(granted?.newSession);
        return;
      }
      this.#host.reply({ id, type: "result", success: true, result });
      this.#parts.observer.answered(type, "ok");
      if (granted !== undefined) this.#onToken(granted.accessToken);
    } catch (error) {
      this.#parts.observer.answered(type, codeOfFailure(error));
      const body = bodyOfFailure(error, type, this.#parts.log);
      this.#host.reply({ id, type: "result", success: false, error: body });
    }
  }

  #fail(id: unknown, type: string, error: ReturnType<typeof errorBody>): void {
    this.#parts.observer.answered(type, error.code as ErrorName);
    this.#host.reply({ id, type: "result", success: false, error });
  }

  async #providers(): Promise<Outcome> {
    const onboarding_required = await this.#parts.onboarding.required();
    const providers = this.#parts.logins
      .providers(this.#host.peer)
      .map(({ name, type, id }) => ({ name, type, id }));
    return { result: { providers, onboarding_required } };
  }

  /** The flow before it stays until there is a new one: a start that is refused costs nothing. */
  async #start(message: Params<"auth/login/start">): Promise<Outcome> {
    const { step, flowSecret } = await this.#parts.logins.start(
      {
        handler: message.handler,
        purpose: message.for ?? "session",
        clientId: message.client_id ?? null,
        clientName: message.client_name ?? null,
        redirectUri: message.redirect_uri ?? null,
        codeChallenge: message.code_challenge ?? null,
      },
      this.#host.peer,
      this,
    );
    await this.#tryToAbandonFlow();
    this.#host.allowLogin();
    return this.#entered(step, flowSecret, true);
  }

  async #step(message: Params<"auth/login/step">): Promise<Outcome> {
    const flow = this.#own(message.flow_id);
    const { step, flowSecret } = await this.#parts.logins.advance(
      { flowId: flow.id, flowSecret: flow.secret, input: message.user_input },
      this.#host.peer,
    );
    return this.#entered(step, flowSecret, false);
  }

  async #cancel(message: Params<"auth/login/cancel">): Promise<Outcome> {
    const flow = this.#own(message.flow_id);
    this.#flow = undefined;
    return { result: await this.#parts.logins.cancel({ flowId: flow.id, flowSecret: flow.secret }) };
  }

  async #resume(message: Params<"auth/login/resume">): Promise<Outcome> {
    const request = { flowId: message.flow_id, flowSecret: message.flow_secret };
    const { step, flowSecret } = await this.#parts.logins.resume(request, this.#host.peer, this);
    if (this.#flow?.id !== message.flow_id) await this.#tryToAbandonFlow();
    this.#host.allowLogin();
    return this.#entered(step, flowSecret, true);
  }

  async #refresh(message: Params<"auth/login/refresh">): Promise<Outcome> {
    const grant = await this.#parts.sessions.refresh({
      refreshToken: message.refresh_token,
      clientId: message.client_id ?? null,
      peer: this.#host.peer,
    });
    return { result: refreshGrantOf(grant), granted: { accessToken: grant.accessToken } };
  }

  async #createOwner(message: Params<"auth/onboarding/create_owner">): Promise<Outcome> {
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

  /** The open flow, if it is this socket's: another's id is answered like an unknown one. */
  #own(flowId: string): { readonly id: string; readonly secret: string } {
    if (this.#flow?.id !== flowId) throw new AuthError("invalid_flow");
    return this.#flow;
  }

  /** Remembers a flow that waits for more, forgets one that ended. */
  #entered(step: FlowStep, secret: string, showSecret: boolean): Outcome {
    if (step.type === "abort" || step.type === "create_entry") {
      this.#flow = undefined;
      const grant = step.type === "create_entry" ? step.result : "";
      if (typeof grant === "string") return { result: step };
      return { result: step, granted: grantOf(grant) };
    }
    this.#flow = { id: step.flow_id, secret };
    return { result: showSecret ? { ...step, flow_secret: secret } : step };
  }

  /** Another start or resume cancels the flow before it; one that is gone already is as good. */
  async #tryToAbandonFlow(): Promise<void> {
    const flow = this.#flow;
    this.#flow = undefined;
    if (flow === undefined) return;
    try {
      await this.#parts.logins.cancel({ flowId: flow.id, flowSecret: flow.secret });
    } catch (error) {
      if (error instanceof AuthError && error.code === "invalid_flow") return;
      this.#parts.logins.left(flow.id, this);
      this.#parts.log.warn({ err: error }, "open login flow was kept");
    }
  }

  /** The socket went away before its session could be handed over: nobody holds the tokens, so nobody needs it. */
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

function grantOf(grant: SessionGrant): NonNullable<Outcome["granted"]> {
  return { accessToken: grant.access_token, newSession: grant.session_id };
}

function isLive(state: State): boolean {
  return state !== "closing" && state !== "closed";
}
