import type { EventBus } from "../event-bus.ts";
import type { RecordKey } from "../store.ts";

/** The topic of the event that somebody has decided on a device: `{device}`, the key of its record. */
const topic = "device_authorization";

/** Sockets of this node on which a device waits. An event only says that they should look. */
export class DeviceWaiters {
  readonly #events: EventBus;
  readonly #waiting = new Map<string, Set<() => void>>();
  #stopListening: (() => void) | undefined;

  constructor(events: EventBus) {
    this.#events = events;
  }

  announce(key: RecordKey): void {
    this.#events.publish(topic, { device: key });
  }

  watch(key: RecordKey, look: () => void): () => void {
    this.#stopListening ??= this.#listen();
    // Each call gets its own entry, because one socket may watch twice.
    const own = () => look();
    const waiting = this.#waiting.get(key) ?? new Set();
    this.#waiting.set(key, waiting.add(own));
    return () => {
      waiting.delete(own);
      if (waiting.size === 0 && this.#waiting.get(key) === waiting) this.#waiting.delete(key);
    };
  }

  close(): void {
    this.#stopListening?.();
    this.#waiting.clear();
  }

  #listen(): () => void {
    return this.#events.subscribe(topic, {
      onMessage: ({ device }) => {
        if (typeof device === "string") for (const look of this.#waiting.get(device) ?? []) look();
      },
      // Decisions may have been missed.
      onGap: () => {
        for (const waiting of [...this.#waiting.values()]) for (const look of [...waiting]) look();
      },
    });
  }
}
