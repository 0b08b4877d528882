import { setTimeout } from "node:timers/promises";

import { Cluster } from "ioredis";

import type { LogBreak, LogEntry, LogFollower, LogPosition } from "../../auth/store.ts";
import { unavailable } from "../unavailable.ts";
import type { RedisHost } from "./address.ts";
import { type RedisClient, serverOf, withDeadline } from "./client.ts";
import type { CommandLink } from "./command-link.ts";
import { LogContinuity } from "./log-continuity.ts";
import { entriesOf, type StreamEntry, type StreamInfo, streamInfoOf, trimmedBefore } from "./log-stream.ts";
import { readReplication } from "./server-info.ts";

const blockMs = 500;
/** XREAD ends at least every `blockMs`: a connection that is silent for longer than this is half-open. */
export const watchdogMs = 1_500;
/** Entries of one XRANGE, including the one delivered last. */
const chunk = 501;
const retry = { firstMs: 50, maxMs: 1_000 } as const;

export interface TailOptions {
  /**
   * Returns a connected client for this follower only. It does not reconnect. Rejects if there is no connection now.
   */
  readonly connect: () => Promise<RedisClient>;
  readonly stream: string;
  readonly since: number;
  readonly onEntries: (entries: readonly LogEntry[]) => void;
  readonly onBreak: (kind: LogBreak) => void;
  /** The connection for everything else of the store. */
  readonly commands: Pick<CommandLink, "isAt" | "connections">;
}

/**
 * One follower of the log: a loop over connections to a primary. On each it sends XRANGE after XRANGE up to the end of
 * the log. From there on each XRANGE follows an XREAD BLOCK that ends once there is more. XREAD only wakes it: entries
 * are delivered from XRANGE, whose one answer begins with the entry delivered last. The position advances only after
 * the listener took the entries. So a lost connection or a listener that throws repeats entries and never skips one.
 */
export class Tail implements LogFollower {
  readonly caughtUp: Promise<{ readonly since: number }>;
  /** Resolves once the follower was stopped and its connection is gone. */
  readonly ended: Promise<void>;
  readonly #options: TailOptions;
  readonly #continuity: LogContinuity;
  readonly #stopping = new AbortController();
  #resolveCaughtUp: (reached: { since: number }) => void = () => undefined;
  #rejectCaughtUp: (error: Error) => void = () => undefined;
  #client: RedisClient | undefined;
  #connections = 0;
  #isCaughtUp = false;
  #lastReplyAt = Number.NEGATIVE_INFINITY;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #roleSeenAt = Number.NEGATIVE_INFINITY;

  constructor(options: TailOptions) {
    this.#options = options;
    this.#continuity = new LogContinuity(options.since);
    this.caughtUp = new Promise((resolve, reject) => {
      this.#resolveCaughtUp = resolve;
      this.#rejectCaughtUp = reject;
    });
    this.caughtUp.catch(() => undefined);
    this.ended = this.#run();
  }

  get following(): boolean {
    const isAnswering = this.#isCaughtUp && performance.now() - this.#lastReplyAt < watchdogMs;
    return isAnswering && this.#options.commands.isAt(this.server);
  }

  get followGeneration(): number {
    return this.#connections + this.#options.commands.connections;
  }

  readAgeMs(): number {
    return performance.now() - this.#lookedAt;
  }

  /** The server that it reads from. Undefined while there is no connection, and in a Cluster. */
  get server(): RedisHost | undefined {
    return serverOf(this.#client);
  }

  /** Records that an own commit put this into the log: the followed log must contain it. */
  acknowledge(position: LogPosition, content: string): void {
    this.#continuity.acknowledge(position, content);
  }

  restart(): void {
    if (this.#client === undefined) return;
    this.#isCaughtUp = false;
    this.#client.disconnect();
  }

  async stop(): Promise<void> {
    this.#isCaughtUp = false;
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
        this.#connections += 1;
        this.#roleSeenAt = Number.NEGATIVE_INFINITY;
        while (!this.#stopping.signal.aborted) {
          await this.#readOn(this.#client);
          pauseMs = retry.firstMs;
        }
      } catch {
        // Lost, overdue, a replica, or refused by the listener: in all cases start again from the position.
      }
      this.#isCaughtUp = false;
      this.#client?.disconnect();
      this.#client = undefined;
      await this.#pause(pauseMs);
      pauseMs = Math.min(pauseMs * 2, retry.maxMs);
    }
  }

