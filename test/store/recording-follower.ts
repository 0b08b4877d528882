import { randomBytes } from "node:crypto";

import type { LogBreak, LogEntry, Store } from "../../src/auth/store.ts";
import { committed } from "../contract/store.ts";
import { Events } from "../support/events.ts";

/** What a follower reports, in order: `lost`, `trimmed`, or an event's marker. */
export class RecordingFollower {
  readonly all: string[] = [];
  readonly #events = new Events<string>("the follower");
  /** The listener throws. */
  refuses = false;

  readonly onEntries = (entries: readonly LogEntry[]): void => {
    if (this.refuses) throw new Error("the listener refuses");
    for (const { event } of entries) this.#push(String(event.marker ?? "none"));
  };
  readonly onBreak = (kind: LogBreak): void => this.#push(kind);

  #push(what: string): void {
    this.all.push(what);
    this.#events.push(what);
  }

  async until(what: string, ms = 60_000): Promise<void> {
    while ((await this.#events.next(ms)) !== what);
  }
}

/** Commits an event with a marker. */
export async function put(
  store: Store,
  marker = randomBytes(8).toString("hex"),
): Promise<{ marker: string; position: string }> {
  const { positions } = await committed(store, { log: [{ marker }] });
  return { marker, position: positions[0] ?? "" };
}
