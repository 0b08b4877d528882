import type { ConnectionLog } from "./observer.ts";

/**
 * Everything that a session acquired, by the id of the command that acquired it. Closing runs every disposer; one that
 * fails does not stop the rest.
 */
export class Disposables {
  readonly #log: ConnectionLog;
  #disposers: Map<number, () => void> | undefined;
  #closed = false;

  constructor(log: ConnectionLog) {
    this.#log = log;
  }

  get size(): number {
    return this.#disposers?.size ?? 0;
  }

  /** After the close, and for an id that is taken, `dispose` of the newcomer runs at once. */
  add(id: number, dispose: () => void): void {
    this.#disposers ??= new Map();
    if (this.#closed || this.#disposers.has(id)) this.#run(dispose);
    else this.#disposers.set(id, dispose);
  }

  /** False when there is no such entry. */
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
