import { errorCodes } from "../../protocol/errors.ts";
import { limits } from "../../protocol/features.ts";
import type { FlowStep, SessionGrant } from "../../protocol/flow.ts";
import { createBackoff } from "./backoff.ts";
import { attemptError, errorOfClose, GatewayError, tell } from "./errors.ts";
import type { MessageSocket } from "./message-socket.ts";

/** What a login flow needs from its client. */
export interface LoginHost {
  /** Opens a new socket in the auth phase. Rejects with `not_connected` if the client no longer runs this login. */
  open(): Promise<MessageSocket>;
  readonly timeoutMs: number;
  /** Pauses between attempts to open a socket while a step is awaited. */
  readonly backoff: { readonly baseMs: number; readonly capMs: number };
  /** The flow gave a session: keep the tokens and wait for `auth_ok` on the same socket. */
  granted(wire: MessageSocket, grant: SessionGrant): Promise<void>;
}

/**
 * One login, step by step. `step` is the current step. `submit` answers a form. For an `external` or `progress` step,
 * `next` waits for the step that follows. If a socket drops in between, the flow continues at the same step on a new
 * socket, on any node. A flow that ends without a session closes its socket.
 */
export class LoginFlow {
  /** Called with every step that the server pushes, for instance after an external step was completed. */
  onStep: (step: FlowStep) => void = () => {};
  readonly #host: LoginHost;
  readonly #secret: string;
  readonly #givesUpAt = Date.now() + limits.loginDeadlineMs;
  #wire: MessageSocket;
  #step: FlowStep;
  #attaching: Promise<MessageSocket> | undefined;
  /** How many steps arrived. Below: the number of the step that the caller got last. */
  #came = 0;
  #given = 0;
  /** Settles once the last step was processed: a session is ready, or failed. */
  #taken: Promise<void> = Promise.resolve();
  #waiting: (() => void)[] = [];

  private constructor(host: LoginHost, wire: MessageSocket, step: FlowStep) {
    this.#host = host;
    this.#wire = wire;
    this.#step = step;
    this.#secret = ("flow_secret" in step && step.flow_secret) || "";
  }

  static async start(host: LoginHost, message: Readonly<Record<string, unknown>>): Promise<LoginFlow> {
    const wire = await host.open();
    const onEvent = (event: unknown) => {
      started.then(
        (flow) => flow.#pushed(wire, event),
        () => {},
      );
    };
    const request = wire.request({ type: "auth/login/start", ...message }, host.timeoutMs, onEvent);
    const started = request.result.then((step) => new LoginFlow(host, wire, step as FlowStep));
    try {
      const flow = await started;
      const taken = flow.#take(wire, flow.step);
      flow.#given = flow.#came;
      await taken;
      return flow;
    } catch (error) {
      wire.close();
      throw error;
    }
  }

  get step(): FlowStep {
    return this.#step;
  }

  /** True if the flow is over: `create_entry` or `abort`. */
  get done(): boolean {
    return this.#step.type === "create_entry" || this.#step.type === "abort";
  }

  /** Answers the form and returns the new step. After a wrong password that is the same form with `errors`. */
  async submit(input: Readonly<Record<string, unknown>>): Promise<FlowStep> {
    if (this.done) throw new GatewayError("invalid_flow", "This login is over");
    return await this.#ask({ type: "auth/login/step", user_input: input });
  }

  /**
   * Resolves with the step that follows the one returned last (by the login's start, `submit` or `next`), once the
   * server has pushed it. If the socket drops, a new one is used. If the step gives a session, the client is `ready` by
   * then. Rejects with `invalid_flow` if the flow is over, and with the connection error once the flow's time has
   * ended.
   */
  async next(): Promise<FlowStep> {
    const backoff = createBackoff(this.#host.backoff);
    while (this.#came === this.#given) {
      if (this.done) throw new GatewayError("invalid_flow", "This login is over");
      try {
        const wire = await this.#attached();
        backoff.reset();
        if (this.#came === this.#given) await this.#arrival(wire);
      } catch (error) {
        const failure = attemptError(error);
        if (!isPassing(failure) || Date.now() > this.#givesUpAt) throw failure;
        const pauseMs = Math.max(backoff.next(), (failure.retryAfterSeconds ?? 0) * 1000);
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    }
    const step = this.#step;
    this.#given = this.#came;
    await this.#taken;
    return step;
  }

  async cancel(): Promise<void> {
    if (!this.done) await this.#ask({ type: "auth/login/cancel" });
  }

  async #ask(message: Readonly<Record<string, unknown>>): Promise<FlowStep> {
    const wire = await this.#attached();
    if (!this.done) {
      const request = wire.request({ ...message, flow_id: this.#step.flow_id }, this.#host.timeoutMs);
      const step = (await request.result) as FlowStep;
      const taken = this.#take(wire, step);
      this.#given = this.#came;
      await taken;
      return step;
    }
    this.#given = this.#came;
    return this.#step;
  }

  /** Settles once a step arrived. Rejects if the socket was lost instead. */
  async #arrival(wire: MessageSocket): Promise<void> {
    const came = new Promise<void>((resolve) => this.#waiting.push(resolve));
    const lost = wire.closed.then((close) => {
      throw errorOfClose(close);
    });
    await Promise.race([came, lost]);
  }

  /** Returns the open socket. Concurrent callers share one attempt to open it. */
  async #attached(): Promise<MessageSocket> {
    if (this.#wire.isOpen) return this.#wire;
    this.#attaching ??= this.#resume().finally(() => {
      this.#attaching = undefined;
    });
    return await this.#attaching;
  }

  /** Resumes the flow on a new socket after the old one dropped. */
  async #resume(): Promise<MessageSocket> {
    const wire = await this.#host.open();
    this.#wire = wire;
    const message = { type: "auth/login/resume", flow_id: this.#step.flow_id, flow_secret: this.#secret };
    const onEvent = (event: unknown) => this.#pushed(wire, event);
    try {
      const request = wire.request(message, this.#host.timeoutMs, onEvent);
      const step = (await request.result) as FlowStep;
      if (!isSame(step, this.#step)) await this.#take(wire, step);
    } catch (error) {
      wire.close();
      throw error;
    }
    return wire;
  }

  #take(wire: MessageSocket, step: FlowStep): Promise<void> {
    this.#step = step;
    this.#came += 1;
    this.#taken = this.#settle(wire, step);
    // A caller need not await it.
    this.#taken.catch(() => {});
    for (const wake of this.#waiting.splice(0)) wake();
    return this.#taken;
  }

  async #settle(wire: MessageSocket, step: FlowStep): Promise<void> {
    if (step.type === "create_entry" && typeof step.result !== "string")
      await this.#host.granted(wire, step.result);
    else if (this.done) wire.close();
  }

  #pushed(wire: MessageSocket, event: unknown): void {
    const step = event as FlowStep;
    void this.#take(wire, step).catch(() => {});
    tell(this.onStep, step);
  }
}

/** True for the same step again, as a resume returns it. */
function isSame(a: FlowStep, b: FlowStep): boolean {
  const plain = (step: FlowStep) => JSON.stringify({ ...step, flow_secret: undefined });
  return plain(a) === plain(b);
}

/** True if another attempt may succeed. */
function isPassing({ code }: GatewayError): boolean {
  if (code === "connection_lost" || code === "cannot_connect" || code === "call_timeout") return true;
  return retryable.has(code);
}

const retryable: ReadonlySet<string> = new Set(
  Object.entries(errorCodes).flatMap(([code, row]) => ("retryable" in row && row.retryable ? [code] : [])),
);
