import type { AbortStep, FlowStep } from "../../protocol/flow.ts";
import { AuthError } from "../auth/errors.ts";
import { abortStep } from "../auth/login/flow-steps.ts";
import type { FlowAnswer, FlowHolder, LoginFlows } from "../auth/login/login-flows.ts";
import type { SocketSession } from "./session.ts";

/** The wait after the flow's record could not be read, ms. */
const readAgainMs = 1_000;

type Flows = Pick<LoginFlows, "advance" | "cancel" | "next">;

/** The socket that a flow belongs to. */
export type SessionFlowHost = Pick<SocketSession, "live" | "peer" | "send" | "disposables">;

/** What else is done with the steps of a flow. */
export interface StepRules {
  /** The step as the client gets it. */
  readonly shown: (step: FlowStep) => Promise<FlowStep>;
  /** Called after a step was sent as an event. */
  readonly sent: (step: FlowStep) => void;
}

const asItIs: StepRules = { shown: async (step) => step, sent: () => undefined };

/**
 * A flow of an authenticated socket: it links a login to the socket's user, or proves that user again. Its secret stays here, so no other socket can go on
 * with it: it is cancelled when the socket closes. If its step waits for something outside, the next step is sent as an
 * event on the id of the start. The record is also read at the flow's deadline, because a message of the bus may be
 * lost.
 */
export class SessionFlow implements FlowHolder {
  readonly #flows: Flows;
  readonly #session: SessionFlowHost;
  readonly #rules: StepRules;
  /** The id of the message that began it. */
  readonly startId: number;
  #answer: FlowAnswer | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Steps are taken one after another. */
  #tail: Promise<unknown> = Promise.resolve();

  constructor(flows: Flows, session: SessionFlowHost, startId: number, rules = asItIs) {
    this.#flows = flows;
    this.#session = session;
    this.#rules = rules;
    this.startId = startId;
  }

  /** Undefined once the flow is over. */
  get id(): string | undefined {
    return this.#answer?.step.flow_id;
  }

  /** The first step, as the client gets it. */
  async begin(answer: FlowAnswer): Promise<FlowStep> {
    this.#session.disposables.add(this.startId, () => void this.cancel().catch(() => undefined));
    return await this.#rules.shown(this.#entered(answer));
  }

  async submit(input: Readonly<Record<string, unknown>>): Promise<FlowStep> {
    return await this.#inTurn(async () => {
      const claim = this.#claim();
      const answer = await this.#flows.advance({ ...claim, input }, this.#session.peer);
      return await this.#rules.shown(this.#entered(answer));
    });
  }

  async cancel(): Promise<AbortStep> {
    return await this.#inTurn(async () => {
      const claim = this.#claim();
      this.#over();
      return await this.#flows.cancel(claim);
    });
  }

  flowContinued(): void {
    void this.#inTurn(() => this.#read());
  }

  async #read(): Promise<void> {
    const answer = this.#answer;
    if (answer === undefined || !this.#session.live) return;
    try {
      const { stepNumber } = answer;
      const next = await this.#flows.next({ ...this.#claim(), stepNumber }, this.#session.peer, this);
      if (next !== undefined) await this.#push(this.#entered(next));
    } catch (error) {
      if (error instanceof AuthError && error.code === "invalid_flow")
        await this.#endedElsewhere(answer.step);
      else this.#readIn(readAgainMs);
    }
  }

  async #endedElsewhere({ flow_id: id, handler }: FlowStep): Promise<void> {
    this.#over();
    await this.#push(abortStep({ id, handler }, "ended_elsewhere"));
  }

  async #push(step: FlowStep): Promise<void> {
    const event = await this.#rules.shown(step);
    this.#session.send({ id: this.startId, type: "event", event });
    this.#rules.sent(event);
  }

  #entered(answer: FlowAnswer): FlowStep {
    const { step } = answer;
    clearTimeout(this.#timer);
    if (step.type === "abort" || step.type === "create_entry") this.#over();
    else {
      this.#answer = answer;
      if (step.type !== "form") this.#readIn(answer.endsInMs);
    }
    return step;
  }

  #readIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flowContinued(), ms).unref();
  }

  #over(): void {
    clearTimeout(this.#timer);
    this.#answer = undefined;
    this.#session.disposables.dispose(this.startId);
  }

  /** Throws `invalid_flow` once the flow is over. */
  #claim(): { readonly flowId: string; readonly flowSecret: string } {
    if (this.#answer === undefined) throw new AuthError("invalid_flow");
    return { flowId: this.#answer.step.flow_id, flowSecret: this.#answer.flowSecret };
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = this.#tail.then(work);
    this.#tail = turn.catch(() => undefined);
    return turn;
  }
}
