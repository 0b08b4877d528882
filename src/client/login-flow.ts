import { limits } from "../../protocol/features.ts";
import type { FlowStep, SessionGrant } from "../../protocol/flow.ts";
import { retryableErrors } from "../../protocol/retryable-errors.ts";
import { keepRaised } from "./authenticate.ts";
import { type DeviceTokenStore, loadDeviceToken, saveDeviceToken } from "./device-store.ts";
import { attemptError, errorOfClose, GatewayError, invokeCallback } from "./errors.ts";
import type { MessageSocket } from "./message-socket.ts";
import type { PasswordProof } from "./password-proof.ts";
import { type PasswordInput, passwordIn } from "./proof-choice.ts";
import { createBackoff } from "./reconnect-rule.ts";
import type { Scrypt } from "./scrypt.ts";
import type { TokenStore } from "./token-store.ts";

/** How passwords are proved; see `GatewayClientOptions`. */
export interface ProofOptions {
  readonly scram: "prefer" | "require" | "never";
  readonly scrypt: Scrypt | undefined;
}

/** What a login flow needs from its client. */
export interface LoginHost {
  /** Which messages: those of a login before `auth_ok`, or those of a login on an authenticated socket. */
  readonly messages: "auth/login" | "auth/step_up";
  /** Opens a new socket in the auth phase. Rejects with `not_connected` if the client no longer runs this login. */
  open(): Promise<MessageSocket>;
  readonly timeoutMs: number;
  /** Pauses between attempts to open a socket while a step is awaited. */
  readonly backoff: { readonly baseMs: number; readonly capMs: number };
  readonly device: DeviceTokenStore;
  readonly proofs: ProofOptions;
  /** The flow gave a session: keep the tokens and wait for `auth_ok` on the same socket. */
  granted(socket: MessageSocket, grant: SessionGrant): Promise<void>;
  /** Where the access token of a step-up is kept. */
  readonly tokens: TokenStore;
  /** The flow needs the socket no more. */
  release(socket: MessageSocket): void;
}

/**
 * One login, step by step. `step` is the current step. `submit` answers a form. For an `external` or `progress` step,
 * `next` waits for the step that follows. If a socket drops in between, the flow continues at the same step on a new
 * socket, on any node. A flow that ends without a session closes its socket. A login on the client's authenticated socket (a
 * step-up) ends with that socket instead: what it was for is over too.
 */
export class LoginFlow {
  /** Called with every step that the server pushes, for instance after an external step was completed. */
  onStep: (step: FlowStep) => void = () => {};
  /** Called while the password is made into a proof, with the part that is done, 0 to 1. */
  onProgress: (part: number) => void = () => {};
  readonly #host: LoginHost;
  readonly #secret: string;
  readonly #givesUpAt = Date.now() + limits.loginDeadlineMs;
  #socket: MessageSocket;
  #step: FlowStep;
  #attaching: Promise<MessageSocket> | undefined;
  /** Number of steps received. Below: the number of the step that was returned to the caller last. */
  #receivedSteps = 0;
  #returnedStep = 0;
  /** Settles once the last step was processed: a session is ready, or failed. */
  #processing: Promise<void> = Promise.resolve();
  #waiting: (() => void)[] = [];
  /** A password that is being proved. Its own step is not shown to anybody. */
  #proof: PasswordProof | undefined;
  /** The server is not trusted any more. */
  #fault: GatewayError | undefined;

  private constructor(host: LoginHost, socket: MessageSocket, step: FlowStep) {
    this.#host = host;
    this.#socket = socket;
    this.#step = step;
    this.#secret = ("flow_secret" in step && step.flow_secret) || "";
  }

