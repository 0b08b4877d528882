import type { CloseName } from "../../protocol/close-codes.ts";
import type { ErrorName } from "../../protocol/errors.ts";
import { limits } from "../../protocol/features.ts";
import type { ErrorBody, ServerMessage } from "../../protocol/frames.ts";
import type { Clock } from "../auth/clock.ts";
import { type Codec, CodecError, type Frame } from "../codec/codec.ts";
import { answered, type Command, type Dispatch, type Envelope } from "./command.ts";
import { bodyOfFailure, codeOfFailure, errorBody } from "./error-body.ts";
import { idProblem } from "./message-id.ts";
import { MessageRate } from "./message-rate.ts";
import type { ConnectionLog, ConnectionObserver } from "./observer.ts";
import type { Session } from "./session.ts";
import { isLonger } from "./wire.ts";

/** Messages in one batch. */
export const batchLimit = 256;

export interface CommandHost {
  readonly codec: Codec;
  /** False once the socket is closing: the rest of a batch is not looked at. */
  readonly live: boolean;
  reply(message: ServerMessage): void;
  end(close: CloseName): boolean;
}

export interface CommandParts {
  readonly dispatch: Dispatch;
  readonly clock: Clock;
  readonly log: ConnectionLog;
  readonly observer: ConnectionObserver;
  readonly messagesPerSecond: number;
}

/** One socket after `auth_ok`: ids, dispatch and answers as Home Assistant has them (reference 4.3). */
export class CommandPhase {
  readonly #parts: CommandParts;
  readonly #host: CommandHost;
  readonly #session: Session;
  readonly #rate: MessageRate;
  #lastId: number;
  #inFlight = 0;

  constructor(parts: CommandParts, host: CommandHost, session: Session, lastId: number) {
    this.#parts = parts;
    this.#host = host;
    this.#session = session;
    this.#lastId = lastId;
    this.#rate = new MessageRate(parts.messagesPerSecond, parts.clock.monotonic());
  }

  frame(frame: Frame): void {
    if (isLonger(frame, limits.frame)) {
      this.#host.end("message_too_big");
      return;
    }
    let message: unknown;
    try {
      message = this.#host.codec.decode(frame);
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      this.#host.end(error.close);
      return;
    }
    this.take(message);
  }

  /** A decoded message, or a batch of them. */
  take(message: unknown): void {
    if (Array.isArray(message)) this.#batch(message);
    else this.#message(message);
  }

  #batch(messages: readonly unknown[]): void {
    if (messages.length > batchLimit) {
      this.#fail(0, undefined, errorBody("invalid_format", `A batch holds at most ${batchLimit} messages.`));
      return;
    }
    for (const message of messages) {
      if (!this.#host.live) return;
      this.#message(message);
    }
  }

  #message(message: unknown): void {
    if (!this.#withinRate(message)) return;
    const known = envelopeOf(message);
    if (known === undefined) this.#fail(idOf(message), undefined, errorBody("invalid_format"));
    else this.#command(known);
  }

  /** Only a message that reaches its command uses up its id, as in Home Assistant. */
  #command(message: Envelope): void {
    const problem = idProblem(message.id, this.#lastId);
    const command = problem === undefined ? this.#parts.dispatch(message.type) : undefined;
    if (problem !== undefined) this.#fail(message.id, undefined, problem);
    else if (command === undefined) this.#fail(message.id, undefined, errorBody("unknown_command"));
    else if (this.#inFlight >= limits.inFlight) this.#fail(message.id, message.type, errorBody("overloaded"));
    else {
      this.#lastId = message.id;
      const shape = command.problem(message);
      if (shape === undefined) this.#run(command, message);
      else this.#fail(message.id, message.type, errorBody("invalid_format", shape));
    }
  }

  #withinRate(message: unknown): boolean {
    const verdict = this.#rate.take(this.#parts.clock.monotonic());
    if (verdict === "pass") return true;
    if (verdict === "refuse") this.#fail(idOf(message), undefined, errorBody("rate_limited"));
    else this.#host.end("rate_limited");
    return false;
  }

  #run(command: Command, message: Envelope): void {
    try {
      const result = command.run(message, this.#session);
      if (result instanceof Promise) this.#await(message, result);
      else this.#answer(message, result);
    } catch (error) {
      this.#failed(message, error);
    }
  }

  #await(message: Envelope, result: Promise<unknown>): void {
    this.#inFlight += 1;
    result
      .finally(() => {
        this.#inFlight -= 1;
      })
      .then((value) => this.#answer(message, value))
      .catch((error: unknown) => this.#failed(message, error));
  }

  #answer({ id, type }: Envelope, result: unknown): void {
    if (result !== answered) this.#host.reply({ id, type: "result", success: true, result: result ?? null });
    this.#parts.observer.answered(type, "ok");
  }

  #failed({ id, type }: Envelope, error: unknown): void {
    const body = bodyOfFailure(error, type, this.#parts.log);
    this.#parts.observer.answered(type, codeOfFailure(error));
    this.#host.reply({ id, type: "result", success: false, error: body });
  }

  #fail(id: unknown, type: string | undefined, error: ErrorBody): void {
    this.#parts.observer.answered(type, error.code as ErrorName);
    this.#host.reply({ id, type: "result", success: false, error });
  }
}

function envelopeOf(message: unknown): Envelope | undefined {
  if (typeof message !== "object" || message === null) return undefined;
  const { id, type } = message as { id?: unknown; type?: unknown };
  return typeof type === "string" && idProblem(id, 0) === undefined ? (message as Envelope) : undefined;
}

/** What the client sent as id, whatever it is; 0 when there is none. */
function idOf(message: unknown): unknown {
  if (typeof message !== "object" || message === null || Array.isArray(message)) return 0;
  return (message as { id?: unknown }).id ?? 0;
}
