import type { RedisHost } from "./address.ts";
import { type RedisClient, serverOf } from "./client.ts";
import { hostName } from "./sentinels.ts";

/** The connection for records and commits, and the server it leads to. */
export class CommandLink {
  /** How often the connection was made. */
  connections = 1;
  /** `performance.now()` when it was made. */
  madeAt = performance.now();
  readonly #client: RedisClient;
  readonly #namesServers: boolean;

  /**
   * `client` is connected. `namesServers`: Sentinels name the primary, so the server may differ from connection to
   * connection.
   */
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

  /**
   * True if commands go to that server. One address is always the same server, and a Cluster finds the slot's owner
   * itself.
   */
  isAt(server: RedisHost | undefined): boolean {
    if (!this.#namesServers) return true;
    const own = this.server;
    return own !== undefined && server !== undefined && hostName(own) === hostName(server);
  }
}
