import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { Redis } from "ioredis";

import type { RedisAddress, RedisHost } from "./address.ts";
import { createSentinelClient, withDeadline } from "./client.ts";

/** How long a Sentinel may take to answer, ms. */
export const sentinelTimeoutMs = 400;
/** Further Sentinels that one Sentinel may name; more are ignored. */
const maxOthers = 32;

/** The last answer of one Sentinel. */
export interface SentinelReport {
  /** `performance.now()` of the question. */
  readonly askedAt: number;
  /** `host:port` of the primary that it named, one for every address of the host. */
  readonly primary: readonly string[];
  /** The primary as the Sentinel wrote it. */
  readonly named: RedisHost;
  readonly state: PrimaryState;
}

/** What a Sentinel reports about the primary besides its address. */
export interface PrimaryState {
  /**
   * The number of the failover that made it the primary. A majority votes for each failover, and Sentinels learn of it
   * one by one. So the highest number is right whoever reports it.
   */
  readonly epoch: number;
  /** The Sentinel does not reach the primary now, so it knows nothing about the server that others may find there. */
  readonly isDown: boolean;
  /** The Sentinel is replacing this primary, even if it has come back meanwhile. */
  readonly isReplaced: boolean;
}

/** The answers that know of the latest failover that any of them knows of. */
export function latest<Word extends Pick<SentinelReport, "state">>(
  reports: readonly Word[],
): readonly Word[] {
  const epoch = Math.max(...reports.map(({ state }) => state.epoch));
  return reports.filter(({ state }) => state.epoch === epoch);
}

/** If the Sentinel reports nothing: epoch 0, neither down nor replaced. */
export async function stateOf(sentinel: Redis, primary: string): Promise<PrimaryState> {
  const fields = fieldsOf(await sentinel.call("sentinel", "MASTER", primary).catch(() => undefined));
  const epoch = Number(fields.get("config-epoch"));
  const flags = (fields.get("flags") ?? "").split(",");
  return {
    epoch: Number.isSafeInteger(epoch) ? epoch : 0,
    isDown: flags.includes("s_down") || flags.includes("o_down"),
    isReplaced: flags.includes("failover_in_progress"),
  };
}

/** One Sentinel, asked over a connection of its own that reconnects with back-off. */
export class SentinelLink {
  readonly host: RedisHost;
  /** The Sentinel's own id (runid); undefined until it was reached once. */
  id: string | undefined;
  report: SentinelReport | undefined;
  others: ReadonlyMap<string, RedisHost> = new Map();
  readonly #client: Redis;
  readonly #primary: string;
  #asking: Promise<void> | undefined;

  constructor(address: RedisAddress, host: RedisHost) {
    this.host = host;
    this.#primary = address.primary ?? "";
    this.#client = createSentinelClient(address, host, sentinelTimeoutMs);
    // Reconnects by itself. Until then a question fails at once.
    this.#client.connect().catch(() => undefined);
  }

  /** Asks one question at a time. Never rejects: without an answer its last one only grows older. */
  ask(): Promise<void> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(): Promise<void> {
    const askedAt = performance.now();
    try {
      const [id, named, others, state] = await Promise.all([
        this.#client.call("sentinel", "MYID"),
        this.#client.call("sentinel", "GET-MASTER-ADDR-BY-NAME", this.#primary),
        this.#client.call("sentinel", "SENTINELS", this.#primary),
        stateOf(this.#client, this.#primary),
      ]);
      this.id = idOf(id);
      this.others = othersOf(others);
      this.report = await reportOf(named, { askedAt, state });
    } catch {
      // Not reached, or it does not know the primary.
    }
  }

  close(): void {
    this.#client.disconnect();
  }
}

/** 40 hexadecimal digits. Throws for anything else: it may be the reply to another question. */
function idOf(reply: unknown): string {
  const id = String(reply);
  if (!/^[\da-f]{40}$/.test(id)) throw new Error("a Sentinel returned no id");
  return id;
}

async function reportOf(
  reply: unknown,
  about: Pick<SentinelReport, "askedAt" | "state">,
): Promise<SentinelReport | undefined> {
  if (!Array.isArray(reply)) return undefined;
  const named = { host: String(reply[0]), port: Number(reply[1]) };
  const addresses = await addressesOf(named.host);
  return { ...about, named, primary: addresses.map((host) => hostName({ host, port: named.port })) };
}

/** Sentinels name hosts by address, or by name if they are configured so. */
async function addressesOf(host: string): Promise<readonly string[]> {
  if (isIP(host) > 0) return [host];
  const found = await withDeadline(lookup(host, { all: true }), sentinelTimeoutMs, "no address");
  return found.map(({ address }) => address);
}

/** `host:port`, with the same text for an IPv4 address and its IPv6 form. */
export function hostName({ host, port }: RedisHost): string {
  return `${host.replace(/^::ffff:(?=\d+\.)/i, "")}:${port}`;
}

/** Parses a SENTINEL SENTINELS reply: a flat list of names and values for each. */
export function othersOf(reply: unknown): ReadonlyMap<string, RedisHost> {
  const list = Array.isArray(reply) ? reply.slice(0, maxOthers) : [];
  return new Map(
    list.flatMap((item) => {
      const fields = fieldsOf(item);
      const [id, host, port] = [
        fields.get("runid") ?? "",
        fields.get("ip") ?? "",
        Number(fields.get("port")),
      ];
      return id !== "" && host !== "" && port > 0 ? [[id, { host, port }] as const] : [];
    }),
  );
}

/** A flat list of names and values. */
export function fieldsOf(flat: unknown): ReadonlyMap<string, string> {
  const list = Array.isArray(flat) ? flat.map(String) : [];
  return new Map(list.flatMap((name, at) => (at % 2 === 0 ? [[name, list[at + 1] ?? ""] as const] : [])));
}
