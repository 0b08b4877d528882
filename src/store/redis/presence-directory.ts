import { randomBytes } from "node:crypto";

import { AuthError } from "../../auth/errors.ts";
import type { EventBus } from "../../auth/event-bus.ts";
import type { JsonObject } from "../../auth/store.ts";
import {
  type LiveConnection,
  matchesQuery,
  type PresenceChanges,
  type PresenceDirectory,
  type PresencePage,
  type PresenceQuery,
  type PresenceWatcher,
  type PresenceWrite,
} from "../../presence/presence-directory.ts";
import { parseRedisUrl, type RedisAddress } from "./address.ts";
import { type RedisClient, withDeadline } from "./client.ts";
import { redisUnavailable } from "./faults.ts";
import { redisKeys } from "./keys.ts";
import { LazyClient } from "./lazy-client.ts";
import { connectionsIn, entryOf, parseEntry, wireOf } from "./presence-entry.ts";
import { Script } from "./script.ts";

export interface RedisPresenceOptions {
  /** See `parseRedisUrl`. */
  readonly url: string;
  /** The store's prefix; `gatehouse` by default. */
  readonly prefix?: string;
  readonly node: string;
  /** Carries the changes to whoever watches. */
  readonly events: EventBus;
  /** Called if changes were not written; they are written again. */
  readonly onFault: (error: unknown) => void;
  /** Length of a part's lease, ms; 15 s by default. */
  readonly leaseMs?: number;
}

const topic = "presence";
const closeMs = 500;
const claimMs = 60_000;
const partsClaimedAtOnce = 10;
/** Entries that one command of a page or a removal reads at most. */
const readSize = 500;
/** The list outlives an installation that stopped by this, ms. The nodes write everything again far more often. */
const listMs = 86_400_000;
/** A message of the bus is shorter than 4 KiB. */
const maxMessageLength = 3_500;

/**
 * The list in Redis. An entry is a member `ID PART JSON` of a sorted set for all and of one for its user, so that pages are
 * in the order of ids. A part is what one node writes under one lease. Readers leave out entries whose part has no lease,
 * and one node removes them. A node that lost its lease begins another part.
 */
export class RedisPresenceDirectory implements PresenceDirectory {
  readonly needsWrites = true;
  readonly listsAtOnce = false;
  readonly #options: RedisPresenceOptions;
  readonly #address: RedisAddress;
  readonly #client: LazyClient;
  readonly #keys: ReturnType<typeof redisKeys>["presence"];
  readonly #script = new Script("presence");
  readonly #leaseMs: number;
  readonly #watchers = new Set<{ readonly watcher: PresenceWatcher; hasBegun: boolean }>();
  #part: string;
  #hasWritten = false;
  /** The current fault was reported. */
  #isDown = false;
  #renewedAt = Number.NEGATIVE_INFINITY;
  #stopHearing: (() => void) | undefined;
  #watching: NodeJS.Timeout | undefined;

  /** Connects to nothing yet. Throws if the URL is invalid. */
  constructor(options: RedisPresenceOptions) {
    this.#options = options;
    this.#address = parseRedisUrl(options.url);
    this.#client = new LazyClient(this.#address);
    this.#keys = redisKeys(options.prefix).presence;
    this.#leaseMs = options.leaseMs ?? 15_000;
    this.#part = newPart(options.node);
  }

