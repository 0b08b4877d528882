import { addressShare } from "../../net/address-share.ts";
import { AuthError } from "../errors.ts";
import type { QueuePlace } from "../passwords/passwords.ts";
import { ReservedQueue } from "../passwords/reserved-queue.ts";
import type { ProviderContext } from "./provider.ts";

/**
 * The longest that a try waits for its turn, and the longest time limit of a try itself, ms. Together they are shorter
 * than the time for which a step of a flow belongs to one call.
 */
const longestWaitMs = 1_500;
export const longestTryMs = 8_000;
const queueLimits = { total: 64, perKey: 4 };

/** Callers of one address share a queue key, except those who logged in from it recently, or on the same device before. */
export function queuePlaceOf(username: string, { peer, known, device }: ProviderContext): QueuePlace {
  const { isGone } = peer;
  if (device !== undefined) return { key: `device ${device} ${username}`, reserved: true, isGone };
  const share = addressShare(peer.address);
  return { key: known ? `${share} ${username}` : share, reserved: known, isGone };
}

interface Waiting {
  readonly begin: () => void;
  readonly refuse: () => void;
  refused: boolean;
}

/** Limits how many tries a provider carries out at once. The others wait, fairly between addresses, and not for long. */
export class BoundedTries {
  readonly #concurrent: number;
  readonly #queue = new ReservedQueue<Waiting>(queueLimits, ({ refuse }) => refuse());
  #running = 0;

  constructor(concurrent: number) {
    this.#concurrent = concurrent;
  }

  /** Resolves with what ends the try's turn. Throws `overloaded` if the queue is full, or moves too slowly. */
  async enter(place: QueuePlace): Promise<() => void> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => waiting.refuse(), longestWaitMs);
      const waiting: Waiting = {
        refused: false,
        begin() {
          clearTimeout(timer);
          resolve();
        },
        refuse() {
          clearTimeout(timer);
          waiting.refused = true;
          reject(new AuthError("overloaded", { retryAfterSeconds: 2 }));
        },
      };
      if (this.#queue.offer(place, waiting)) this.#admitWaiting();
      else waiting.refuse();
    });
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#queue.release(place);
      this.#running -= 1;
      this.#admitWaiting();
    };
  }

  #admitWaiting(): void {
    while (this.#running < this.#concurrent) {
      const next = this.#queue.take();
      if (next === undefined) return;
      if (next.item.refused) {
        this.#queue.release(next.place);
        continue;
      }
      this.#running += 1;
      next.item.begin();
    }
  }
}