  /** Reads the log once: at once if its end is not reached, else after XREAD ends. */
  async #readOn(client: RedisClient): Promise<void> {
    const began = performance.now();
    const asked = this.#continuity.now;
    // Sent together, so that the server answers XRANGE as soon as XREAD has ended.
    const woken = this.#isCaughtUp ? this.#waitForMore(client) : undefined;
    const range = client.call(
      "xrange",
      this.#options.stream,
      this.#continuity.rangeStart,
      "+",
      "COUNT",
      chunk,
    );
    const [reply] = await this.#ask(Promise.all([range, this.#refuseReplica(client), woken]));
    const found = entriesOf(reply);
    const atEnd = found.length < chunk;
    const finding = this.#continuity.examine(found, { asked, atEnd });
    if (finding.kind !== "continuous") return await this.#break(client, finding.kind);
    this.#deliver(finding.newEntries);
    if (atEnd) this.#lookedAt = began;
    if (atEnd && !this.#isCaughtUp) await this.#reachEnd(client);
  }

  #waitForMore(client: RedisClient): Promise<unknown> {
    const { stream } = this.#options;
    return client.call("xread", "BLOCK", blockMs, "COUNT", 1, "STREAMS", stream, this.#continuity.readAfter);
  }

  /**
   * A demoted primary ends a connection only while that waits in XREAD, so the role is checked now and then. A
   * Cluster's replica answers no reads by itself.
   */
  async #refuseReplica(client: RedisClient): Promise<void> {
    if (client instanceof Cluster || performance.now() - this.#roleSeenAt < blockMs) return;
    const role = (await readReplication(client)).get("role");
    if (role !== "master") throw new Error("the log is read from a replica");
    this.#roleSeenAt = performance.now();
  }

  /**
   * Called at the end of the log. The delivery reaches back to `since`, or to a later time if the log was trimmed
   * meanwhile.
   */
  async #reachEnd(client: RedisClient): Promise<void> {
    const info = await this.#info(client);
    if (info !== undefined) this.#continuity.recordSize(info);
    const trimmedTo = info === undefined ? undefined : trimmedBefore(info);
    const { since } = this.#options;
    this.#isCaughtUp = true;
    this.#resolveCaughtUp({ since: trimmedTo === undefined ? since : Math.max(since, trimmedTo + 1) });
  }

  /** Calls the listener before the position changes: if the listener throws, the break is reported again. */
  async #break(client: RedisClient, kind: "lost" | "gone"): Promise<void> {
    this.#isCaughtUp = false;
    const info = kind === "lost" ? undefined : await this.#info(client);
    if (info === undefined || this.#continuity.explainBreak(info) === "lost") {
      this.#lookedAt = Number.NEGATIVE_INFINITY;
      this.#options.onBreak("lost");
      this.#continuity.startOver();
    } else {
      this.#options.onBreak("trimmed");
      this.#continuity.skip(info);
    }
  }

  async #info(client: RedisClient): Promise<StreamInfo | undefined> {
    try {
      return streamInfoOf(await this.#ask(client.call("xinfo", "STREAM", this.#options.stream)));
    } catch (error) {
      if (error instanceof Error && error.message.startsWith("ERR no such key")) return undefined;
      throw error;
    }
  }

  #deliver(newEntries: readonly StreamEntry[]): void {
    if (newEntries.length === 0 || this.#stopping.signal.aborted) return;
    this.#options.onEntries(newEntries.map(({ entry }) => entry));
    this.#continuity.markDelivered(newEntries);
  }

  async #ask<T>(reply: Promise<T>): Promise<T> {
    const answer = await withDeadline(reply, watchdogMs, "the log did not answer");
    this.#lastReplyAt = performance.now();
    return answer;
  }

  async #pause(ms: number): Promise<void> {
    // Rejects if the follower is stopped meanwhile.
    await setTimeout(ms, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }
}
