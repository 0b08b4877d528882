import type { ConnectionLog } from "./observer.ts";

/**
 * What a session acquired, by the id of the command that acquired it. Closing calls every disposer. One that throws
 * does not stop the others.
 */
export class Disposables {
  readonly #log: ConnectionLog;
  #disposers: Map<number, () => void> | undefined;
  #reserved: Set<number> | undefined;
  #closed = false;

  constructor(log: ConnectionLog) {
    this.#log = log;
  }

  /** With the places that are reserved. */
  get size(): number {
    return (this.#disposers?.size ?? 0) + (this.#reserved?.size ?? 0);
  }

  /** Counts an entry that `add` may bring later. Call `release` once it does not come any more. */
  reserve(id: number): void {
    this.#reserved ??= new Set();
    this.#reserved.add(id);
  }

  release(id: number): void {
    this.#reserved?.delete(id);
  }

  /** After the close, and if the id is taken, `dispose` is called at once. */
  add(id: number, dispose: () => void): void {
    this.#disposers ??= new Map();
    this.#reserved?.delete(id);
    if (this.#closed || this.#disposers.has(id)) this.#run(dispose);
    else this.#disposers.set(id, dispose);
  }

  /** False if there is no such entry. */
  dispose(id: number): boolean {
    const dispose = this.#disposers?.get(id);
    if (dispose === undefined) return false;
    this.#disposers?.delete(id);
    this.#run(dispose);
    return true;
  }

  close(): void {
    this.#closed = true;
    const disposers = this.#disposers;
    this.#disposers = undefined;
    for (const dispose of disposers?.values() ?? []) this.#run(dispose);
  }

  #run(dispose: () => void): void {
    try {
      dispose();
    } catch (error) {
      this.#log.error({ err: error }, "a disposer failed");
    }
  }
}
