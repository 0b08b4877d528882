import { setTimeout } from "node:timers/promises";

import type { LogBreak, LogEntry, LogFollower, LogPosition } from "../../auth/store.ts";
import { unavailable } from "../unavailable.ts";
import { type RedisClient, withDeadline } from "./client.ts";
import { comparePositions, entriesOf, readEntriesOf, type StreamInfo, streamInfoOf } from "./log-stream.ts";

const blockMs = 500;
/** XREAD answers at least every `blockMs`: a connection silent for longer than this is half-open. */
export const watchdogMs = 1_500;
const chunk = 500;
const retry = { firstMs: 50, mostMs: 1_000 } as const;

export interface TailOptions {
  /** A connected client of its own, which ends with its first loss. Rejects when there is no connection now. */
  readonly connect: () => Promise<RedisClient>;
  readonly stream: string;
  readonly since: number;
  readonly onEntries: (entries: readonly LogEntry[]) => void;
  readonly onBreak: (kind: LogBreak) => void;
}

/**
 * One follower: a loop over connections; within each, catch up by XRANGE, then wait in XREAD BLOCK. A position is
 * passed only after its entries were taken by the listener, so a lost connection or a listener that throws repeats
 * entries and never skips one.
 */
export class Tail implements LogFollower {
  readonly caughtUp: Promise<{ readonly since: number }>;
  /** Resolves once it was stopped and its connection is gone. */
  readonly ended: Promise<void>;
  readonly #options: TailOptions;
  readonly #stopping = new AbortController();
  #resolveCaughtUp: (reached: { since: number }) => void = () => undefined;
  #rejectCaughtUp: (error: Error) => void = () => undefined;
  #client: RedisClient | undefined;
  /** The last entry that was delivered. */
  #position: LogPosition | undefined;
  #inStep = false;
  #heardAt = Number.NEGATIVE_INFINITY;

  constructor(options: TailOptions) {
    this.#options = options;
    this.caughtUp = new Promise((resolve, reject) => {
      this.#resolveCaughtUp = resolve;
      this.#rejectCaughtUp = reject;
    });
    this.caughtUp.catch(() => undefined);
    this.ended = this.#run();
  }

  get following(): boolean {
    return this.#inStep && performance.now() - this.#heardAt < watchdogMs;
  }

  restart(): void {
    this.#client?.disconnect();
  }

  async stop(): Promise<void> {
    this.#inStep = false;
    this.#stopping.abort();
    this.#client?.disconnect();
    this.#rejectCaughtUp(unavailable("the follower was stopped"));
    await this.ended;
  }

  async #run(): Promise<void> {
    let pauseMs: number = retry.firstMs;
    while (!this.#stopping.signal.aborted) {
      try {
        this.#client = await this.#options.connect();
        await this.#catchUp(this.#client);
        pauseMs = retry.firstMs;
        while (!this.#stopping.signal.aborted) await this.#waitForMore(this.#client);
      } catch {
        // Lost, overdue, reset, or refused by the listener: all are mended by starting again from the position.
      }
      this.#inStep = false;
      this.#client?.disconnect();
      this.#client = undefined;
      await this.#pause(pauseMs);
      pauseMs = Math.min(pauseMs * 2, retry.mostMs);
    }
  }

  /** Reads up to the end of the log; afterwards the follower is in step. */
  async #catchUp(client: RedisClient): Promise<void> {
    await this.#refuseReset(client);
    let count = chunk;
    while (count === chunk) {
      const start =
        this.#position === undefined ? String(Math.max(0, this.#options.since)) : `(${this.#position}`;
      const reply = await this.#ask(client.call("xrange", this.#options.stream, start, "+", "COUNT", chunk));
      const entries = entriesOf(reply);
      this.#deliver(entries);
      count = entries.length;
    }
    this.#inStep = true;
    this.#resolveCaughtUp({ since: await this.#reach(client) });
  }

  /** Later than asked when the log was trimmed inside the span. */
  async #reach(client: RedisClient): Promise<number> {
    const trimmedBefore = (await this.#info(client))?.trimmedBefore;
    return trimmedBefore === undefined
      ? this.#options.since
      : Math.max(this.#options.since, trimmedBefore + 1);
  }

  async #waitForMore(client: RedisClient): Promise<void> {
    const last = this.#position ?? `${Math.max(0, this.#options.since - 1)}-18446744073709551615`;
    const reply = await this.#ask(
      client.call("xread", "BLOCK", blockMs, "COUNT", chunk, "STREAMS", this.#options.stream, last),
    );
    const entries = readEntriesOf(reply);
    this.#deliver(entries);
    if (entries.length === 0) await this.#refuseReset(client);
  }

  /**
   * A log whose last entry is before ours is another log (a failover to an older copy, a flush): what it holds would be
   * passed over in silence. Starts over from `since`.
   */
  async #refuseReset(client: RedisClient): Promise<void> {
    if (this.#position === undefined) return;
    const last = (await this.#info(client))?.lastPosition;
    if (last !== undefined && comparePositions(last, this.#position) >= 0) return;
    this.#options.onBreak("lost");
    this.#position = undefined;
    this.#inStep = false;
    throw new Error("the log was reset");
  }

  async #info(client: RedisClient): Promise<StreamInfo | undefined> {
    try {
      return streamInfoOf(await this.#ask(client.call("xinfo", "STREAM", this.#options.stream)));
    } catch (error) {
      if (error instanceof Error && error.message.startsWith("ERR no such key")) return undefined;
      throw error;
    }
  }

  #deliver(entries: readonly LogEntry[]): void {
    const last = entries.at(-1);
    if (last === undefined || this.#stopping.signal.aborted) return;
    this.#options.onEntries(entries);
    this.#position = last.position;
  }

  async #ask(reply: Promise<unknown>): Promise<unknown> {
    const answer = await withDeadline(reply, watchdogMs, "the log did not answer");
    this.#heardAt = performance.now();
    return answer;
  }

  async #pause(ms: number): Promise<void> {
    // Rejects when the follower is stopped meanwhile.
    await setTimeout(ms, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }
}
