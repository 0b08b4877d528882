import { Receiver, type WriteDone } from "ws";
import "./ws-package.ts";

/** More pieces than this of what is unfinished, and one more for each `BYTES_PER_PIECE` of it, are joined to one. */
const MAX_PIECES = 64;
/** Keeps what is copied in proportion: with a fixed number a message of many pieces is copied again and again. */
const BYTES_PER_PIECE = 128;
/** Bytes of reads that may stay in memory beyond twice the bytes that are needed of them. */
const SLACK_BYTES = 16 * 1024;
/** Frames that are read in one go. A read of 64 KiB can hold 10,000, and Node gives up to 32 such reads at once. */
const FRAMES_AT_ONCE = 32;

/** States of the package's receiver: the beginning of a frame comes next, or it goes on when it is told to. */
const [GET_INFO, DEFER_EVENT] = [0, 6];

/**
 * The frame reader of the `ws` package, with a bound on memory that it lacks. It keeps a view of each read in which a part
 * of an unfinished message came: a fragment of one byte keeps a read of 64 KiB, and a frame that comes byte by byte
 * keeps a buffer for each byte. Here what is unfinished takes at most four times its own size and 80 KiB, in however many
 * pieces it comes. So neither the number of reads nor that of fragments needs a limit that an honest client could meet.
 *
 * It also reads few frames at once. While more are left, `waits` is true: give it nothing, and call `readOn` in a
 * later turn of the event loop.
 */
export class BoundedReceiver extends Receiver {
  /** Bytes of the reads of which parts may be kept. */
  #alive = 0;
  /** Frames that may still be read in this go. */
  #framesLeft = 0;
  #fragments = 0;
  /** Ends the write whose frames are not all read. */
  #writeDone: WriteDone | undefined;

  constructor(maxMessageBytes: number) {
    super({
      isServer: true,
      maxPayload: maxMessageBytes,
      // A message whose frames are not empty cannot have more: what is refused is a flood of empty ones.
      maxFragments: maxMessageBytes,
      maxBufferedChunks: 0,
    });
  }

  /** For frames whose header comes after this call. */
  limitMessages(bytes: number): void {
    this._maxPayload = bytes;
  }

  get waits(): boolean {
    return this.#writeDone !== undefined;
  }

  /** Frames that came inside a fragmented message and were not taken by `takeFragments` yet. */
  get fragments(): number {
    return this.#fragments;
  }

  takeFragments(): number {
    const count = this.#fragments;
    this.#fragments = 0;
    return count;
  }

  readOn(): void {
    const done = this.#writeDone;
    if (done === undefined) return;
    this.#writeDone = undefined;
    this.#framesLeft = FRAMES_AT_ONCE;
    this._state = GET_INFO;
    this.startLoop(done);
    this.#bound(0);
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: WriteDone): void {
    this.#framesLeft = FRAMES_AT_ONCE;
    super._write(chunk, encoding, done);
    this.#bound(chunk.length);
  }

  protected override getInfo(done: WriteDone): void {
    if (this._bufferedBytes >= 2) {
      if (this.#framesLeft === 0) {
        this.#writeDone = done;
        this._state = DEFER_EVENT;
        return;
      }
      this.#framesLeft -= 1;
      if (this._fragmented !== 0) this.#fragments += 1;
    }
    super.getInfo(done);
  }

  /** `bytes`: of the read that came, of which parts may be kept. */
  #bound(bytes: number): void {
    const pieces = this._fragments.length + this._buffers.length;
    if (pieces === 0) this.#alive = 0;
    else {
      this.#alive += bytes;
      if (pieces > MAX_PIECES || this.#alive > SLACK_BYTES) this.#join(pieces);
    }
  }

  #join(pieces: number): void {
    const needed = bytesOf(this._fragments) + bytesOf(this._buffers);
    const most = MAX_PIECES + needed / BYTES_PER_PIECE;
    if (pieces <= most && this.#alive <= 2 * needed + SLACK_BYTES) return;
    if (this._fragments.length > 0) this._fragments = [joined(this._fragments)];
    if (this._buffers.length > 0) this._buffers = [joined(this._buffers)];
    this.#alive = needed;
  }
}

function bytesOf(pieces: readonly Buffer[]): number {
  let bytes = 0;
  for (const piece of pieces) bytes += piece.length;
  return bytes;
}

/** In memory of its own: small buffers from Node's pool would keep the pool. */
function joined(pieces: readonly Buffer[]): Buffer {
  const whole = Buffer.allocUnsafeSlow(bytesOf(pieces));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
