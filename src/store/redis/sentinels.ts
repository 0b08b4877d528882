import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { Redis } from "ioredis";

import type { RedisAddress, RedisHost } from "./address.ts";
import { createSentinelClient, withDeadline } from "./client.ts";

/** How long a Sentinel has for an answer. */
export const sentinelTimeoutMs = 400;
/** Further Sentinels that one of them may name: more are ignored. */
const mostOthers = 32;

/** What one Sentinel said last. */
export interface SentinelWord {
  /** `performance.now()` when it was asked. */
  readonly askedAt: number;
  /** `host:port` of the primary that it named, for every address of the host. */
  readonly primary: readonly string[];
  /** As it named it. */
  readonly named: RedisHost;
  readonly state: PrimaryState;
}

/** What a Sentinel says of the primary besides where it is. */
export interface PrimaryState {
  /**
   * The number of the failover that made it the primary. Each is voted for by a majority, and Sentinels learn of it one by
   * one, so that a higher one is right whoever says it.
   */
  readonly epoch: number;
  /** The Sentinel does not reach it now, so that it knows nothing of the server that others may find there. */
  readonly isDown: boolean;
  /** The Sentinel is about to put another in its place, also when it has come back meanwhile. */
  readonly isReplaced: boolean;
}

/** The words that know of the last failover that any of them knows of. */
export function latest<Word extends Pick<SentinelWord, "state">>(words: readonly Word[]): readonly Word[] {
  const epoch = Math.max(...words.map(({ state }) => state.epoch));
  return words.filter(({ state }) => state.epoch === epoch);
}

/** Epoch 0 and nothing against it where the Sentinel does not tell. */
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

/** One Sentinel, asked over a small connection of its own that reconnects with back-off. */
export class SentinelLink {
  readonly host: RedisHost;
  /** The id that it has among Sentinels; undefined before it was reached. */
  id: string | undefined;
  word: SentinelWord | undefined;
  others: ReadonlyMap<string, RedisHost> = new Map();
  readonly #client: Redis;
  readonly #primary: string;
  #asking: Promise<void> | undefined;

  constructor(address: RedisAddress, host: RedisHost) {
    this.host = host;
    this.#primary = address.primary ?? "";
    this.#client = createSentinelClient(address, host, sentinelTimeoutMs);
    // Reconnects by itself; a question meanwhile fails at once.
    this.#client.connect().catch(() => undefined);
  }

  /** One question at a time. Never rejects: without an answer its last word only grows older. */
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
      this.word = await wordOf(named, { askedAt, state });
    } catch {
      // Not reached, or it does not know the primary.
    }
  }

  close(): void {
    this.#client.disconnect();
  }
}

/** 40 hexadecimal digits. Throws for what is none: it may be the reply to another question. */
function idOf(reply: unknown): string {
  const id = String(reply);
  if (!/^[\da-f]{40}$/.test(id)) throw new Error("a Sentinel gives no id");
  return id;
}

async function wordOf(
  reply: unknown,
  about: Pick<SentinelWord, "askedAt" | "state">,
): Promise<SentinelWord | undefined> {
  if (!Array.isArray(reply)) return undefined;
  const named = { host: String(reply[0]), port: Number(reply[1]) };
  const addresses = await addressesOf(named.host);
  return { ...about, named, primary: addresses.map((host) => hostName({ host, port: named.port })) };
}

/** Sentinels name hosts by address, or by name where they are set up to. */
async function addressesOf(host: string): Promise<readonly string[]> {
  if (isIP(host) > 0) return [host];
  const found = await withDeadline(lookup(host, { all: true }), sentinelTimeoutMs, "no address");
  return found.map(({ address }) => address);
}

/** `host:port`, the same for an IPv4 address and its IPv6 form. */
export function hostName({ host, port }: RedisHost): string {
  return `${host.replace(/^::ffff:(?=\d+\.)/i, "")}:${port}`;
}

/** A SENTINEL SENTINELS reply: a flat list of names and values for each. */
export function othersOf(reply: unknown): ReadonlyMap<string, RedisHost> {
  const list = Array.isArray(reply) ? reply.slice(0, mostOthers) : [];
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
