import type { Codec, Frame } from "../codec/codec.ts";
import type { SharedFrames } from "./shared-frames.ts";
import type { SendResult, Socket } from "./socket.ts";
import { Timer, type TimerOwner, type TimerWheel } from "./timer-wheel.ts";

/** Messages: Home Assistant's limits. Bytes are limited by configuration. */
export const outboxLimits = {
  messages: 4096,
  /** A client that has more messages than this waiting for `peakMs` does not keep up. */
  peak: 1024,
  peakMs: 10_000,
  bytes: 1_048_576,
  /** Messages in one coalesced frame. */
  coalesced: 256,
} as const;

/** Sent frames that stay in the array: moving the rest for fewer is not worth it. */
const fewKept = 32;

/** Runs tasks once at the end of the current tick of the event loop, with one `setImmediate` for all of them. */
export class EndOfTickBatch {
  readonly #onError: (error: unknown) => void;
  #tasks: { endOfTurn(): void }[] = [];

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  add(task: { endOfTurn(): void }): void {
    if (this.#tasks.push(task) === 1) setImmediate(() => this.#run());
  }

  #run(): void {
    const tasks = this.#tasks;
    this.#tasks = [];
    for (const task of tasks) {
      try {
        task.endOfTurn();
      } catch (error) {
        this.#onError(error);
      }
    }
  }
}

/** What all outboxes of a node share. */
export interface OutboxParts {
  readonly turns: EndOfTickBatch;
  readonly wheel: TimerWheel;
  readonly outboxBytes: number;
}

export interface OutboxOwner {
  /** False while the socket is suspended; `resume` follows. Asked before every frame that is sent. */
  readonly maySend: boolean;
  /** More waits than the limits allow: close the socket. */
  overflowed(): void;
}

/**
 * The frames that wait to be sent on one socket, in the order of `send`. An idle socket is written to directly.
 * Frames wait while the socket has no room, while messages are coalesced, or while the socket is suspended. Beyond
 * `outboxLimits` the owner is told to close. Frames that the transport has taken do not count. The size of one
 * message, or what was sent in one tick to a socket that has room, closes nobody.
 */
export class Outbox implements TimerOwner {
  readonly #socket: Socket;
  readonly #codec: Codec;
  readonly #parts: OutboxParts;
  readonly #owner: OutboxOwner;
  readonly #peakTimer = new Timer(this);
  #queue: Frame[] = [];
  #head = 0;
  #bytes = 0;
  /**
   * The waiting frame that alone is longer than `outboxBytes`. It is not counted in `#bytes`. There is at most one.
   */
  #oversized: Frame | undefined;
  /** The socket answered "queued". It calls `drained` when it has room. */
  #blocked = false;
  #coalescing = false;
  #scheduled = false;
  #stopped = false;

  constructor(socket: Socket, codec: Codec, parts: OutboxParts, owner: OutboxOwner) {
    this.#socket = socket;
    this.#codec = codec;
    this.#parts = parts;
    this.#owner = owner;
  }

  get waiting(): number {
    return this.#queue.length - this.#head;
  }

  get waitingBytes(): number {
    return this.#bytes;
  }

  /** From now on all messages of one tick are sent as one array. A single message is sent as it is. */
  coalesce(): void {
    this.#coalescing = true;
  }

