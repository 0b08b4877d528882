import type { Codec, Frame } from "../codec/codec.ts";
import type { Socket } from "./socket.ts";
import { Timer, type TimerOwner, type TimerWheel } from "./timer-wheel.ts";

/** Home Assistant's limits (reference 4.6), and ours in bytes. */
export const outboxLimits = {
  messages: 4096,
  /** More than so many messages for `peakMs` is a client that does not keep up. */
  peak: 1024,
  peakMs: 10_000,
  bytes: 1_048_576,
  /** Messages in one coalesced frame. */
  coalesced: 256,
} as const;

/** Frames that have left a queue and are not worth moving the rest for. */
const fewKept = 32;

/** Runs tasks once at the end of the present loop turn: one `setImmediate` for all of them. */
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
  /** False while the socket is suspended; `resume` follows. Asked before everything that is sent. */
  readonly maySend: boolean;
  /** More waits than `outboxLimits` allow: close the socket. */
  overflowed(): void;
}

/**
 * What waits to be sent on one socket. Frames leave in the order of `send`. An idle socket is sent to directly; behind
 * a full one, while coalescing, or while the socket is suspended, frames queue within `outboxLimits`, else the owner is
 * told to close. What was handed to the socket already is the transport's and does not count here. Nobody is closed for
 * the size of one message, nor for what was sent in one loop turn to a socket that has room.
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
  /** The waiting frame that is longer than `outboxBytes` by itself and is not counted in `#bytes`. One at most. */
  #oversized: Frame | undefined;
  /** The socket said "queued": it calls `drained` when there is room. */
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

  /** From now on everything that is sent in one loop turn goes out as one array frame; a single message stays bare. */
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

  /** The socket said "queued" to its owner. */
  block(): void {
    this.#blocked = true;
  }

  /** The socket has taken everything that was handed to it. */
  get hasRoom(): boolean {
    return !this.#blocked && !this.#stopped;
  }

  /** Sends before everything that waits, to a suspended socket too; a message that came this way stays bare. */
  sendBypassingQueue(frame: Frame): void {
    if (!this.#stopped) this.#hand(frame);
  }

  /** The socket is not suspended any more. What waited for that is no sign of a slow client. */
  resume(): void {
    this.#parts.wheel.cancel(this.#peakTimer);
    this.#flush();
    this.#watchPeak();
  }

  /** Hands everything to the socket now, also when it has no room: for what must be out before a close. */
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

  /** Drops what waits; inert afterwards. */
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
    // While coalescing, frames wait for the end of the loop turn although the client reads: that is no slow client.
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

  /** A queue that never runs empty must not keep what has left it: at most as much as waits, and a few. */
  #letGo(): void {
    if (this.#head < fewKept || this.#head * 2 < this.#queue.length) return;
    this.#queue = this.#queue.slice(this.#head);
    this.#head = 0;
  }

  #hand(frame: Frame): void {
    const result = this.#socket.send(frame);
    if (result === "queued") this.#blocked = true;
    else if (result === "dropped") this.stop();
  }
}

function sizeOf(frame: Frame): number {
  return typeof frame === "string" ? Buffer.byteLength(frame) : frame.byteLength;
}
