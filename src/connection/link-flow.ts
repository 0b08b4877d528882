import type { AbortStep, FlowStep } from "../../protocol/flow.ts";
import { AuthError } from "../auth/errors.ts";
import { abortStep } from "../auth/login/flow-steps.ts";
import type { FlowAnswer, FlowHolder, LoginFlows } from "../auth/login/login-flows.ts";
import type { Session } from "./session.ts";

/** The wait after the flow's record could not be read, ms. */
const readAgainMs = 1_000;

type Flows = Pick<LoginFlows, "advance" | "cancel" | "next">;

/**
 * A flow that links a login to the user of an authenticated socket. Its secret stays here, so no other socket can go on
 * with it: it is cancelled when the socket closes. If its step waits for something outside, the next step is sent as an
 * event on the id of the start. The record is also read at the flow's deadline, because a message of the bus may be
 * lost.
 */
export class LinkFlow implements FlowHolder {
  readonly #flows: Flows;
  readonly #session: Session;
  /** The id of the message that began it. */
  readonly startId: number;
  #answer: FlowAnswer | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Steps are taken one after another. */
  #tail: Promise<unknown> = Promise.resolve();

  constructor(flows: Flows, session: Session, startId: number) {
    this.#flows = flows;
    this.#session = session;
    this.startId = startId;
  }

  /** Undefined once the flow is over. */
  get id(): string | undefined {
    return this.#answer?.step.flow_id;
  }

  /** The first step, as the client gets it. */
  begin(answer: FlowAnswer): FlowStep {
    this.#session.disposables.add(this.startId, () => void this.cancel().catch(() => undefined));
    return this.#entered(answer);
  }

  async submit(input: Readonly<Record<string, unknown>>): Promise<FlowStep> {
    return await this.#inTurn(async () => {
      const claim = this.#claim();
      return this.#entered(await this.#flows.advance({ ...claim, input }, this.#session.peer));
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
      if (next !== undefined) this.#push(this.#entered(next));
    } catch (error) {
      if (error instanceof AuthError && error.code === "invalid_flow") this.#endedElsewhere(answer.step);
      else this.#readIn(readAgainMs);
    }
  }

  #endedElsewhere({ flow_id: id, handler }: FlowStep): void {
    this.#over();
    this.#push(abortStep({ id, handler }, "ended_elsewhere"));
  }

  #push(event: FlowStep): void {
    this.#session.send({ id: this.startId, type: "event", event });
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
