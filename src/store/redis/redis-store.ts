import { AuthError } from "../../auth/errors.ts";
import type {
  CommitOutcome,
  IndexKey,
  JsonObject,
  LogBreak,
  LogEntry,
  LogFollower,
  LogPosition,
  RecordKey,
  Step,
  Store,
  StoredRecord,
  StoreGuarantee,
  StoreHealth,
} from "../../auth/store.ts";
import { checkCount, checkName, checkPage, type PreparedStep, prepareStep } from "../step-limits.ts";
import { reasonOf, unavailable } from "../unavailable.ts";
import { parseRedisUrl, type RedisAddress, type RedisHost } from "./address.ts";
import { connectClient, createClient, type RedisClient, sendTogether, withDeadline } from "./client.ts";
import { CommandLink } from "./command-link.ts";
import { commitCall, isLogOnly, outcomeOf, type ScriptCall } from "./commit-step.ts";
import { DurableWrites, type Written } from "./durable-writes.ts";
import { faultOf, redisUnavailable } from "./faults.ts";
import { PrimaryFinder } from "./find-primary.ts";
import { readGuarantee } from "./guarantee.ts";
import { type RedisKeys, redisKeys } from "./keys.ts";
import { comparePositions, contentOf, logBounds } from "./log-stream.ts";
import { Script } from "./script.ts";
import { SentinelWatch } from "./sentinel-watch.ts";
import { readInfo, type ServerInfo, unfitReason } from "./server-info.ts";
import { Tail, watchdogMs } from "./tail.ts";

export interface RedisStoreOptions {
  /** See `parseRedisUrl`. */
  readonly url: string;
  /** Deadline of every method, ms; 250 by default. */
  readonly timeoutMs?: number | undefined;
  /** Separates installations on one Redis; `gatehouse` by default. */
  readonly prefix?: string;
  /** How long the log is kept, ms; 48 hours by default. */
  readonly logKeptMs?: number | undefined;
}

/** How long opening may wait, ms: a server that has just started loads its data first. */
const openMs = 10_000;
/** Commands that may wait for an answer at one time. */
const inFlightLimit = 5_000;

/**
 * Connects to Redis 7 or later. Rejects with an Error that an operator can read (secrets in the URL are masked) if
 * Redis cannot be reached, refuses the user, is too old, or may evict keys.
 */
export async function openRedisStore(options: RedisStoreOptions): Promise<Store> {
  const address = parseRedisUrl(options.url);
  const timeoutMs = options.timeoutMs ?? 250;
  const keys = redisKeys(options.prefix);
  const commit = { usual: new Script("commit"), withoutRoom: new Script("commit", "allow-oom") };
  const finder = new PrimaryFinder(address);
  const deadline = performance.now() + openMs;
  for (;;) {
    try {
      const client = await connectFit({ address, finder, timeoutMs }, keys);
      const { logKeptMs = logBounds.ageMs } = options;
      return new RedisStore({ address, finder, timeoutMs, keys, client, commit, logKeptMs });
    } catch (error) {
      if (isSlow(error) && performance.now() < deadline) continue;
      const late = isLate(error) ? `; store_timeout_ms gives each command ${timeoutMs} ms` : "";
      const detail = `cannot use Redis at ${address.masked}: ${faultOf(error)}${late}`;
      throw error instanceof UnfitServerError ? new Error(detail) : new AuthError("unavailable", { detail });
    }
  }
}

/** Redis answers late or loads its data: neither is a reason to give up at once. */
function isSlow(error: unknown): boolean {
  return isLate(error) || (error instanceof Error && error.message.startsWith("LOADING"));
}

function isLate(error: unknown): boolean {
  return error instanceof Error && /^(Command timed out|no answer within)/.test(error.message);
}

const timeScript = `local time = redis.call('TIME')
return string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))`;

interface Target {
  readonly address: RedisAddress;
  readonly finder: PrimaryFinder;
  readonly timeoutMs: number;
}

function createCommandClient({ address, finder, timeoutMs }: Target): RedisClient {
  return createClient(address, {
    findPrimary: () => finder.find(),
    commandTimeoutMs: timeoutMs,
    silenceMs: Math.max(1_000, timeoutMs * 4),
    reconnects: true,
  });
}

async function connectTail({ address, finder }: Target): Promise<RedisClient> {
  const client = createClient(address, {
    findPrimary: () => finder.find(),
    commandTimeoutMs: watchdogMs,
    silenceMs: watchdogMs,
    reconnects: false,
  });
  await connectClient(client, watchdogMs);
  return client;
}

async function connectFit(target: Target, keys: RedisKeys): Promise<RedisClient> {
  const client = createCommandClient(target);
  try {
    await connectClient(client, openMs);
    await refuseUnfit(client);
    // In a Cluster this command connects to the node that owns our slot.
    await withDeadline(client.call("get", keys.commits), openMs, "no answer");
    return client;
  } catch (error) {
    client.disconnect();
    throw error;
  }
}

