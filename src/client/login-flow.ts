import type { FlowStep, SessionGrant } from "../../protocol/flow.ts";
import { GatewayError, tell } from "./errors.ts";
import type { MessageSocket } from "./message-socket.ts";

/** What a login flow needs of the client that runs it. */
export interface LoginHost {
  /** A new open socket in the auth phase. Rejects with `not_connected` when the login is not the client's any more. */
  open(): Promise<MessageSocket>;
  readonly timeoutMs: number;
  /** The flow gave a session: keep the tokens and wait for `auth_ok` on the same socket. */
  granted(wire: MessageSocket, grant: SessionGrant): Promise<void>;
}

/**
 * One login, step by step. `step` is what is asked now; `submit` answers it. A socket that drops in between is
 * replaced and the flow goes on at the same step, on whatever node answers. A flow that is over without a session keeps
 * no socket.
 */
export class LoginFlow {
  /** Called with every step that comes by itself: what is asked after something outside was done. */
  onStep: (step: FlowStep) => void = () => {};
  readonly #host: LoginHost;
  readonly #secret: string;
  #wire: MessageSocket;
  #step: FlowStep;

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
      await flow.#take(wire, flow.step);
      return flow;
    } catch (error) {
      wire.close();
      throw error;
    }
  }

  get step(): FlowStep {
    return this.#step;
  }

  /** True when the flow is over: `create_entry` or `abort`. */
  get done(): boolean {
    return this.#step.type === "create_entry" || this.#step.type === "abort";
  }

  /** Answers the form. The new step comes back; with a wrong password that is the same form with `errors`. */
  async submit(input: Readonly<Record<string, unknown>>): Promise<FlowStep> {
    if (this.done) throw new GatewayError("invalid_flow", "This login is over");
    return await this.#ask({ type: "auth/login/step", user_input: input });
  }

  async cancel(): Promise<void> {
    if (!this.done) await this.#ask({ type: "auth/login/cancel" });
  }

  async #ask(message: Readonly<Record<string, unknown>>): Promise<FlowStep> {
    const wire = await this.#attached();
    if (this.done) return this.#step;
    const request = wire.request({ ...message, flow_id: this.#step.flow_id }, this.#host.timeoutMs);
    const step = (await request.result) as FlowStep;
    await this.#take(wire, step);
    return step;
  }

  /** After a dropped socket: the same step on a new one. */
  async #attached(): Promise<MessageSocket> {
    if (this.#wire.isOpen) return this.#wire;
    const wire = await this.#host.open();
    this.#wire = wire;
    const message = { type: "auth/login/resume", flow_id: this.#step.flow_id, flow_secret: this.#secret };
    const onEvent = (event: unknown) => this.#pushed(wire, event);
    try {
      const request = wire.request(message, this.#host.timeoutMs, onEvent);
      await this.#take(wire, (await request.result) as FlowStep);
    } catch (error) {
      wire.close();
      throw error;
    }
    return wire;
  }

  async #take(wire: MessageSocket, step: FlowStep): Promise<void> {
    this.#step = step;
    if (step.type === "create_entry" && typeof step.result !== "string")
      await this.#host.granted(wire, step.result);
    else if (this.done) wire.close();
  }

  #pushed(wire: MessageSocket, event: unknown): void {
    const step = event as FlowStep;
    // The client's state says whether a session that came this way works.
    this.#take(wire, step).catch(() => {});
    tell(this.onStep, step);
  }
}
