import { FairQueue } from "./fair-queue.ts";
import type { QueuePlace } from "./passwords.ts";

/** One in this many items comes from the unreserved queue first. */
const cycle = 4;

export interface QueueLimits {
  readonly total: number;
  readonly perKey: number;
}

/**
 * Two fair queues of equal capacity: one for unauthenticated callers, one reserved. The reserved one is served first
 * three times out of four. So callers who keep the unreserved queue full take at most one item in four from the
 * reserved one.
 */
export class ReservedQueue<Item> {
  readonly #unreserved: FairQueue<Item>;
  readonly #reserved: FairQueue<Item>;
  #turn = 0;

  /** `onEvicted` is called with each evicted item. */
  constructor({ total, perKey }: QueueLimits, onEvicted: (item: Item) => void) {
    this.#unreserved = new FairQueue({ total, perKey }, onEvicted);
    this.#reserved = new FairQueue({ total, perKey }, onEvicted);
  }

  /** How many items wait. */
  get waiting(): number {
    return this.#unreserved.waiting + this.#reserved.waiting;
  }

  /** False if the queue or the key's share is full; the item is then not added. */
  offer(place: QueuePlace, item: Item): boolean {
    return this.#of(place).offer(place.key, item);
  }

  /** The next item. It counts for its key's share until `release`. */
  take(): { readonly place: QueuePlace; readonly item: Item } | undefined {
    this.#turn = (this.#turn + 1) % cycle;
    const reservedFirst = this.#turn !== 0;
    return this.#takeFrom(reservedFirst) ?? this.#takeFrom(!reservedFirst);
  }

  release(place: QueuePlace): void {
    this.#of(place).release(place.key);
  }

  #takeFrom(reserved: boolean): { readonly place: QueuePlace; readonly item: Item } | undefined {
    const next = (reserved ? this.#reserved : this.#unreserved).take();
    return next && { place: { key: next.key, reserved }, item: next.item };
  }

  #of({ reserved }: QueuePlace): FairQueue<Item> {
    return reserved ? this.#reserved : this.#unreserved;
  }
}
