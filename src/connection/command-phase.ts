import type { CloseName } from "../../protocol/close-codes.ts";
import type { ErrorName } from "../../protocol/errors.ts";
import { limits } from "../../protocol/features.ts";
import type { ErrorBody, ServerMessage } from "../../protocol/frames.ts";
import type { Clock } from "../auth/clock/clock.ts";
import { AuthError } from "../auth/errors.ts";
import { afterPromises, type LoopTurns, type TurnTaker } from "../auth/scheduling/loop-turns.ts";
import { StepUpRequired } from "../auth/sessions/recent-login.ts";
import { type Codec, CodecError, type Frame } from "../codec/codec.ts";
import { answered, type Command, type Dispatch, type Envelope } from "./command.ts";
import { bodyOfFailure, codeOfFailure, errorBody, stoppingBody } from "./error-body.ts";
import { answerIdOf, idProblem } from "./message-id.ts";
import { MessageRate, type RateVerdict, stricter, type UserMessageRates } from "./message-rate.ts";
import type { ConnectionLog, ConnectionObserver } from "./observer.ts";
import type { SocketSession } from "./session.ts";
import { fullParts, isLonger } from "./wire-format.ts";

/** A frame counts for at least one message for each time that it has so many bytes. */
const bytesPerMessage = 512;
/** The largest batch, in messages. */
export const batchLimit = 256;

export interface CommandHost {
  readonly codec: Codec;
  /** False once the socket is closing. The rest of a batch is then ignored. */
  readonly live: boolean;
  /** False while the socket is suspended. No command may run then. */
  readonly mayRun: boolean;
  /** False while the client does not read what was sent. */
  readonly hasRoom: boolean;
  reply(message: ServerMessage): void;
  /** Sends ahead of everything that is queued, and also while the socket is suspended. */
  sendBypassingQueue(message: ServerMessage): void;
  end(close: CloseName): boolean;
}

export interface CommandParts {
  readonly dispatch: Dispatch;
  readonly clock: Clock;
  readonly log: ConnectionLog;
  readonly observer: ConnectionObserver;
  readonly messagesPerSecond: number;
  /** Of all sockets of a user on this node. */
  readonly userRates: UserMessageRates;
  readonly commandTurns: LoopTurns;
  /** The node is stopping: commands that run are answered, no other begins. */
  readonly stopping: () => boolean;
}

const noMessages: readonly unknown[] = [];

/** What waits for a later turn, behind the rest of the present batch. */
type Waiting =
  /** `cost`: messages that it was charged for. `isRefused`: it was one too many. */
  | { readonly frame: Frame; readonly cost: number; readonly isRefused: boolean }
  | { readonly messages: readonly unknown[] }
  | { readonly raiseTo: number };

/** One socket after `auth_ok`: ids, dispatch and answers, as in Home Assistant's WebSocket API. */
export class CommandPhase implements TurnTaker {
  readonly #parts: CommandParts;
  readonly #host: CommandHost;
  readonly #session: SocketSession;
  readonly #rate: MessageRate;
  #lastId: number;
  /** The highest id of the pings that were answered while the socket was suspended. */
  #highestPing = 0;
  #inFlight = 0;
  /** Messages of the present frame that were already charged, by its size. */
  #chargedAhead = 0;
  /** The rest of a batch begins at `#place`. */
  #batch = noMessages;
  #place = 0;
  /** In order of arrival. Bounded by the message rate: every frame is charged before it waits. */
  #waiting: Waiting[] | undefined;
  /** The turn in which a frame of this socket was begun last. */
  #begunIn = 0;
  /** A command has begun that answers with a promise. What it does at once counts for the turn before the next one begins. */
  #isBeginning = false;

  constructor(parts: CommandParts, host: CommandHost, session: SocketSession, lastId: number) {
    this.#parts = parts;
    this.#host = host;
    this.#session = session;
    this.#lastId = lastId;
    this.#rate = new MessageRate(parts.messagesPerSecond, parts.clock.monotonic());
  }

  /** Commands are running whose answers are still to come. */
  get busy(): boolean {
    return this.#inFlight > 0 || !this.#isIdle;
  }

  get highestPing(): number {
    return this.#highestPing;
  }