async function refuseUnfit(client: RedisClient): Promise<void> {
  const reason = (await readInfo(client)).map(unfitReason).find((text) => text !== undefined);
  if (reason !== undefined) throw new UnfitServerError(reason);
}

/** The server answers but must not be used as it is configured: a retry does not help. */
class UnfitServerError extends Error {}

interface Parts extends Target {
  readonly keys: RedisKeys;
  readonly client: RedisClient;
  readonly commit: CommitScripts;
  readonly logKeptMs: number;
}

interface CommitScripts {
  readonly usual: Script;
  /** The same script. This one also runs if Redis is at `maxmemory`. */
  readonly withoutRoom: Script;
}

class RedisStore implements Store {
  readonly kind = "redis";
  readonly #address: RedisAddress;
  readonly #timeoutMs: number;
  readonly #keys: RedisKeys;
  readonly #client: RedisClient;
  readonly #link: CommandLink;
  readonly #commit: CommitScripts;
  readonly #logKeptMs: number;
  readonly #connectTail: () => Promise<RedisClient>;
  readonly #durable: DurableWrites;
  readonly #tails = new Set<Tail>();
  /** Behind Sentinels only. */
  readonly #watch: SentinelWatch | undefined;
  #inFlight = 0;
  #closed: Promise<void> | undefined;