  send(frame: Frame): void {
    if (this.#stopped) return;
    if (!this.#coalescing && !this.#blocked && this.waiting === 0 && this.#owner.maySend) {
      this.#hand(frame);
      return;
    }
    this.#enqueue(frame);
    if (this.#coalescing && !this.#scheduled && !this.#stopped) {
      this.#scheduled = true;
      this.#parts.turns.add(this);
    }
  }

  /** The socket answered "queued" to its owner. */
  block(): void {
    this.#blocked = true;
  }

  /** The socket has room for more. */
  get hasRoom(): boolean {
    return !this.#blocked && !this.#stopped;
  }

  /** Sends ahead of everything that waits, and also to a suspended socket. Such a message is not coalesced. */
  sendBypassingQueue(frame: Frame): void {
    if (!this.#stopped) this.#hand(frame);
  }

  /** Sends behind everything that waits. False: there is no room, and nothing was taken. */
  sendShared(frames: SharedFrames): boolean {
    this.#flush();
    if (!this.hasRoom || this.waiting > 0) return false;
    this.#sent(this.#socket.sendShared(frames));
    return true;
  }

  /** The socket is not suspended any more. What waited for that does not show that the client is slow. */
  resume(): void {
    this.#parts.wheel.cancel(this.#peakTimer);
    this.#flush();
    this.#watchPeak();
  }

  /** Gives everything to the socket now, even if it has no room: for what must be sent before a close. */
  pushAll(): void {
    while (this.waiting > 0 && this.#owner.maySend) this.#handNext();
    this.#settle();
  }

  drained(): void {
    this.#blocked = false;
    this.#flush();
  }

  endOfTurn(): void {
    this.#scheduled = false;
    this.#flush();
  }

  /** Drops what waits. Does nothing afterwards. */
  stop(): void {
    this.#stopped = true;
    this.#queue = [];
    this.#head = 0;
    this.#bytes = 0;
    this.#oversized = undefined;
    this.#parts.wheel.cancel(this.#peakTimer);
  }

  due(): void {
    if (this.waiting > outboxLimits.peak) this.#owner.overflowed();
  }

  #enqueue(frame: Frame): void {
    if (this.#stopped) return;
    this.#queue.push(frame);
    this.#count(frame);
    // While messages are coalesced, frames wait for the end of the tick although the client reads. That does not show
    // that it is slow.
    if (this.#isOverfull()) this.#flush();
    if (this.#isOverfull()) this.#owner.overflowed();
    else this.#watchPeak();
  }

  #isOverfull(): boolean {
    return this.waiting > outboxLimits.messages || this.#bytes > this.#parts.outboxBytes;
  }

  #count(frame: Frame): void {
    const size = sizeOf(frame);
    if (this.#oversized === undefined && size > this.#parts.outboxBytes) this.#oversized = frame;
    else this.#bytes += size;
  }

  #uncount(frame: Frame): void {
    if (frame === this.#oversized) this.#oversized = undefined;
    else this.#bytes -= sizeOf(frame);
  }

  #watchPeak(): void {
    if (this.waiting > outboxLimits.peak && !this.#peakTimer.isSet)
      this.#parts.wheel.set(this.#peakTimer, outboxLimits.peakMs);
  }

  #flush(): void {
    while (!this.#blocked && !this.#stopped && this.waiting > 0 && this.#owner.maySend) this.#handNext();
    this.#settle();
  }

  #settle(): void {
    if (this.waiting <= outboxLimits.peak) this.#parts.wheel.cancel(this.#peakTimer);
    if (this.waiting > 0) return;
    this.#queue = [];
    this.#head = 0;
  }

  #handNext(): void {
    const count = this.#coalescing ? Math.min(this.waiting, outboxLimits.coalesced) : 1;
    const frames = this.#queue.slice(this.#head, this.#head + count);
    this.#head += count;
    for (const frame of frames) this.#uncount(frame);
    const [first] = frames;
    if (first === undefined) return;
    this.#letGo();
    this.#hand(frames.length === 1 ? first : this.#codec.join(frames));
  }

  /** A queue that is never empty must not keep what was sent: at most as many as wait, and a few. */
  #letGo(): void {
    if (this.#head < fewKept || this.#head * 2 < this.#queue.length) return;
    this.#queue = this.#queue.slice(this.#head);
    this.#head = 0;
  }

  #hand(frame: Frame): void {
    this.#sent(this.#socket.send(frame));
  }

  #sent(result: SendResult): void {
    if (result === "queued") this.#blocked = true;
    else if (result === "dropped") this.stop();
  }
}

function sizeOf(frame: Frame): number {
  return typeof frame === "string" ? Buffer.byteLength(frame) : frame.byteLength;
}
