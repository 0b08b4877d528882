import type { ProviderInfo } from "../../protocol/commands/login.ts";
import type { ExternalStep, FlowStep, FormStep, ProgressStep } from "../../protocol/flow.ts";
import { GatewayError } from "../client/errors.ts";
import type { GatewayClient } from "../client/gateway-client.ts";
import type { LoginFlow } from "../client/login-flow.ts";
import { errorsOf, ownerForm, ownerIn } from "./owner-form.ts";

/** What is on the screen. */
export type View =
  | { readonly kind: "loading" }
  | { readonly kind: "providers" }
  | { readonly kind: "form"; readonly step: FormStep }
  | { readonly kind: "external"; readonly step: ExternalStep }
  | { readonly kind: "progress"; readonly step: ProgressStep }
  /** A code is there, although the person did nothing: see `LoginController`. */
  | { readonly kind: "confirm"; readonly code: string }
  /** `reason` is that of the flow's `abort`, or `no_providers`. */
  | { readonly kind: "ended"; readonly reason: string }
  /** Nothing could be started; `problem` says why. */
  | { readonly kind: "failed" }
  | { readonly kind: "setup" }
  | { readonly kind: "done" };

export interface LoginState {
  readonly view: View;
  /** A request is in progress. */
  readonly busy: boolean;
  /** How much of a password's proof is computed, 0 to 1; undefined if none is. */
  readonly proving: number | undefined;
  /** An error code of the server or of the SDK. */
  readonly problem: string | undefined;
  /** Until then nothing can be sent. Milliseconds since the epoch. */
  readonly waitUntil: number | undefined;
  /** The controller starts again by itself at `waitUntil`. */
  readonly retries: boolean;
  readonly provider: ProviderInfo | undefined;
  readonly providers: readonly ProviderInfo[];
}

export type LoginOutcome =
  | { readonly kind: "authenticated" }
  | { readonly kind: "code"; readonly code: string }
  | { readonly kind: "ended"; readonly reason: string };

/** What logs in: a client, or a step-up of one. */
export type LoginClient = Pick<GatewayClient, "providers" | "login" | "createOwner" | "close">;

export interface LoginControllerOptions {
  readonly client: LoginClient;
  readonly request: Omit<Parameters<GatewayClient["login"]>[0], "handler">;
  /** Creates the owner in place of a login. `code` is the set-up code, as far as the page knows it. */
  readonly setup: { readonly code: string } | undefined;
  /** `state` is another one. */
  changed(): void;
  finished(outcome: LoginOutcome): void;
}

const initial: LoginState = {
  view: { kind: "loading" },
  busy: true,
  proving: undefined,
  problem: undefined,
  waitUntil: undefined,
  retries: false,
  provider: undefined,
  providers: [],
};

/** Errors after which the same thing may succeed without the person. */
const passing: ReadonlySet<string> = new Set([
  "cannot_connect",
  "connection_lost",
  "call_timeout",
  "unavailable",
]);
/** The pause before the element starts again by itself is half of this at least, seconds. It is doubled each time. */
const pauses = { first: 2, most: 30 };

/**
 * Drives one login after another with the SDK, without any DOM.
 *
 * A provider may finish a flow without asking anything (a trusted network, a proxy's header). For a code that would mean
 * that whoever makes a person open a page gets a login of that person. So a code is handed out only after the person did
 * something here.
 */
