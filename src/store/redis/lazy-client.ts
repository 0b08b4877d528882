import { once } from "node:events";
import { Cluster, type Redis } from "ioredis";

import type { RedisAddress, RedisHost } from "./address.ts";
import { connectClient, createClient, type RedisClient, withDeadline } from "./client.ts";
import { PrimaryFinder } from "./find-primary.ts";

const connectMs = 2_000;
const commandTimeoutMs = 2_000;

/** Connections that are opened at the first use. */
export class LazyClient {
  readonly #address: RedisAddress;
  readonly #finder: PrimaryFinder;
  #client: Promise<RedisClient> | undefined;

  constructor(address: RedisAddress) {
    this.#address = address;
    this.#finder = new PrimaryFinder(address);
  }

  /** Concurrent callers share the first connection attempt. The connection then reconnects by itself. */
  get(): Promise<RedisClient> {
    this.#client ??= this.#openForCommands().catch((error: unknown) => {
      this.#client = undefined;
      throw error;
    });
    return this.#client;
  }

  /**
   * A connection for subscriptions to channels of this key's slot. It does not reconnect. In a Cluster it leads to the
   * slot's owner, as `get` knows it.
   */
  async subscriber(key: string): Promise<RedisClient> {
    return await this.#open(await this.#ownerOf(key), false);
  }

  async disconnect(): Promise<void> {
    await this.#client?.then(
      (client) => client.disconnect(),
      () => undefined,
    );
  }

  async #openForCommands(): Promise<RedisClient> {
    const client = await this.#open(this.#address, true);
    if (client instanceof Cluster) await connectServers(client);
    return client;
  }

  async #open(address: RedisAddress, reconnects: boolean): Promise<RedisClient> {
    const client = createClient(address, {
      commandTimeoutMs,
      silenceMs: 2 * commandTimeoutMs,
      findPrimary: () => this.#finder.find(),
      reconnects,
      // A connection that only subscribes has no replies to check.
      watchesReplies: reconnects,
    });
    await connectClient(client, connectMs);
    return client;
  }

  async #ownerOf(key: string): Promise<RedisAddress> {
    if (this.#address.mode !== "cluster") return this.#address;
    const cluster = await this.get();
    if (!(cluster instanceof Cluster)) return this.#address;
    const slot = Number(await cluster.call("cluster", "KEYSLOT", key));
    const [owner] = cluster.slots[slot] ?? [];
    if (owner === undefined) throw new Error("no server owns the slot of the channels");
    return { ...this.#address, mode: "standalone", hosts: [hostOf(owner)] };
  }
}

/**
 * ioredis connects to a server of a Cluster at its first command, and refuses further ones until that connection is
 * made. So the connections are made before, also to servers that join later.
 */
async function connectServers(cluster: Cluster): Promise<void> {
  const connect = async (server: Redis) => {
    if (server.status === "wait") await server.connect().catch(() => undefined);
    else if (server.status !== "ready") await once(server, "ready").catch(() => undefined);
  };
  cluster.on("+node", (server: Redis) => void connect(server));
  const all = Promise.all(cluster.nodes("master").map(connect));
  await withDeadline(all, connectMs, "not all servers").catch(() => undefined);
}

/** Parses ioredis' name of a node, `host:port`. */
function hostOf(name: string): RedisHost {
  const colon = name.lastIndexOf(":");
  return { host: name.slice(0, colon), port: Number(name.slice(colon + 1)) };
}
