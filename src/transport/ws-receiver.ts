import { Receiver } from "ws";
import "./ws-package.ts";

/** More pieces than this of what is unfinished are joined to one. */
const MAX_PIECES = 64;
/** Bytes of reads that may stay in memory beyond twice the bytes that are needed of them. */
const SLACK_BYTES = 16 * 1024;

/**
 * The frame reader of the `ws` package, with a bound on memory that it lacks. It keeps a view of each read in which a part
 * of an unfinished message came: a fragment of one byte keeps a read of 64 KiB, and a frame that comes byte by byte
 * keeps a buffer for each byte. Here what is unfinished takes at most three times its own size and 80 KiB, in however many
 * pieces it comes. So neither the number of reads nor that of fragments needs a limit that an honest client could meet.
 */
export class BoundedReceiver extends Receiver {
  /** Bytes of the reads of which parts may be kept. */
  #alive = 0;

  constructor(maxMessageBytes: number) {
    super({
      isServer: true,
      maxPayload: maxMessageBytes,
      // A message whose frames are not empty cannot have more: what is refused is a flood of empty ones.
      maxFragments: maxMessageBytes,
      maxBufferedChunks: 0,
    });
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    super._write(chunk, encoding, done);
    const pieces = this._fragments.length + this._buffers.length;
    if (pieces === 0) this.#alive = 0;
    else {
      this.#alive += chunk.length;
      if (pieces > MAX_PIECES || this.#alive > SLACK_BYTES) this.#join(pieces);
    }
  }

  #join(pieces: number): void {
    const needed = bytesOf(this._fragments) + bytesOf(this._buffers);
    if (pieces <= MAX_PIECES && this.#alive <= 2 * needed + SLACK_BYTES) return;
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