export class LoginController {
  state: LoginState = initial;
  readonly #options: LoginControllerOptions;
  #flow: LoginFlow | undefined;
  /** Whatever began in an earlier turn changes nothing any more. */
  #turn = 0;
  /** Settles once the server knows that the last flow is not wanted any more. */
  #cancelled: Promise<void> = Promise.resolve();
  #acted = false;
  /** The form on the screen is the first step of its flow. */
  #atStart = false;
  #failures = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(options: LoginControllerOptions) {
    this.#options = options;
  }

  /** Asks for the providers. If there is one only, its login begins. */
  async begin(): Promise<void> {
    const hasFailed = this.state.view.kind === "failed";
    const turn = this.#newTurn(hasFailed ? { ...this.state, busy: true, waitUntil: undefined } : initial);
    await this.#guarded(turn, async () => {
      const { providers, onboarding_required } = await this.#options.client.providers();
      if (turn !== this.#turn) return;
      this.#set({ providers });
      const [first] = providers;
      const { setup } = this.#options;
      if (onboarding_required) this.#set({ view: firstView(setup), busy: false });
      else if (setup !== undefined) this.#end("onboarding_done");
      else if (first === undefined) this.#end("no_providers");
      else if (providers.length > 1) this.#set({ view: { kind: "providers" }, busy: false });
      else await this.#start(turn, first);
    });
  }

  async choose(provider: ProviderInfo): Promise<void> {
    this.#acted = true;
    const turn = this.#newTurn({ ...this.state, busy: true, problem: undefined, waitUntil: undefined });
    await this.#guarded(turn, () => this.#start(turn, provider));
  }

  /** Back to the choice of providers. */
  showProviders(): void {
    const { providers } = this.state;
    this.#newTurn({ ...initial, view: { kind: "providers" }, busy: false, providers });
  }

  /** Answers the form. A form that was left too long is asked for again first, and then answered. */
  async submit(input: Readonly<Record<string, unknown>>): Promise<void> {
    const { view } = this.state;
    const { setup } = this.#options;
    if (setup !== undefined) return await this.#createOwner(setup, input);
    const flow = this.#flow;
    if (flow === undefined || this.state.busy || view.kind !== "form") return;
    this.#acted = true;
    const turn = this.#turn;
    this.#set({ busy: true, problem: undefined, waitUntil: undefined });
    try {
      const step = await this.#answer(turn, flow, view.step, input);
      if (turn === this.#turn) await this.#show(turn, step);
    } catch (error) {
      if (turn === this.#turn) this.#submitFailed(turn, error, view.step);
    }
  }

  /** What was to fill in the form did not. The form stays. */
  notAnswered(form: FormStep, problem: string): void {
    const { view, busy } = this.state;
    if (view.kind === "form" && view.step === form && !busy) this.#set({ problem });
  }

  async #createOwner(setup: { readonly code: string }, input: Readonly<Record<string, unknown>>) {
    const { view, busy } = this.state;
    if (view.kind !== "form" || busy) return;
    const turn = this.#turn;
    const asksForCode = "setup_code" in input;
    const refuse = (errors: Readonly<Record<string, string>>, reason?: string) => {
      const step = ownerForm(asksForCode || "setup_code" in errors, errors, reason);
      this.#set({ view: { kind: "form", step }, busy: false });
    };
    const owner = ownerIn(input, setup.code);
    if ("errors" in owner) return refuse(owner.errors);
    this.#set({ busy: true, problem: undefined, waitUntil: undefined });
    try {
      await this.#options.client.createOwner(owner);
      if (turn === this.#turn) this.#created(undefined);
    } catch (error) {
      if (turn !== this.#turn) return;
      const { code, message, retryAfterSeconds } = asGatewayError(error);
      const errors = errorsOf(code);
      if (code === "onboarding_done") this.#end(code);
      else if (errors !== undefined) refuse(errors, message);
      else this.#set({ busy: false, problem: code, waitUntil: inSeconds(retryAfterSeconds) });
    }
  }

  /** The person opened the address of the external step, which completes elsewhere. */
  opened(): void {
    this.#acted = true;
  }

  confirm(): void {
    const { view } = this.state;
    if (view.kind === "confirm") this.#finishWith(view.code);
  }

  /** Starts the same login again, or looks at the providers again if none was chosen. */
  async again(): Promise<void> {
    const { provider } = this.state;
    if (provider === undefined) return await this.begin();
    const turn = this.#newTurn({ ...this.state, busy: true, waitUntil: undefined });
    await this.#guarded(turn, () => this.#start(turn, provider));
  }

  /** Nobody waits for this login any more. A client that is authenticated stays as it is. */
  stop(): void {
    const { client } = this.#options;
    const isOurs = this.state.view.kind !== "done";
    this.#newTurn({ ...this.state, busy: false });
    if (isOurs) void this.#cancelled.then(() => client.close());
  }

  async #start(turn: number, provider: ProviderInfo): Promise<void> {
    this.#set({ provider });
    const { client, request } = this.#options;
    const flow = await client.login({ ...request, handler: [provider.type, provider.id] });
    if (turn !== this.#turn) return;
    this.#flow = flow;
    this.#failures = 0;
    flow.onStep = (step) => {
      const isIdle = this.state.view.kind === "form" && !this.state.busy;
      if (turn === this.#turn && isIdle) void this.#guarded(turn, () => this.#show(turn, step));
    };
    this.#atStart = true;
    await this.#show(turn, flow.step);
  }

  async #answer(turn: number, flow: LoginFlow, form: FormStep, input: Readonly<Record<string, unknown>>) {
    const atStart = this.#atStart;
    try {
      const step = await this.#submitTo(turn, flow, input);
      if (!(atStart && step.type === "abort" && step.reason === "login_expired")) return step;
    } catch (error) {
      if (!(atStart && error instanceof GatewayError && error.code === "invalid_flow")) throw error;
    }
    const { client, request } = this.#options;
    const anew = await client.login({ ...request, handler: form.handler });
    if (turn !== this.#turn) return anew.step;
    this.#flow = anew;
    return isSameForm(anew.step, form) ? await this.#submitTo(turn, anew, input) : anew.step;
  }

  async #submitTo(turn: number, flow: LoginFlow, input: Readonly<Record<string, unknown>>) {
    flow.onProgress = (proving) => turn === this.#turn && this.#set({ proving });
    try {
      return await flow.submit(input);
    } finally {
      if (turn === this.#turn) this.#set({ proving: undefined });
    }
  }

  async #show(turn: number, step: FlowStep): Promise<void> {
    switch (step.type) {
      case "form": {
        const before = this.state.view;
        this.#atStart &&= before.kind !== "form" || isSameForm(before.step, step);
        this.#set({ view: { kind: "form", step }, busy: false, problem: step.errors.base });
        return;
      }
      case "external":
        this.#set({ view: { kind: "external", step }, busy: false });
        return await this.#awaitNext(turn);
      case "progress":
        this.#set({ view: { kind: "progress", step }, busy: false });
        return await this.#awaitNext(turn);
      case "abort":
        return this.#end(step.reason);
      case "create_entry":
        return this.#created(step.token === undefined ? step.result : undefined);
    }
  }

  async #awaitNext(turn: number): Promise<void> {
    this.#atStart = false;
    const step = await this.#flow?.next();
    if (step !== undefined && turn === this.#turn) await this.#show(turn, step);
  }

  #created(result: unknown): void {
    if (typeof result !== "string") {
      this.#set({ view: { kind: "done" }, busy: false });
      this.#options.finished({ kind: "authenticated" });
    } else if (this.#acted) this.#finishWith(result);
    else this.#set({ view: { kind: "confirm", code: result }, busy: false });
  }

  #finishWith(code: string): void {
    this.#set({ view: { kind: "done" }, busy: false });
    this.#options.finished({ kind: "code", code });
  }

  #end(reason: string): void {
    this.#set({ view: { kind: "ended", reason }, busy: false });
    this.#options.finished({ kind: "ended", reason });
  }

  /** The form stays, with what was typed, unless the flow is over or has gone on meanwhile. */
  #submitFailed(turn: number, error: unknown, form: FormStep): void {
    const { code, retryAfterSeconds } = asGatewayError(error);
    const now = this.#flow?.step;
    if (code === "invalid_flow") this.#end("login_expired");
    else if (code === "refused" || code === "login_required" || code === "server_not_trusted")
      this.#fail(turn, error);
    else if (now !== undefined && now !== form) void this.#guarded(turn, () => this.#show(turn, now));
    else this.#set({ busy: false, problem: code, waitUntil: inSeconds(retryAfterSeconds) });
  }

  /** Runs `work`, after which nothing is on the screen if it fails. Never rejects. */
  async #guarded(turn: number, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (turn === this.#turn) this.#fail(turn, error);
    }
  }

  #fail(turn: number, error: unknown): void {
    const { code, retryAfterSeconds } = asGatewayError(error);
    if (code === "not_connected") return;
    const retries = passing.has(code);
    // Pages that lost the same gateway must not come back together.
    const pause = Math.min(pauses.first * 2 ** this.#failures, pauses.most) * (0.5 + Math.random() / 2);
    this.#failures += 1;
    const seconds = retries ? Math.max(pause, retryAfterSeconds ?? 0) : retryAfterSeconds;
    const waitUntil = inSeconds(seconds);
    this.#set({ view: { kind: "failed" }, busy: false, problem: code, waitUntil, retries });
    if (retries) this.#retry = setTimeout(() => turn === this.#turn && this.again(), (seconds ?? 0) * 1000);
  }

  #newTurn(state: LoginState): number {
    clearTimeout(this.#retry);
    this.#turn += 1;
    const flow = this.#flow;
    this.#flow = undefined;
    if (flow !== undefined && !flow.done) this.#cancelled = flow.cancel().catch(() => {});
    this.state = { ...state, retries: false };
    this.#options.changed();
    return this.#turn;
  }

  #set(change: Partial<LoginState>): void {
    const next = { ...this.state, ...change };
    this.state = change.view === undefined || "problem" in change ? next : { ...next, problem: undefined };
    this.#options.changed();
  }
}

function firstView(setup: { readonly code: string } | undefined): View {
  return setup === undefined ? { kind: "setup" } : { kind: "form", step: ownerForm(setup.code === "") };
}

function isSameForm(a: FlowStep, b: FormStep): boolean {
  if (a.type !== "form" || a.step_id !== b.step_id) return false;
  return JSON.stringify(a.data_schema) === JSON.stringify(b.data_schema);
}

function inSeconds(seconds: number | undefined): number | undefined {
  return seconds === undefined || seconds <= 0 ? undefined : Date.now() + seconds * 1000;
}

function asGatewayError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error;
  return new GatewayError("unknown_error", error instanceof Error ? error.message : String(error));
}
