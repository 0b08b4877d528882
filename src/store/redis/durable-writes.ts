import { setImmediate } from "node:timers/promises";
import { Cluster, type Redis } from "ioredis";

import type { Durability } from "../../auth/store.ts";
import type { RedisHost } from "./address.ts";
import { connectClient, type RedisClient, serverOf, withDeadline } from "./client.ts";
import type { ScriptCall } from "./commit-step.ts";
import { readPersistence, type ServerInfo } from "./server-info.ts";

/** How long a commit waits for a replica's acknowledgement, ms. */
const waitMs = 100;
/**
 * After a replica did not answer, commits do not wait for it for this long, ms. A failed connection is tried again
 * after this time.
 */
const retryAfterMs = 1_000;

export interface DurableWritesOptions {
  /** An unconnected client that reconnects by itself. */
  readonly create: () => RedisClient;
  readonly connectMs: number;
  readonly run: (client: RedisClient, call: ScriptCall) => Promise<unknown>;
  /** Any key of the store: in a Cluster it determines the slot. */
  readonly key: string;
}

export interface Written {
  readonly reply: unknown;
  /** What keeps the write, as Redis itself reports it. Never rejects. */
  readonly durability: Promise<Durability>;
}

/**
 * Writes whose caller wants to know how durable they are. They have a connection of their own, opened for the first of
 * them: WAIT must be sent on the connection that wrote, and it blocks that connection until a replica has answered.
 */
export class DurableWrites {
  readonly #options: DurableWritesOptions;
  /** The last WAIT that was sent. */
  #lastWait: Promise<number> = Promise.resolve(0);
  #client: RedisClient | undefined;
  #opening: Promise<void> | undefined;
  #slot: number | undefined;
  #closed = false;
  #noOpeningBefore = 0;
  #noWaitingBefore = 0;
  /** The next WAIT to be sent. One covers all writes that were answered before it. */
  #nextWait: { readonly stream: unknown; readonly replicas: Promise<number> } | undefined;

  constructor(options: DurableWritesOptions) {
    this.#options = options;
  }

  /** Runs the script once. Uses `shared` if it has no connection of its own. */
  async write(call: ScriptCall, shared: RedisClient): Promise<Written> {
    await this.#open();
    const node = this.#client === undefined ? undefined : this.#nodeOf(this.#client);
    if (node?.status !== "ready") return await this.#writeOn(shared, call);
    try {
      return await this.#writeAndWait(node, call);
    } catch (error) {
      // The script did not run here: the slot has moved, and `shared` follows it.
      if (!(error instanceof Error) || !/^(MOVED|ASK) /.test(error.message)) throw error;
      return await this.#writeOn(shared, call);
    }
  }

  close(): void {
    this.#closed = true;
    this.#client?.disconnect();
  }

  /** Reconnects if the connection leads to a server that is no longer a primary. */
  disconnectFrom(isOther: (server: RedisHost | undefined) => boolean): void {
    const client = this.#client;
    if (client !== undefined && !(client instanceof Cluster) && isOther(serverOf(client)))
      client.disconnect(true);
  }

  async #writeAndWait(node: Redis, call: ScriptCall): Promise<Written> {
    const { stream } = node;
    const writing = this.#options.run(node, call);
    // Sent right behind the script: both show the same moment, and neither costs a round trip of its own.
    const facts = persistenceOf(node);
    const reply = await writing;
    const durability = facts.then(async (info): Promise<Durability> => {
      if (onlineReplicas(info) > 0 && (await this.#replicas(node, stream)) > 0) return "replicated";
      return isFlushed(info) ? "fsync" : "memory";
    });
    return { reply, durability };
  }

  async #writeOn(client: RedisClient, call: ScriptCall): Promise<Written> {
    const reply = await this.#options.run(client, call);
    if (client instanceof Cluster) return { reply, durability: Promise.resolve("memory") };
    const durability = persistenceOf(client).then((info) => (isFlushed(info) ? "fsync" : "memory"));
    return { reply, durability };
  }

  async #replicas(node: Redis, stream: unknown): Promise<number> {
    if (performance.now() < this.#noWaitingBefore) return 0;
    const shared = this.#nextWait?.stream === stream ? this.#nextWait : undefined;
    this.#nextWait = shared ?? { stream, replicas: this.#wait(node, stream) };
    return await this.#nextWait.replicas;
  }

  /**
   * How many replicas have what this connection wrote. 0 after `waitMs`, and on a connection that has written nothing.
   */
  async #wait(node: Redis, stream: unknown): Promise<number> {
    await setImmediate();
    await this.#lastWait;
    this.#nextWait = undefined;
    const isQuiet = performance.now() < this.#noWaitingBefore;
    if (isQuiet || node.stream !== stream || node.status !== "ready") return 0;
    const answer = withDeadline(node.wait(1, waitMs), waitMs * 2, "WAIT was not answered").catch(() => 0);
    this.#lastWait = answer;
    const replicas = await answer;
    if (replicas === 0) this.#noWaitingBefore = performance.now() + retryAfterMs;
    return replicas;
  }

  #nodeOf(client: RedisClient): Redis | undefined {
    if (!(client instanceof Cluster)) return client;
    const name = client.slots[this.#slot ?? -1]?.[0];
    return client.nodes("master").find(({ options }) => `${options.host}:${options.port}` === name);
  }

  async #open(): Promise<void> {
    if (this.#client !== undefined || this.#closed || performance.now() < this.#noOpeningBefore) return;
    this.#opening ??= this.#connect()
      .catch(() => {
        this.#noOpeningBefore = performance.now() + retryAfterMs;
      })
      .finally(() => {
        this.#opening = undefined;
      });
    await this.#opening;
  }

  async #connect(): Promise<void> {
    const { create, connectMs, key } = this.#options;
    const client = create();
    await connectClient(client, connectMs);
    if (client instanceof Cluster) {
      this.#slot = Number(await client.call("cluster", "KEYSLOT", key));
      // This command connects to the node that owns the slot.
      await client.exists(key);
    }
    if (this.#closed) client.disconnect();
    else this.#client = client;
  }
}

/** Empty if the user may not ask. */
async function persistenceOf(node: Redis): Promise<ServerInfo> {
  return await readPersistence(node).catch(() => new Map());
}

function onlineReplicas(info: ServerInfo): number {
  return [...info].filter(([name, value]) => /^slave\d+$/.test(name) && value.includes("state=online"))
    .length;
}

/**
 * With `appendfsync always` Redis answers a write after the disk was flushed, and exits if the flush fails. During a
 * rewrite of the file, the write may be in a file that does not count yet, or not be flushed.
 */
function isFlushed(info: ServerInfo): boolean {
  const isIdle = info.get("aof_rewrite_in_progress") === "0" && info.get("aof_rewrite_scheduled") === "0";
  const pauses = info.get("no-appendfsync-on-rewrite") !== "no" && info.get("rdb_bgsave_in_progress") !== "0";
  const isAlways = info.get("aof_enabled") === "1" && info.get("appendfsync") === "always";
  return isAlways && isIdle && !pauses && info.get("aof_last_write_status") === "ok";
}
