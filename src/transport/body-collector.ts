import { MAX_DISCARDED_BYTES } from "./http-exchange.ts";

/** Pieces that any body may come in. */
const FREE_PIECES = 256;
/** Beyond them, so many bytes a piece on average. */
const MIN_PIECE_BYTES = 64;
/** Bytes that may come beside twice those of the body: framing of chunks, and what one or two reads hold beyond the body. */
const FREE_WIRE_BYTES = 192 * 1024;
/** Milliseconds of the event loop that the parser and we take for a piece. */
const PIECE_MS = 0.002;
/** The same for one read full of the smallest chunks, of which the parser may hand over each. */
const CHOPPED_READ_MS = 20;

/** The body of one request, bounded: beyond `maxBytes` it is counted and thrown away. */
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

  /** True when even reading on to say 413 costs too much. */
  get hopeless(): boolean {
    return this.#received > this.#maxBytes + MAX_DISCARDED_BYTES;
  }

  /** True when it comes in so many small pieces that reading it is an attack: its connection is destroyed. */
  get chopped(): boolean {
    return this.#pieces > FREE_PIECES + this.#received / MIN_PIECE_BYTES;
  }

  /** True when `wireBytes` are far more than it is long: the rest of its chunks is extensions, which nobody reads. */
  isPadded(wireBytes: number): boolean {
    return wireBytes > 2 * this.#received + FREE_WIRE_BYTES;
  }

  /** Milliseconds of the event loop that it took, as an estimate: a clock for each piece would cost more. */
  get costMs(): number {
    return this.#pieces * PIECE_MS + (this.chopped ? CHOPPED_READ_MS : 0);
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return Uint8Array.from(Buffer.concat(this.#chunks));
  }
}
