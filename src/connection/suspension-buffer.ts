import type { CloseName } from "../../protocol/close-codes.ts";
import { limits } from "../../protocol/features.ts";
import type { ServerMessage } from "../../protocol/frames.ts";
import type { Frame } from "../codec/codec.ts";
import type { CommandPhase } from "./command-phase.ts";
import type { Suspension } from "./suspension.ts";
import { Timer, type TimerOwner, type TimerWheel } from "./timer-wheel.ts";

/** What a suspension needs of its socket. */
export interface SuspensionBufferHost {
  /** The client negotiated `auth_suspended`. */
  readonly tellsSuspension: boolean;
  /** Sends before everything that waits, and although nothing may be sent. */
  sendBypassingQueue(message: ServerMessage): void;
  end(close: CloseName): boolean;
}

export interface SuspensionBufferParts {
  readonly suspension: Suspension;
  readonly wheel: TimerWheel;
}

/** A frame, or the messages of a batch that were not looked at any more. */
type Kept = Frame | readonly unknown[];

export interface Waiting {
  readonly kept: Kept;
  readonly bytes: number;
  /** The highest id of the pings that were answered before it came. */
  readonly pinged: number;
}

/** One socket's suspension, from its beginning to `end`: what came in meanwhile, what the client was told, the deadline. */
export class SuspensionBuffer implements TimerOwner {
  readonly #parts: SuspensionBufferParts;
  readonly #host: SuspensionBufferHost;
  readonly #timer = new Timer(this);
  readonly #since: number;
  readonly #waiting: Waiting[] = [];
  #bytes = 0;
  #told = false;

  constructor(parts: SuspensionBufferParts, host: SuspensionBufferHost) {
    this.#parts = parts;
    this.#host = host;
    this.#since = parts.suspension.lapsedAt;
    parts.suspension.sockets += 1;
    parts.wheel.set(this.#timer, parts.suspension.closesIn(this.#since).ownMs);
    if (host.tellsSuspension) this.#tell();
  }

  /** The client was told that the socket is suspended, so it is to be told that it goes on. */
  get told(): boolean {
    return this.#told;
  }

  /** What waits, in the order in which it came. */
  get waiting(): readonly Waiting[] {
    return this.#waiting;
  }

  /**
   * A frame came. A lone ping is answered, and a client that says now that it understands `auth_suspended` is told;
   * everything else waits, and is looked at when the socket goes on.
   */
  take(frame: Frame, commands: CommandPhase): void {
    const read = commands.read(frame);
    if (read === undefined || commands.pong(read.message)) return;
    if (!this.#told && negotiates(read.message)) this.#tell();
    const bytes = typeof frame === "string" ? Buffer.byteLength(frame) : frame.byteLength;
    // The transport's bytes are valid during the call only.
    const kept = typeof frame === "string" ? frame : new Uint8Array(frame);
    this.keep({ kept, bytes, pinged: commands.pinged });
  }

  keep(waiting: Waiting): void {
    this.#waiting.push(waiting);
    this.#bytes += waiting.bytes;
    if (this.#waiting.length > limits.suspendedFrames || this.#bytes > limits.suspendedBytes)
      this.#host.end("unavailable");
  }

  due(): void {
    this.#host.end("unavailable");
  }

  /** The socket goes on or is closed. Called once. */
  end(): void {
    this.#parts.wheel.cancel(this.#timer);
    this.#parts.suspension.sockets -= 1;
  }

  #tell(): void {
    this.#told = true;
    const { soonestMs } = this.#parts.suspension.closesIn(this.#since);
    this.#host.sendBypassingQueue({ type: "auth_suspended", retry_after: Math.ceil(soonestMs / 1000) });
  }
}

/** `supported_features` with `auth_suspended`, alone or in a batch; whether it is in order is seen when its turn comes. */
function negotiates(message: unknown): boolean {
  if (Array.isArray(message)) return message.some((each) => !Array.isArray(each) && negotiates(each));
  if (typeof message !== "object" || message === null) return false;
  const { type, features } = message as { type?: unknown; features?: unknown };
  if (type !== "supported_features" || typeof features !== "object" || features === null) return false;
  return Object.hasOwn(features, "auth_suspended");
}
