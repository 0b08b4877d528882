import { connect, type Socket } from "node:net";
import { setTimeout } from "node:timers/promises";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { AbstractConnector, type RedisOptions } from "ioredis";

import type { RedisHost } from "./address.ts";

export interface PrimaryConnectorOptions {
  /** Where the primary is now. Rejects while that is not known. */
  readonly find: () => Promise<RedisHost>;
  /** The pause before it is asked again, ms, by attempt; null: not again. */
  readonly retry: (attempt: number) => number | null;
  readonly tls: boolean;
  readonly disconnectTimeoutMs: number;
}

/**
 * How an ioredis client comes to the primary that Sentinels name, for every connection anew. ioredis' own way believes the
 * first Sentinel that answers, also one that was left behind; and its failover detector leaves a promise without a
 * handler when a Sentinel refuses SUBSCRIBE after a reconnect.
 */
export function primaryConnector(options: PrimaryConnectorOptions): NonNullable<RedisOptions["Connector"]> {
  return class PrimaryConnector extends AbstractConnector {
    constructor() {
      super(options.disconnectTimeoutMs);
    }

    /** A replica is left again: the Sentinels have not all heard of a failover. */
    override check({ role }: { readonly role?: string }): boolean {
      return role === undefined || role === "master";
    }

    /** A rejection ends an ioredis client for good, so that it comes only where there is no further attempt. */
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
