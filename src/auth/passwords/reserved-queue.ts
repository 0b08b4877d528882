import { FairQueue } from "./fair-queue.ts";
import type { QueuePlace } from "./passwords.ts";

/** Of so many turns in a row one is a stranger's, when strangers wait. */
const turns = 4;

export interface QueueLimits {
  readonly total: number;
  readonly perKey: number;
}

/**
 * A fair queue for strangers, and beside it a reserve of as many places, which is served first three times out of
 * four: strangers who keep their queue full delay nobody in the reserve by more than one item each.
 */
export class ReservedQueue<Item> {
  readonly #strangers: FairQueue<Item>;
  readonly #reserve: FairQueue<Item>;
  #turn = 0;

  /** `displaced` gets each item that lost its place. */
  constructor({ total, perKey }: QueueLimits, displaced: (item: Item) => void) {
    this.#strangers = new FairQueue({ total, perKey }, displaced);
    this.#reserve = new FairQueue({ total, perKey }, displaced);
  }

  /** Items that wait. */
  get waiting(): number {
    return this.#strangers.waiting + this.#reserve.waiting;
  }

  /** False, and nothing is kept, when the queue or the key's share is full. */
  offer(place: QueuePlace, item: Item): boolean {
    return this.#of(place).offer(place.key, item);
  }

  /** The next item; its key's share stays taken until `release`. */
  take(): { readonly place: QueuePlace; readonly item: Item } | undefined {
    this.#turn = (this.#turn + 1) % turns;
    const reservedFirst = this.#turn !== 0;
    return this.#takeFrom(reservedFirst) ?? this.#takeFrom(!reservedFirst);
  }

  release(place: QueuePlace): void {
    this.#of(place).release(place.key);
  }

  #takeFrom(reserved: boolean): { readonly place: QueuePlace; readonly item: Item } | undefined {
    const next = (reserved ? this.#reserve : this.#strangers).take();
    return next && { place: { key: next.key, reserved }, item: next.item };
  }

  #of({ reserved }: QueuePlace): FairQueue<Item> {
    return reserved ? this.#reserve : this.#strangers;
  }
}