  /** A small frame of a socket that has had no turn yet never waits. So nobody waits for those who send much. */
  frame(frame: Frame): void {
    const cost = this.#chargeForSize(frame);
    if (cost === undefined) return;
    const { commandTurns: turns } = this.#parts;
    const begins = turns.goesOn() || (cost === 0 && this.#begunIn !== turns.number);
    if (!this.#isIdle || this.#isBeginning || !begins) {
      this.#postpone(frame, cost);
      return;
    }
    this.#begunIn = turns.number;
    this.#open(frame, cost);
    this.#goOn();
  }

  /** Messages that came before `auth_ok`. */
  take(messages: readonly unknown[]): void {
    if (this.#isIdle) {
      this.#begin(messages);
      this.#goOn();
    } else this.#wait({ messages });
  }

  runOn(): void {
    if (this.#isIdle || !this.#host.live || !this.#host.mayRun) return;
    this.#attempt(() => {
      this.#next();
      this.#goOn();
    });
  }

  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#parts.log.error({ err: error }, "message could not be handled");
      this.#host.end("internal_error");
    }
  }

  /** A WebSocket ping, or a pong that answers no ping of ours. */
  control(): void {
    if (this.#takeRate() === "close") this.#host.end("rate_limited");
  }

  #takeRate(cost = 1): RateVerdict {
    const now = this.#parts.clock.monotonic();
    const { userId } = this.#session.principal;
    return stricter(this.#rate.take(now, cost), this.#parts.userRates.take(userId, now, cost));
  }

  get #isIdle(): boolean {
    return this.#batch === noMessages && (this.#waiting === undefined || this.#waiting.length === 0);
  }

  #postpone(frame: Frame, cost: number): void {
    const verdict = cost === 0 ? this.#takeRate() : "pass";
    if (verdict === "close") this.#host.end("rate_limited");
    else {
      // The transport's bytes are valid during this call only.
      const kept = typeof frame === "string" ? frame : new Uint8Array(frame);
      this.#wait({ frame: kept, cost: Math.max(cost, 1), isRefused: verdict === "refuse" });
    }
  }

  #wait(waiting: Waiting): void {
    this.#waiting ??= [];
    this.#waiting.push(waiting);
    this.#parts.commandTurns.ask(this);
  }

  /** Until nothing is left, or the turn is over, or the socket is suspended: then `runOn` follows when it resumes. */
  #goOn(): void {
    while (!this.#isIdle && !this.#isBeginning && this.#host.live && this.#host.mayRun) {
      if (!this.#parts.commandTurns.goesOn()) {
        this.#parts.commandTurns.ask(this);
        return;
      }
      this.#next();
    }
  }

  #next(): void {
    if (this.#batch !== noMessages) {
      const message = this.#batch[this.#place];
      this.#place += 1;
      if (this.#place === this.#batch.length) this.#batch = noMessages;
      this.#message(message);
      return;
    }
    const waiting = this.#waiting?.shift();
    if (waiting === undefined) return;
    if ("frame" in waiting) this.#open(waiting.frame, waiting.cost, waiting.isRefused);
    else if ("messages" in waiting) this.#begin(waiting.messages);
    else this.#lastId = Math.max(this.#lastId, waiting.raiseTo);
  }

  #open(frame: Frame, cost: number, isRefused = false): void {
    const read = this.#decode(frame);
    if (read === undefined) return;
    const { message } = read;
    // The messages of a batch that was refused are judged one by one.
    this.#chargedAhead = isRefused ? 0 : cost;
    if (Array.isArray(message)) this.#begin(message);
    else if (isRefused) this.#fail(answerIdOf(message), undefined, errorBody("rate_limited"));
    else this.#message(message);
  }

  /**
   * The message or batch in a frame that is not run yet. Undefined if the frame broke a rule and the socket was closed
   * for it.
   */
  read(frame: Frame): { readonly message: unknown } | undefined {
    return this.#chargeForSize(frame) === undefined ? undefined : this.#decode(frame);
  }

  /**
   * How many messages the frame counts for by its size. It is charged before it is decoded, which is what a large frame
   * costs. Undefined if it was not allowed and the socket was closed for it.
   */
  #chargeForSize(frame: Frame): number | undefined {
    if (isLonger(frame, limits.frame)) {
      this.#host.end("message_too_big");
      return undefined;
    }
    const cost = fullParts(frame, bytesPerMessage);
    if (cost > 0 && this.#takeRate(cost) !== "pass") {
      this.#host.end("rate_limited");
      return undefined;
    }
    return cost;
  }

  #decode(frame: Frame): { readonly message: unknown } | undefined {
    try {
      return { message: this.#host.codec.decode(frame) };
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      this.#host.end(error.close);
      return undefined;
    }
  }

  /**
   * Answers a single ping of a suspended socket. False for every other message, and for a ping that has to wait: its
   * id is not higher than the last one, it is over the rate, or the client does not read. The ids of the messages
   * that wait are not known yet. So the id of a ping must be higher than those of the commands that ran and of the
   * pings before it.
   */
  answerPing(message: unknown): boolean {
    const known = envelopeOf(message);
    if (known?.type !== "ping" || Object.keys(known).length !== 2) return false;
    if (known.id <= Math.max(this.#lastId, this.#highestPing) || !this.#host.hasRoom) return false;
    if (this.#takeRate() !== "pass") return false;
    this.#highestPing = known.id;
    this.#host.sendBypassingQueue({ id: known.id, type: "pong" });
    this.#parts.observer.answered("ping", "ok");
    return true;
  }

  /**
   * The messages that waited before these pings have run. From now on ids have to be higher than those of the pings.
   */
  raiseLastId(ping = this.#highestPing): void {
    if (this.#isIdle) this.#lastId = Math.max(this.#lastId, ping);
    else this.#wait({ raiseTo: ping });
  }

  #begin(messages: readonly unknown[]): void {
    const isCharged = this.#chargedAhead > 0;
    if (messages.length === 0 && !isCharged && this.#takeRate() === "close") this.#host.end("rate_limited");
    if (messages.length > batchLimit) {
      if (!this.#withinRate(0)) return;
      this.#fail(
        answerIdOf(messages),
        undefined,
        errorBody("invalid_format", `A batch holds at most ${batchLimit} messages.`),
      );
      return;
    }
    this.#batch = messages.length === 0 ? noMessages : messages;
    this.#place = 0;
  }

  #message(message: unknown): void {
    if (!this.#withinRate(message)) return;
    const known = envelopeOf(message);
    if (known === undefined) this.#fail(answerIdOf(message), undefined, errorBody("invalid_format"));
    else this.#command(known);
  }

  /** As in Home Assistant, only a message that reaches its command uses up its id. */
  #command(message: Envelope): void {
    const problem = idProblem(message.id, this.#lastId);
    const command = problem === undefined ? this.#parts.dispatch(message.type) : undefined;
    if (problem !== undefined) this.#fail(message.id, undefined, problem);
    else if (command === undefined) this.#fail(message.id, undefined, errorBody("unknown_command"));
    else if (this.#inFlight >= limits.inFlight) this.#fail(message.id, message.type, errorBody("overloaded"));
    else if (this.#parts.stopping() && message.type !== "ping")
      this.#fail(message.id, message.type, stoppingBody());
    else {
      this.#lastId = message.id;
      this.#run(command, message);
    }
  }

  #withinRate(message: unknown): boolean {
    if (this.#chargedAhead > 0) {
      this.#chargedAhead -= 1;
      return true;
    }
    const verdict = this.#takeRate();
    if (verdict === "pass") return true;
    if (verdict === "refuse") this.#fail(answerIdOf(message), undefined, errorBody("rate_limited"));
    else this.#host.end("rate_limited");
    return false;
  }

  #run(command: Command, message: Envelope): void {
    try {
      const result = command.run(message, this.#session);
      if (result instanceof Promise) this.#await(command, message, result);
      else this.#answer(message, result);
    } catch (error) {
      this.#failed(command, message, error);
    }
  }

  #await(command: Command, message: Envelope, result: Promise<unknown>): void {
    this.#inFlight += 1;
    if (!this.#isBeginning) {
      this.#isBeginning = true;
      afterPromises(() => {
        this.#isBeginning = false;
        if (!this.#isIdle) this.#parts.commandTurns.ask(this);
      });
    }
    result
      .finally(() => {
        this.#inFlight -= 1;
      })
      .then((value) => this.#answer(message, value))
      .catch((error: unknown) => this.#failed(command, message, error));
  }

  #answer({ id, type }: Envelope, result: unknown): void {
    if (result !== answered) this.#host.reply({ id, type: "result", success: true, result: result ?? null });
    this.#parts.observer.answered(type, "ok");
  }

  #failed(command: Command, message: Envelope, error: unknown): void {
    if (error instanceof StepUpRequired && this.#waits(command, message, error)) return;
    this.#refuse(message, error);
  }

  /** False: the client cannot let the person log in here. */
  #waits(command: Command, message: Envelope, { demand, canStepUp }: StepUpRequired): boolean {
    const session = this.#session;
    if (!canStepUp || !session.features.has("step_up") || !session.live) return false;
    const refuse = (error: AuthError) => this.#refuse(message, error);
    session.stepUp.hold({
      id: message.id,
      type: message.type,
      bytes: Buffer.byteLength(this.#host.codec.encode(message)),
      demand,
      refuse,
      run: () => {
        if (this.#parts.stopping()) this.#fail(message.id, message.type, stoppingBody());
        else if (!this.#host.mayRun) refuse(new AuthError("step_up_failed"));
        else this.#run(command, message);
      },
    });
    return true;
  }

  #refuse({ id, type }: Envelope, error: unknown): void {
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
