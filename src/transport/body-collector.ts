import { MAX_DISCARDED_BYTES } from "./http-exchange.ts";

/** Pieces that every body may come in. */
const FREE_PIECES = 256;
/** Above that number: bytes a piece must have on average. */
const MIN_PIECE_BYTES = 64;
/**
 * Bytes that may come beside twice those of the body: the framing of chunks, and what one or two reads hold beyond
 * the body.
 */
const FREE_WIRE_BYTES = 192 * 1024;
/** Event-loop time that the parser and this class take for a piece, ms. */
const PIECE_MS = 0.002;
/** Event-loop time for one read full of the smallest chunks, each of which the parser may hand over, ms. */
const CHOPPED_READ_MS = 20;

/** The body of one request, bounded: bytes above `maxBytes` are counted and dropped. */
export class BodyCollector {
  readonly #maxBytes: number;
  readonly #chunks: Uint8Array[] = [];
  #received = 0;
  #pieces = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** `chunk` is kept: it must not change afterwards. */
  add(chunk: Uint8Array): void {
    this.#pieces += 1;
    this.#received += chunk.byteLength;
    if (this.tooLarge) this.#chunks.length = 0;
    else this.#chunks.push(chunk);
  }

  get tooLarge(): boolean {
    return this.#received > this.#maxBytes;
  }

  /** True if it would cost too much to read on until the 413 can be sent. */
  get hopeless(): boolean {
    return this.#received > this.#maxBytes + MAX_DISCARDED_BYTES;
  }

  /** True if the body comes in so many small pieces that reading it is an attack. Its connection is destroyed. */
  get chopped(): boolean {
    return this.#pieces > FREE_PIECES + this.#received / MIN_PIECE_BYTES;
  }

  /** True if `wireBytes` are far more than the body is long. The rest are chunk extensions, which nobody reads. */
  isPadded(wireBytes: number): boolean {
    return wireBytes > 2 * this.#received + FREE_WIRE_BYTES;
  }

  /** The event-loop time that it took, ms. An estimate: reading a clock for each piece would cost more. */
  get costMs(): number {
    return this.#pieces * PIECE_MS + (this.chopped ? CHOPPED_READ_MS : 0);
  }

  bytes(): Uint8Array {
    const [only = new Uint8Array(0), ...more] = this.#chunks;
    return more.length === 0 ? only : Buffer.concat(this.#chunks);
  }
}
