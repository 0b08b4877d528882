import type { RedisHost } from "./address.ts";
import { type RedisClient, serverOf } from "./client.ts";
import { hostName } from "./sentinels.ts";

/** The connection that records are read and written on, and which server it leads to. */
export class CommandLink {
  /** How often it was made. */
  connections = 1;
  /** `performance.now()` when it was made. */
  madeAt = performance.now();
  readonly #client: RedisClient;
  readonly #namesServers: boolean;

  /** `client` is connected. `namesServers`: who is the primary is somebody else's word, and may differ from use to use. */
  constructor(client: RedisClient, namesServers: boolean) {
    this.#client = client;
    this.#namesServers = namesServers;
    client.on("connect", () => {
      this.connections += 1;
      this.madeAt = performance.now();
    });
  }

  /** Undefined while there is no connection, and in a Cluster. */
  get server(): RedisHost | undefined {
    return serverOf(this.#client);
  }

  /** That server answers commands. One address is always the same server, and a Cluster says itself who has our slot. */
  isAt(server: RedisHost | undefined): boolean {
    if (!this.#namesServers) return true;
    const own = this.server;
    return own !== undefined && server !== undefined && hostName(own) === hostName(server);
  }
}