  async write(changes: PresenceWrite): Promise<"written" | "lost"> {
    const isEmpty = changes.joined.length + changes.left.length + changes.renewed.length === 0;
    if (isEmpty && performance.now() - this.#renewedAt < this.#leaseMs / 3) return "written";
    try {
      const client = await this.#client.get();
      const hadLease = await this.#renew(client);
      if (!hadLease && this.#hasWritten) return this.#begin();
      this.#hasWritten = true;
      if (await this.#apply(client, changes)) this.#tell(changes);
      this.#isDown = false;
      return "written";
    } catch (error) {
      if (!this.#isDown) this.#fault(error);
      this.#isDown = true;
      return this.#begin();
    }
  }

  async page(
    query: PresenceQuery,
    { after, limit }: { readonly after: string | undefined; readonly limit: number },
  ): Promise<PresencePage> {
    try {
      const client = await this.#client.get();
      const parts = await this.#liveParts(client);
      const { node, userId } = query;
      const key = userId === undefined ? this.#keys.all : this.#keys.of(userId);
      // "!" follows the blank behind an id, "." follows the "-" behind a node.
      const from = after !== undefined ? `(${after}!` : node !== undefined ? `[${node}-` : "-";
      const to = node === undefined ? "+" : `(${node}.`;
      const size = Math.min(readSize, narrows(query) ? readSize : limit);
      const members = await client.zrangebylex(key, from, to, "LIMIT", 0, size);
      const connections: LiveConnection[] = [];
      for (const member of members) {
        const entry = parseEntry(member);
        if (entry === undefined || !parts.has(entry.part) || !matchesQuery(entry.connection, query)) continue;
        connections.push(entry.connection);
        if (connections.length === limit) return { connections, next: entry.connection.id };
      }
      const last = members.at(-1);
      const next = members.length < size || last === undefined ? undefined : last.slice(0, last.indexOf(" "));
      return { connections, next };
    } catch (error) {
      throw error instanceof AuthError ? error : redisUnavailable(error, this.#address.masked);
    }
  }

  watch(watcher: PresenceWatcher): () => void {
    const entry = { watcher, hasBegun: false };
    this.#watchers.add(entry);
    this.#stopHearing ??= this.#hear();
    // Until every node has seen the mark, changes are missed.
    const settled = setTimeout(() => {
      entry.hasBegun = true;
      watcher.onGap();
    }, markSeenMs).unref();
    return () => {
      clearTimeout(settled);
      this.#watchers.delete(entry);
      if (this.#watchers.size === 0) this.#stopWatching();
    };
  }

  async close(): Promise<void> {
    this.#watchers.clear();
    this.#stopWatching();
    if (this.#hasWritten) {
      const leaving = this.#client.get().then((client) => this.#leave(client));
      await withDeadline(leaving, closeMs, "not left").catch(() => undefined);
    }
    await this.#client.disconnect();
  }

  /** Whatever was written under the old part counts no more. */
  #begin(): "lost" {
    this.#part = newPart(this.#options.node);
    this.#hasWritten = false;
    this.#renewedAt = Number.NEGATIVE_INFINITY;
    return "lost";
  }

  /** Whether the part had a lease. Removes other parts whose lease is over, in the background. */
  async #renew(client: RedisClient): Promise<boolean> {
    const [had, claimed] = await this.#lease(client, {
      part: this.#part,
      ms: this.#leaseMs,
      claims: partsClaimedAtOnce,
    });
    this.#renewedAt = performance.now();
    for (const part of claimed) this.#remove(client, part).catch((error: unknown) => this.#fault(error));
    return had;
  }

  async #lease(
    client: RedisClient,
    { part, ms, claims }: { readonly part: string; readonly ms: number; readonly claims: number },
  ): Promise<[boolean, readonly string[]]> {
    const { parts, partsThatAreOver } = this.#keys;
    const isNew = this.#hasWritten ? "0" : "1";
    const args = [part, String(ms), String(claimMs), String(claims), isNew];
    const [had, claimed] = (await this.#script.run(client, [parts, partsThatAreOver], args)) as [
      number,
      readonly string[],
    ];
    return [had === 1, claimed];
  }

  /** Whether anybody watches. */
  async #apply(client: RedisClient, { joined, left, renewed }: PresenceWrite): Promise<boolean> {
    const pipeline = client.pipeline();
    const add = (key: string, members: readonly string[]) => {
      pipeline.zadd(key, ...members.flatMap((member) => ["0", member]));
      pipeline.pexpire(key, listMs);
    };
    const present = [...joined, ...renewed];
    if (present.length > 0)
      add(
        this.#keys.all,
        present.map((each) => this.#entry(each)),
      );
    for (const [userId, members] of this.#byUser(present)) add(this.#keys.of(userId), members);
    if (left.length > 0) pipeline.zrem(this.#keys.all, ...left.map((each) => this.#entry(each)));
    for (const [userId, members] of this.#byUser(left)) pipeline.zrem(this.#keys.of(userId), ...members);
    pipeline.exists(this.#keys.watched);
    const replies = (await pipeline.exec()) ?? [];
    const fault = replies.find(([error]) => error !== null)?.[0];
    if (fault !== undefined && fault !== null) throw fault;
    return replies.at(-1)?.[1] === 1;
  }

  #byUser(connections: readonly LiveConnection[]): ReadonlyMap<string, string[]> {
    const members = new Map<string, string[]>();
    for (const connection of connections) {
      const entry = this.#entry(connection);
      const known = members.get(connection.userId);
      if (known === undefined) members.set(connection.userId, [entry]);
      else known.push(entry);
    }
    return members;
  }

  #entry(connection: LiveConnection): string {
    return entryOf(connection, this.#part);
  }

  async #liveParts(client: RedisClient): Promise<ReadonlySet<string>> {
    // The script with no part of its own moves those whose lease is over, by Redis' clock.
    await this.#lease(client, { part: "", ms: 0, claims: 0 });
    return new Set(await client.zrange(this.#keys.parts, "0", "-1"));
  }

  /** Removes a part whose lease is over and tells whoever watches. */
  async #remove(client: RedisClient, part: string): Promise<void> {
    const node = part.slice(0, part.indexOf("."));
    let from = `[${node}-`;
    for (;;) {
      const members = await client.zrangebylex(this.#keys.all, from, `(${node}.`, "LIMIT", 0, readSize);
      const left: LiveConnection[] = [];
      const pipeline = client.pipeline();
      for (const member of members) {
        const entry = parseEntry(member);
        if (entry === undefined || entry.part !== part) continue;
        left.push(entry.connection);
        pipeline.zrem(this.#keys.all, member);
        pipeline.zrem(this.#keys.of(entry.connection.userId), member);
      }
      await pipeline.exec();
      this.#tell({ joined: [], left });
      const last = members.at(-1);
      if (last === undefined || members.length < readSize) break;
      from = `(${last}`;
    }
    await client.zrem(this.#keys.partsThatAreOver, part);
  }

  async #leave(client: RedisClient): Promise<void> {
    await client.zrem(this.#keys.parts, this.#part);
    await this.#remove(client, this.#part);
  }

  /** Messages of the bus are short, so changes go out in several. */
  #tell({ joined, left }: PresenceChanges): void {
    for (const [change, connections] of [
      ["joined", joined],
      ["left", left],
    ] as const) {
      let batch: JsonObject[] = [];
      let length = 0;
      const send = () => {
        if (batch.length > 0) this.#options.events.publish(topic, { [change]: batch });
        batch = [];
        length = 0;
      };
      for (const connection of connections) {
        const wire = wireOf(connection);
        const size = JSON.stringify(wire).length;
        if (length + size > maxMessageLength) send();
        batch.push(wire);
        length += size + 1;
      }
      send();
    }
  }

  #hear(): () => void {
    const mark = () => {
      this.#client
        .get()
        .then((client) => client.set(this.#keys.watched, "1", "PX", markMs))
        .catch((error: unknown) => this.#fault(error));
    };
    mark();
    this.#watching = setInterval(mark, markMs / 3).unref();
    return this.#options.events.subscribe(topic, {
      onMessage: (message) => {
        const changes = { joined: connectionsIn(message.joined), left: connectionsIn(message.left) };
        for (const { watcher } of [...this.#watchers]) watcher.onChanges(changes);
      },
      onGap: () => {
        for (const { watcher, hasBegun } of [...this.#watchers]) if (hasBegun) watcher.onGap();
      },
    });
  }

  #stopWatching(): void {
    clearInterval(this.#watching);
    this.#stopHearing?.();
    this.#stopHearing = undefined;
  }

  #fault(error: unknown): void {
    this.#options.onFault(redisUnavailable(error, this.#address.masked));
  }
}

/** How long the mark that somebody watches stays without being renewed, ms. */
const markMs = 30_000;
/** After this every node has written once more, so it has seen the mark, ms. */
const markSeenMs = 1_500;

/** Whether entries between the two ends of a page's range may not match. The ends say which user and node. */
function narrows({ sessionId, clientId, address }: PresenceQuery): boolean {
  return sessionId !== undefined || clientId !== undefined || address !== undefined;
}

function newPart(node: string): string {
  return `${node}.${randomBytes(8).toString("hex")}`;
}
