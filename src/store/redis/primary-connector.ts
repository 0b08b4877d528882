import { connect, type Socket } from "node:net";
import { setTimeout } from "node:timers/promises";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { AbstractConnector, type RedisOptions } from "ioredis";

import type { RedisHost } from "./address.ts";

export interface PrimaryConnectorOptions {
  /** Where the primary is now. Rejects while it is unknown. */
  readonly find: () => Promise<RedisHost>;
  /** The pause before the next lookup, ms, by attempt; null: no further attempt. */
  readonly retry: (attempt: number) => number | null;
  readonly tls: boolean;
  readonly disconnectTimeoutMs: number;
}

/**
 * Finds the primary that Sentinels name, for every new connection of an ioredis client. ioredis' own connector trusts
 * the first Sentinel that answers, even an outdated one. Its failover detector leaves a promise without a handler if a
 * Sentinel refuses SUBSCRIBE after a reconnect.
 */
export function primaryConnector(options: PrimaryConnectorOptions): NonNullable<RedisOptions["Connector"]> {
  return class PrimaryConnector extends AbstractConnector {
    constructor() {
      super(options.disconnectTimeoutMs);
    }

    /** Disconnects from a replica: not all Sentinels have learned of a failover yet. */
    override check({ role }: { readonly role?: string }): boolean {
      return role === undefined || role === "master";
    }

    /** A rejection ends an ioredis client for good, so this rejects only if there is no further attempt. */
    override async connect(emit: (event: string, error: Error) => void): Promise<Socket | TLSSocket> {
      this.connecting = true;
      for (let attempt = 1; ; attempt += 1) {
        const found = await options.find().catch((error: Error) => error);
        if (!this.connecting) throw new Error("Connection is closed.");
        if (!(found instanceof Error)) return this.#open(found);
        const pauseMs = options.retry(attempt);
        if (pauseMs === null) throw found;
        emit("error", found);
        await setTimeout(pauseMs, undefined, { ref: false });
      }
    }

    #open({ host, port }: RedisHost): Socket | TLSSocket {
      this.stream = options.tls ? connectTls({ host, port }) : connect({ host, port });
      this.stream.once("error", (error) => {
        this.firstError = error;
      });
      return this.stream;
    }
  };
}
