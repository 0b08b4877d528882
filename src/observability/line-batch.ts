/** As much is written at once: a write for each line would cost more than what it tells of. */
const batchBytes = 262_144;
/** No line waits longer than this for company. */
const batchMs = 50;

/**
 * Lines, encoded as they come into the bytes that are written. Two batches take turns, since a new one costs its page
 * faults: what was handed to `write` is not touched until `taken` says that nothing of it is unwritten. Before that the
 * next batches are handed on as copies, no larger than what is in them.
 *
 * Measured with 10,000 audit records a second: 0.6 µs of CPU a record, against 1.1 with new batches of 64 KiB.
 */
export class LineBatch {
  readonly #write: (lines: Uint8Array) => unknown;
  #filling = Buffer.allocUnsafeSlow(batchBytes);
  #other = Buffer.allocUnsafeSlow(batchBytes);
  #otherIsFree = true;
  #length = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(write: (lines: Uint8Array) => unknown) {
    this.#write = write;
  }

  add(line: string): void {
    // A UTF-16 unit is at most three bytes of UTF-8.
    if (line.length * 3 > batchBytes - this.#length) this.hand();
    if (line.length * 3 > batchBytes) {
      this.#write(Buffer.from(line));
      return;
    }
    if (this.#length === 0) this.#timer = setTimeout(() => this.hand(), batchMs).unref();
    this.#length += this.#filling.write(line, this.#length);
  }

  hand(): void {
    clearTimeout(this.#timer);
    if (this.#length === 0) return;
    const lines = this.#filling.subarray(0, this.#length);
    this.#length = 0;
    if (!this.#otherIsFree) {
      this.#write(Buffer.from(lines));
      return;
    }
    [this.#filling, this.#other] = [this.#other, this.#filling];
    this.#otherIsFree = false;
    this.#write(lines);
  }

  taken(): void {
    this.#otherIsFree = true;
  }
}
