import type { FlowStep, SessionGrant } from "../../protocol/flow.ts";
import { GatewayError } from "./errors.ts";
import type { Wire } from "./wire.ts";

/** What a login flow needs of the client that runs it. */
export interface LoginHost {
  /** A socket in the auth phase: the present one, or a new one when that was lost. */
  wire(): Promise<Wire>;
  readonly timeoutMs: number;
  /** The flow gave a session: keep the tokens and wait for `auth_ok` on the same socket. */
  granted(wire: Wire, grant: SessionGrant, authenticated: Promise<void>): Promise<void>;
  /** Called before a step that may finish the flow, so that an `auth_ok` right behind the result is not missed. */
  expectAuthOk(wire: Wire): Promise<void>;
}

const nothingYet: FlowStep = {
  type: "abort",
  flow_id: "",
  handler: ["", null],
  reason: "not_started",
  description_placeholders: null,
};

/**
 * One login, step by step. `step` is what is asked now; `submit` answers it. A socket that drops in between is
 * replaced and the flow goes on at the same step, on whatever node answers.
 */
export class LoginFlow {
  #host: LoginHost;
  #wire: Wire;
  #step: FlowStep = nothingYet;
  #secret = "";

  private constructor(host: LoginHost, wire: Wire) {
    this.#host = host;
    this.#wire = wire;
  }

  static async start(host: LoginHost, message: Readonly<Record<string, unknown>>): Promise<LoginFlow> {
    const wire = await host.wire();
    const flow = new LoginFlow(host, wire);
    const request = wire.request({ type: "auth/login/start", ...message }, host.timeoutMs, (event) =>
      flow.#pushed(event),
    );
    flow.#step = (await request.result) as FlowStep;
    flow.#secret = ("flow_secret" in flow.#step && flow.#step.flow_secret) || "";
    return flow;
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
    await this.#reattach();
    const wire = this.#wire;
    const authenticated = this.#host.expectAuthOk(wire);
    authenticated.catch(() => {});
    const message = { type: "auth/login/step", flow_id: this.#step.flow_id, user_input: input };
    this.#step = (await wire.request(message, this.#host.timeoutMs).result) as FlowStep;
    if (this.#step.type === "create_entry" && typeof this.#step.result !== "string") {
      await this.#host.granted(wire, this.#step.result, authenticated);
    }
    return this.#step;
  }

  async cancel(): Promise<void> {
    if (this.done) return;
    await this.#reattach();
    const message = { type: "auth/login/cancel", flow_id: this.#step.flow_id };
    this.#step = (await this.#wire.request(message, this.#host.timeoutMs).result) as FlowStep;
  }

  /** After a dropped socket: the same step on a new one. */
  async #reattach(): Promise<void> {
    if (this.#wire.isOpen) return;
    this.#wire = await this.#host.wire();
    const message = { type: "auth/login/resume", flow_id: this.#step.flow_id, flow_secret: this.#secret };
    const request = this.#wire.request(message, this.#host.timeoutMs, (event) => this.#pushed(event));
    this.#step = (await request.result) as FlowStep;
  }

  #pushed(event: unknown): void {
    this.#step = event as FlowStep;
  }
}