  static async start(host: LoginHost, message: Readonly<Record<string, unknown>>): Promise<LoginFlow> {
    const socket = await host.open();
    const onEvent = (event: unknown) => {
      started.then(
        (flow) => flow.#pushed(socket, event),
        () => {},
      );
    };
    const device_token = host.messages === "auth/login" ? await loadDeviceToken(host.device) : undefined;
    const known = device_token === undefined ? {} : { device_token };
    const start = { type: `${host.messages}/start`, ...known, ...message };
    const request = socket.request(start, host.timeoutMs, onEvent);
    const started = request.result.then((step) => new LoginFlow(host, socket, step as FlowStep));
    try {
      const flow = await started;
      const processed = flow.#receive(socket, flow.step);
      flow.#returnedStep = flow.#receivedSteps;
      await processed;
      return flow;
    } catch (error) {
      host.release(socket);
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

  /**
   * Answers the form and returns the new step. After a wrong password that is the same form with `errors`. If the server
   * offers it, a password is proved and not sent, see the option `scram`. A password that was imported is sent after its
   * proof was refused. Rejects with `server_not_trusted` if the server
   * cannot prove that it knows the password, and with `proof_not_offered`.
   */
  async submit(input: Readonly<Record<string, unknown>>): Promise<FlowStep> {
    if (this.done) throw new GatewayError("invalid_flow", "This login is over");
    const given = passwordIn(this.#step, input);
    const proved = given && (await this.#prove(given));
    return proved ?? (await this.#ask({ type: this.#type("step"), user_input: input }));
  }

  /** Undefined if the password is to be sent. */
  async #prove(given: PasswordInput): Promise<FlowStep | undefined> {
    const { scram, scrypt } = this.#host.proofs;
    if (scram !== "never" && given.mechanisms.length > 0) {
      const { provePassword } = await import("./password-proof.ts");
      const shown = this.#step;
      const proved = await provePassword(given, scrypt, {
        socket: () => this.#socketFor(shown),
        kept: () => this.#proof,
        keep: (proof) => {
          this.#proof = proof;
        },
        send: (socket, input) => this.#request(socket, input),
        progress: (part) => invokeCallback(this.onProgress, part),
        maySend: scram === "prefer",
      }).catch((error: unknown) => {
        throw this.#proofFault(error);
      });
      if (proved === "moved") return this.#shown();
      if (proved !== "send") return await this.#returned(proved.socket, proved.step);
    }
    if (scram !== "require") return undefined;
    throw new GatewayError("proof_not_offered", "The server asks for the password itself");
  }

  /** Undefined if an answer to an earlier try came with a new socket. */
  async #socketFor(shown: FlowStep): Promise<MessageSocket | undefined> {
    const socket = await this.#openSocket();
    return this.#step === shown ? socket : undefined;
  }

  #proofFault(cause: unknown): unknown {
    // A pushed step has ended the socket, and the request with it.
    if (this.#fault !== undefined) return this.#fault;
    if (cause instanceof GatewayError) return cause;
    const { code, message } = cause as Error & { readonly code?: unknown };
    const isDistrust = code === "server_not_trusted";
    const fault = new GatewayError(isDistrust ? code : "proof_failed", message, { cause });
    return isDistrust ? this.#distrust(this.#socket, fault) : fault;
  }

  async #request(socket: MessageSocket, input: Readonly<Record<string, unknown>>): Promise<FlowStep> {
    const message = { type: this.#type("step"), flow_id: this.#step.flow_id, user_input: input };
    try {
      return (await socket.request(message, this.#host.timeoutMs).result) as FlowStep;
    } catch (error) {
      // The server may have gone on. A new socket shows where it is.
      if (error instanceof GatewayError && error.code === "call_timeout") this.#host.release(socket);
      throw error;
    }
  }

  /**
   * Resolves with the step that follows the one returned last (by the login's start, `submit` or `next`), once the
   * server has pushed it. If the socket drops, a new one is used. If the step gives a session, the client is `ready` by
   * then. Rejects with `invalid_flow` if the flow is over, and with the connection error once the flow's time has
   * ended.
   */
  async next(): Promise<FlowStep> {
    const backoff = createBackoff(this.#host.backoff);
    while (this.#receivedSteps === this.#returnedStep) {
      if (this.done) throw new GatewayError("invalid_flow", "This login is over");
      try {
        const socket = await this.#openSocket();
        backoff.reset();
        if (this.#receivedSteps === this.#returnedStep) await this.#nextPush(socket);
      } catch (error) {
        const failure = attemptError(error);
        if (!isRetryable(failure) || Date.now() > this.#givesUpAt) throw failure;
        const pauseMs = Math.max(backoff.next(), (failure.retryAfterSeconds ?? 0) * 1000);
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    }
    const step = this.#step;
    this.#returnedStep = this.#receivedSteps;
    await this.#processing;
    return step;
  }

  async cancel(): Promise<void> {
    if (this.done) return;
    if (this.#host.messages === "auth/login") await this.#ask({ type: this.#type("cancel") });
    else
      await this.#socket.request(
        { type: this.#type("cancel"), flow_id: this.#step.flow_id },
        this.#host.timeoutMs,
      ).result;
  }

  #type(name: "step" | "cancel"): string {
    return `${this.#host.messages}/${name}`;
  }

  async #ask(message: Readonly<Record<string, unknown>>): Promise<FlowStep> {
    const socket = await this.#openSocket();
    if (!this.done) {
      const request = socket.request({ ...message, flow_id: this.#step.flow_id }, this.#host.timeoutMs);
      return await this.#returned(socket, (await request.result) as FlowStep);
    }
    return this.#shown();
  }

  #shown(): FlowStep {
    this.#returnedStep = this.#receivedSteps;
    return this.#step;
  }

  async #returned(socket: MessageSocket, step: FlowStep): Promise<FlowStep> {
    const processed = this.#receive(socket, step);
    this.#returnedStep = this.#receivedSteps;
    await processed;
    return step;
  }

  /** Settles once a step arrived. Rejects if the socket was lost instead. */
  async #nextPush(socket: MessageSocket): Promise<void> {
    const pushed = new Promise<void>((resolve) => this.#waiting.push(resolve));
    const lost = socket.closed.then((close) => {
      throw errorOfClose(close);
    });
    await Promise.race([pushed, lost]);
  }

  /** Returns the open socket. Concurrent callers share one attempt to open it. */
  async #openSocket(): Promise<MessageSocket> {
    if (this.#fault !== undefined) throw this.#fault;
    if (this.#socket.isOpen) return this.#socket;
    if (this.#host.messages === "auth/step_up")
      throw new GatewayError("invalid_flow", "The socket of this login was lost");
    this.#attaching ??= this.#resume().finally(() => {
      this.#attaching = undefined;
    });
    return await this.#attaching;
  }

  /** Resumes the flow on a new socket after the old one dropped. */
  async #resume(): Promise<MessageSocket> {
    const socket = await this.#host.open();
    this.#socket = socket;
    const message = { type: "auth/login/resume", flow_id: this.#step.flow_id, flow_secret: this.#secret };
    const onEvent = (event: unknown) => this.#pushed(socket, event);
    try {
      const request = socket.request(message, this.#host.timeoutMs, onEvent);
      const step = (await request.result) as FlowStep;
      if (this.#proof?.takes(step) !== true && !isSame(step, this.#step)) await this.#receive(socket, step);
    } catch (error) {
      socket.close();
      throw error;
    }
    return socket;
  }

  /** Rejects with `server_not_trusted` for a step that comes after our proof without the server's. */
  #receive(socket: MessageSocket, step: FlowStep): Promise<void> {
    const proof = this.#proof;
    this.#proof = undefined;
    if (proof?.isAnsweredBy(step) === false) {
      const text = "The server did not prove that it knows the password";
      return Promise.reject(this.#distrust(socket, new GatewayError("server_not_trusted", text)));
    }
    this.#step = step;
    this.#receivedSteps += 1;
    this.#processing = this.#settle(socket, step);
    // A caller need not await it.
    this.#processing.catch(() => {});
    for (const wake of this.#waiting.splice(0)) wake();
    return this.#processing;
  }

  #distrust(socket: MessageSocket, fault: GatewayError): GatewayError {
    this.#fault = fault;
    socket.close();
    return fault;
  }

  async #settle(socket: MessageSocket, step: FlowStep): Promise<void> {
    if (step.type === "create_entry" && step.device_token !== undefined)
      await saveDeviceToken(this.#host.device, step.device_token);
    if (step.type === "create_entry" && typeof step.result !== "string")
      await this.#host.granted(socket, step.result);
    else {
      if (step.type === "create_entry" && step.token !== undefined)
        await keepRaised(this.#host.tokens, step.token);
      if (this.done) this.#host.release(socket);
    }
  }

  #pushed(socket: MessageSocket, event: unknown): void {
    const step = event as FlowStep;
    void this.#receive(socket, step).catch(() => {});
    if (this.#step === step) invokeCallback(this.onStep, step);
  }
}

/** True for the same step again, as a resume returns it. */
function isSame(a: FlowStep, b: FlowStep): boolean {
  const plain = (step: FlowStep) => JSON.stringify({ ...step, flow_secret: undefined });
  return plain(a) === plain(b);
}

/** True if another attempt may succeed. */
export function isRetryable({ code }: GatewayError): boolean {
  if (code === "connection_lost" || code === "cannot_connect" || code === "call_timeout") return true;
  return retryable.has(code);
}

const retryable: ReadonlySet<string> = new Set(retryableErrors);
