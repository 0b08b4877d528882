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
  /** Sends ahead of everything that is queued, although the socket is suspended. */
  sendBypassingQueue(message: ServerMessage): void;
  end(close: CloseName): boolean;
}

export interface SuspensionBufferParts {
  readonly suspension: Suspension;
  readonly wheel: TimerWheel;
}

export interface Waiting {
  readonly kept: Frame;
  readonly bytes: number;
  /** The highest id of the pings that were answered before it came. */
  readonly pinged: number;
}

/** One suspension of a socket: what came in meanwhile, what the client was told, the deadline. */
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

  /** The client was told of the suspension, so it has to be told when the socket resumes. */
  get told(): boolean {
    return this.#told;
  }

  /** What waits, in order of arrival. */
  get waiting(): readonly Waiting[] {
    return this.#waiting;
  }

  /**
   * A frame came in. A single ping is answered. A client that negotiates `auth_suspended` now is told of the
   * suspension. Everything else waits until the socket resumes.
   */
  take(frame: Frame, commands: CommandPhase): void {
    const read = commands.read(frame);
    if (read === undefined || commands.answerPing(read.message)) return;
    if (!this.#told && negotiates(read.message)) this.#tell();
    const bytes = typeof frame === "string" ? Buffer.byteLength(frame) : frame.byteLength;
    // The transport's bytes are valid during this call only.
    const kept = typeof frame === "string" ? frame : new Uint8Array(frame);
    this.keep({ kept, bytes, pinged: commands.highestPing });
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

  /** The socket resumes or closes. Called once. */
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

/**
 * `supported_features` with `auth_suspended`, alone or in a batch. Whether the message is valid is checked when it
 * runs.
 */
function negotiates(message: unknown): boolean {
  if (Array.isArray(message)) return message.some((each) => !Array.isArray(each) && negotiates(each));
  if (typeof message !== "object" || message === null) return false;
  const { type, features } = message as { type?: unknown; features?: unknown };
  if (type !== "supported_features" || typeof features !== "object" || features === null) return false;
  return Object.hasOwn(features, "auth_suspended");
}
