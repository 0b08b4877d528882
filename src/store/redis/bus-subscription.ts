import { setTimeout as pause } from "node:timers/promises";

import type { RedisClient } from "./client.ts";

export interface BusSubscriptionOptions {
  readonly channels: readonly string[];
  /** Returns a connected client for this use only. It does not reconnect. */
  readonly connect: () => Promise<RedisClient>;
  /** Sends the text to this subscription over another connection. */
  readonly sendProbe: (text: string) => void;
  readonly isProbe: (channel: string) => boolean;
  readonly onText: (text: string) => void;
  readonly onReceiving: (receives: boolean, error?: Error) => void;
}

const probeEveryMs = 1_000;
/**
 * After this many probes without anything received, the connection is replaced. Probes are counted, so that a stalled
 * event loop is not taken for a lost connection.
 */
const maxMissedProbes = 3;
const retry = { firstMs: 50, maxMs: 1_000 } as const;

/**
 * Keeps one subscribed connection. A connection that looks open may receive nothing: it may be half-open, lead to a
 * demoted primary, or to a server that lost the slot. So the node sends itself a probe once a second over the
 * connection that sends messages. A connection that does not receive it is replaced.
 */
export class BusSubscription {
  readonly #options: BusSubscriptionOptions;
  readonly #stopping = new AbortController();
  readonly #ended: Promise<void>;
  #client: RedisClient | undefined;
  #isReceiving = false;
  /** The current fault was reported. */
  #isDown = false;

  constructor(options: BusSubscriptionOptions) {
    this.#options = options;
    this.#ended = this.#run();
  }

  get isReceiving(): boolean {
    return this.#isReceiving;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#client?.disconnect();
    await this.#ended;
  }

  async #run(): Promise<void> {
    let pauseMs: number = retry.firstMs;
    while (!this.#stopping.signal.aborted) {
      let fault = new Error("the connection was lost");
      try {
        this.#client = await this.#options.connect();
        if (!this.#stopping.signal.aborted) await this.#listen(this.#client);
        pauseMs = retry.firstMs;
      } catch (error) {
        if (error instanceof Error) fault = error;
      }
      this.#isReceiving = false;
      this.#client?.disconnect();
      this.#client = undefined;
      if (this.#stopping.signal.aborted) return;
      if (!this.#isDown) this.#options.onReceiving(false, fault);
      this.#isDown = true;
      await pause(pauseMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      pauseMs = Math.min(pauseMs * 2, retry.maxMs);
    }
  }

  /** Settles if the connection is lost or misses its probes. */
  async #listen(client: RedisClient): Promise<void> {
    let missedProbes = 0;
    client.on("smessage", (channel: string, text: string) => {
      missedProbes = 0;
      if (!this.#options.isProbe(channel)) this.#options.onText(text);
    });
    const lost = new Promise<void>((resolve) => {
      client.once("end", resolve);
      // The slot of the channels moved to another server.
      client.once("moved", resolve);
    });
    await client.ssubscribe(...this.#options.channels);
    this.#isReceiving = true;
    this.#isDown = false;
    this.#options.onReceiving(true);
    let missed: () => void = () => undefined;
    const silent = new Promise<void>((resolve) => {
      missed = resolve;
    });
    const probing = setInterval(() => {
      if (missedProbes >= maxMissedProbes) missed();
      missedProbes += 1;
      this.#options.sendProbe("");
    }, probeEveryMs).unref();
    await Promise.race([lost, silent]);
    clearInterval(probing);
  }
}
