import { MAX_DISCARDED_BYTES } from "./http-exchange.ts";

/** The body of one request, bounded: beyond `maxBytes` it is counted and thrown away. */
export class BodyCollector {
  readonly #maxBytes: number;
  readonly #chunks: Uint8Array[] = [];
  #received = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** `chunk` is kept: it must not change afterwards. */
  add(chunk: Uint8Array): void {
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

  bytes(): Uint8Array<ArrayBuffer> {
    return Uint8Array.from(Buffer.concat(this.#chunks));
  }
}