  constructor(parts: Parts) {
    this.#address = parts.address;
    this.#timeoutMs = parts.timeoutMs;
    this.#keys = parts.keys;
    this.#client = parts.client;
    this.#link = new CommandLink(parts.client, parts.address.mode === "sentinel");
    this.#commit = parts.commit;
    this.#logKeptMs = parts.logKeptMs;
    this.#durable = new DurableWrites({
      create: () => createCommandClient(parts),
      connectMs: parts.timeoutMs / 2,
      run: (client, { keys, args }) => parts.commit.withoutRoom.run(client, keys, args),
      key: parts.keys.commits,
    });
    this.#watch = parts.address.mode === "sentinel" ? this.#watchSentinels() : undefined;
    const watch = this.#watch;
    if (watch !== undefined) parts.finder.useLookup(() => watch.ask());
    this.#connectTail = () => connectTail(parts);
  }

  #watchSentinels(): SentinelWatch {
    const tailServers = () =>
      [...this.#tails].flatMap(({ server }) => (server === undefined ? [] : [server]));
    return new SentinelWatch({
      address: this.#address,
      primary: this.#link,
      others: tailServers,
      onMoved: (isPrimary) => this.#disconnectFrom((server) => server !== undefined && !isPrimary(server)),
    });
  }

  /** Drops connections to servers that are no longer primaries. Each is opened again, to the current primary. */
  #disconnectFrom(isOther: (server: RedisHost | undefined) => boolean): void {
    if (isOther(this.#link.server)) this.#client.disconnect(true);
    this.#durable.disconnectFrom(isOther);
    for (const tail of this.#tails) if (isOther(tail.server)) tail.restart();
  }

  async get(keys: readonly RecordKey[]): Promise<readonly (StoredRecord | undefined)[]> {
    for (const key of keys) checkName(key);
    if (keys.length === 0) return [];
    const reply = await this.#ask(() => this.#client.mget(keys.map((key) => this.#keys.record(key))));
    // A different number of values is the reply to another command.
    if (!Array.isArray(reply) || reply.length !== keys.length) throw this.#otherReply();
    return reply.map((text) => (text === null ? undefined : parseRecord(text)));
  }

  async list(
    index: IndexKey,
    page: { readonly after?: string | undefined; readonly limit: number },
  ): Promise<readonly string[]> {
    checkName(index);
    checkPage(page.limit);
    const from = page.after === undefined ? "-" : `(${page.after}`;
    const key = this.#keys.index(index);
    const reply: unknown = await this.#ask(() =>
      this.#client.zrangebylex(key, from, "+", "LIMIT", 0, page.limit),
    );
    if (!isPage(reply, page.limit)) throw this.#otherReply();
    return reply;
  }

  async hasMoreThan(index: IndexKey, count: number): Promise<boolean> {
    checkName(index);
    checkCount(count);
    const reply: unknown = await this.#ask(() => this.#client.zcard(this.#keys.index(index)));
    if (typeof reply !== "number") throw this.#otherReply();
    return reply > count;
  }

  async commit(step: Step): Promise<CommitOutcome> {
    const prepared = prepareStep(step);
    const call = commitCall(this.#keys, prepared, this.#logKeptMs);
    const { durable = false } = step;
    const write = durable ? () => this.#writeDurably(call) : () => this.#write(call, prepared);
    const { reply, durability } = await this.#ask(write);
    const outcome = outcomeOf(reply, prepared, "memory");
    if (!outcome.ok) return outcome;
    const known = await durability;
    // Not before: if a follower finds this commit lost, the repair must start after the caller has applied its events.
    this.#acknowledge(outcome, prepared);
    return { ...outcome, durability: known };
  }

  #otherReply(): AuthError {
    return redisUnavailable(new Error("the reply belongs to another command"), this.#address.masked);
  }

  async #writeDurably(call: ScriptCall): Promise<Written> {
    return await this.#durable.write(call, this.#client);
  }

  async #write({ keys, args }: ScriptCall, step: PreparedStep): Promise<Written> {
    const script = isLogOnly(step) ? this.#commit.withoutRoom : this.#commit.usual;
    const reply = await script.run(this.#client, keys, args);
    return { reply, durability: Promise.resolve("memory") };
  }

  /** Every follower must see the commits that this process was told are committed. */
  #acknowledge(outcome: CommitOutcome & { readonly ok: true }, { log }: PreparedStep): void {
    for (const [at, position] of outcome.positions.entries()) {
      const content = contentOf(outcome.version, log[at] ?? "");
      for (const tail of this.#tails) tail.acknowledge(position, content);
    }
  }

  follow(
    since: number,
    onEntries: (entries: readonly LogEntry[]) => void,
    onBreak: (kind: LogBreak) => void = () => undefined,
  ): LogFollower {
    const tail = new Tail({
      connect: this.#connectTail,
      stream: this.#keys.log,
      commands: this.#link,
      since,
      onEntries,
      onBreak,
    });
    this.#tails.add(tail);
    void tail.ended.then(() => {
      this.#tails.delete(tail);
      if (this.#tails.size === 0) this.#watch?.stop();
    });
    if (this.#closed === undefined) this.#watch?.start();
    else void tail.stop();
    return tail;
  }

  comparePositions(a: LogPosition, b: LogPosition): number {
    return comparePositions(a, b);
  }

  async guarantee(): Promise<StoreGuarantee> {
    return await readGuarantee(this.#address, this.#client);
  }

  primaryConfirmedAt(): number {
    return this.#watch === undefined ? Number.POSITIVE_INFINITY : this.#watch.confirmedAt;
  }

  /** Runs as a script on the server that owns our keys: without a key a Cluster would ask any of its nodes. */
  async time(): Promise<number> {
    const reply = await this.#ask(() => this.#client.call("eval", timeScript, 1, this.#keys.commits));
    return Number(reply);
  }

  async health(): Promise<StoreHealth> {
    const start = performance.now();
    const latencyMs = () => performance.now() - start;
    try {
      const servers = await this.#ask(() => readInfo(this.#client));
      const faults = servers.map((info) => unfitReason(info) ?? persistenceFault(info));
      const detail = servers.map((info, at) => describe(info, faults[at])).join("; ");
      const ok = servers.length > 0 && faults.every((fault) => fault === undefined);
      return { ok, latencyMs: latencyMs(), detail: `redis ${this.#address.masked}: ${detail}` };
    } catch (error) {
      return { ok: false, latencyMs: latencyMs(), detail: reasonOf(error) };
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.#client.once("end", () => resolve()));
    const alreadyEnded = this.#client.status === "end";
    this.#client.disconnect();
    this.#durable.close();
    this.#watch?.stop();
    await Promise.all([...this.#tails].map((tail) => tail.stop()));
    if (!alreadyEnded) await withDeadline(ended, 1_000, "not closed").catch(() => undefined);
  }

  /** One exchange with Redis. Fails as unavailable: at once if there is no connection, otherwise at the deadline. */
  async #ask<T>(exchange: () => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) throw unavailable(`redis ${this.#address.masked}: closed`);
    if (this.#inFlight >= inFlightLimit) {
      throw unavailable(`redis ${this.#address.masked}: too many commands wait`);
    }
    this.#inFlight += 1;
    sendTogether(this.#client);
    try {
      return await withDeadline(exchange(), this.#timeoutMs, "no answer");
    } catch (error) {
      throw redisUnavailable(error, this.#address.masked);
    } finally {
      this.#inFlight -= 1;
    }
  }
}

function isPage(reply: unknown, limit: number): reply is string[] {
  return Array.isArray(reply) && reply.length <= limit && reply.every((member) => typeof member === "string");
}

function parseRecord(text: string): StoredRecord {
  const bar = text.indexOf("|");
  return { version: Number(text.slice(0, bar)), value: JSON.parse(text.slice(bar + 1)) as JsonObject };
}

function persistenceFault(info: ServerInfo): string | undefined {
  if (info.get("aof_last_write_status") === "err") return "its last write to the append-only file failed";
  return info.get("loading") === "1" ? "it is loading its data" : undefined;
}

function describe(info: ServerInfo, fault: string | undefined): string {
  const value = (name: string) => info.get(name) ?? "?";
  const limit = info.get("maxmemory") === "0" ? "" : ` of ${value("maxmemory_human")}`;
  const facts = [
    `version ${value("redis_version")}`,
    `role ${value("role")}`,
    `${value("connected_slaves")} replicas`,
    `${value("used_memory_human")}${limit} used`,
    `append-only file ${info.get("aof_enabled") === "1" ? "on" : "off"}`,
  ];
  return [...facts, ...(fault === undefined ? [] : [fault])].join(", ");
}
