import type { ConnectionLog } from "./observer.ts";

/**
 * Everything that a session acquired, by the id of the command that acquired it. Closing runs every undo; one that
 * fails does not stop the rest.
 */
export class UndoMap {
  readonly #log: ConnectionLog;
  #undos: Map<number, () => void> | undefined;
  #closed = false;

  constructor(log: ConnectionLog) {
    this.#log = log;
  }

  get size(): number {
    return this.#undos?.size ?? 0;
  }

  /** After the close, and for an id that is taken, `undo` of the newcomer runs at once. */
  add(id: number, undo: () => void): void {
    this.#undos ??= new Map();
    if (this.#closed || this.#undos.has(id)) this.#run(undo);
    else this.#undos.set(id, undo);
  }

  /** False when there is no such entry. */
  undo(id: number): boolean {
    const undo = this.#undos?.get(id);
    if (undo === undefined) return false;
    this.#undos?.delete(id);
    this.#run(undo);
    return true;
  }

  close(): void {
    this.#closed = true;
    const undos = this.#undos;
    this.#undos = undefined;
    for (const undo of undos?.values() ?? []) this.#run(undo);
  }

  #run(undo: () => void): void {
    try {
      undo();
    } catch (error) {
      this.#log.error({ err: error }, "undo failed");
    }
  }
}
