import type { Socket } from "node:net";
import { Cluster, type ClusterOptions, Redis, type RedisOptions } from "ioredis";

import type { RedisAddress, RedisHost } from "./address.ts";
import { primaryConnector } from "./primary-connector.ts";
import { watchReplies } from "./reply-watchdog.ts";

export type RedisClient = Redis | Cluster;

export interface ClientOptions {
  /** Deadline of one command, ms. */
  readonly commandTimeoutMs: number;
  /** A connection that delivers nothing for this long, ms, while a command waits is half-open. It is replaced. */
  readonly silenceMs: number;
  /** True: reconnects by itself for ever. False: ends with its first loss, and its owner creates a new one. */
  readonly reconnects: boolean;
  /** Behind Sentinels: looks up the primary for every connection. Rejects while it is unknown. */
  readonly findPrimary: () => Promise<RedisHost>;
  /** False for a connection that only subscribes: it has no replies to check. */
  readonly watchesReplies?: boolean;
}

/** A connection without a matching reply for this long, ms, is replaced, unless its commands have a longer deadline. */
const replyTimeoutMs = 3_000;
/** How long a connection that is being ended may stay open, ms. */
const disconnectTimeoutMs = 100;

/**
 * An unconnected client without ioredis' unsafe defaults. A command without an answer fails at its deadline. The
 * library never sends it again, because it may have been applied. It is refused at once while there is no connection.
 * The caller connects with `connectClient`.
 */
export function createClient(address: RedisAddress, options: ClientOptions): RedisClient {
  const client =
    address.mode === "cluster" ? clusterClient(address, options) : singleClient(address, options);
  // Without a listener every lost connection is an uncaught error. The commands report the loss.
  client.on("error", () => undefined);
  if (options.watchesReplies !== false)
    watchReplies(client, Math.max(replyTimeoutMs, 2 * options.commandTimeoutMs));
  return client;
}

/** Back-off of reconnects: short first, at most a second, with jitter. */
function backOff(attempt: number): number {
  return Math.min(50 * 2 ** Math.min(attempt - 1, 5), 1_000) * (0.75 + Math.random() / 4);
}

function connectionOptions(address: RedisAddress, options: Omit<ClientOptions, "findPrimary">) {
  return {
    commandTimeout: options.commandTimeoutMs,
    socketTimeout: options.silenceMs,
    connectTimeout: Math.max(1_000, options.commandTimeoutMs * 4),
    disconnectTimeout: disconnectTimeoutMs,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    keepAlive: 5_000,
    protocol: 2,
    connectionName: "gatehouse",
    disableClientInfo: true,
    // A demoted primary keeps its connections and refuses every write on them.
    reconnectOnError: (error) => error.message.startsWith("READONLY"),
    username: address.username,
    password: address.password,
    ...(address.tls ? { tls: {} } : {}),
  } satisfies RedisOptions;
}

function singleClient(address: RedisAddress, options: ClientOptions): Redis {
  const retry = options.reconnects ? backOff : () => null;
  const shared = {
    ...connectionOptions(address, options),
    enableOfflineQueue: false,
    lazyConnect: true,
    db: address.db,
    retryStrategy: retry,
  } satisfies RedisOptions;
  const [first] = address.hosts;
  if (address.mode === "standalone") return new Redis({ ...shared, ...first });
  const connector = { find: options.findPrimary, retry, tls: address.tls, disconnectTimeoutMs };
  return new Redis({ ...shared, Connector: primaryConnector(connector) });
}

/** An unconnected client of one Sentinel, which reconnects by itself. */
export function createSentinelClient(address: RedisAddress, host: RedisHost, timeoutMs: number): Redis {
  const { sentinelUsername: username, sentinelPassword: password } = address;
  const sentinel = { ...address, username, password };
  const client = new Redis({
    ...connectionOptions(sentinel, {
      commandTimeoutMs: timeoutMs,
      silenceMs: 2 * timeoutMs,
      reconnects: true,
    }),
    ...host,
    enableOfflineQueue: false,
    // The check uses a command that a Sentinel user need not be allowed.
    enableReadyCheck: false,
    lazyConnect: true,
    retryStrategy: backOff,
  });
  client.on("error", () => undefined);
  watchReplies(client, Math.max(replyTimeoutMs, 2 * timeoutMs));
  return client;
}

function clusterClient(address: RedisAddress, options: ClientOptions): Cluster {
  const retry = options.reconnects ? backOff : () => null;
  const clusterOptions = {
    redisOptions: connectionOptions(address, options),
    enableOfflineQueue: false,
    lazyConnect: true,
    clusterRetryStrategy: retry,
    clusterNodeRetryStrategy: retry,
    // ioredis would resend a command if its connection was lost: a commit could be applied twice.
    retryDelayOnFailover: 0,
    // Resending to a Cluster that is down does not help: the command would fail at its deadline, which hides the cause.
    retryDelayOnClusterDown: 0,
    slotsRefreshTimeout: Math.max(1_000, options.commandTimeoutMs),
    slotsRefreshInterval: 1_000,
    scaleReads: "master",
  } satisfies ClusterOptions;
  const cluster = new Cluster(
    address.hosts.map((host) => ({ ...host })),
    clusterOptions,
  );
  // If a slot refresh is under way when the client ends, it plans the next one, and that the next: the process would not
  // exit. A refresh that never calls back stops the chain.
  cluster.once("end", () => {
    cluster.refreshSlotsCache = () => undefined;
  });
  return cluster;
}

/** Connects within `deadlineMs`. On failure the client is closed for good. */
export async function connectClient(client: RedisClient, deadlineMs: number): Promise<void> {
  let lastError: Error | undefined;
  const remember = (error: Error) => {
    lastError = error;
  };
  client.on("error", remember);
  client.on("node error", remember);
  try {
    await withDeadline(client.connect(), deadlineMs, "no connection");
  } catch (error) {
    client.disconnect();
    throw lastError ?? error;
  } finally {
    client.off("error", remember);
    client.off("node error", remember);
  }
}

/** The remote end of an open connection. Undefined if there is none, and for a Cluster, which has several. */
export function serverOf(client: RedisClient | undefined): RedisHost | undefined {
  if (client === undefined || client instanceof Cluster || client.status !== "ready") return undefined;
  const { remoteAddress, remotePort } = client.stream as Socket;
  return remoteAddress === undefined || remotePort === undefined
    ? undefined
    : { host: remoteAddress, port: remotePort };
}

/**
 * What is sent until the end of this turn of the event loop leaves in one write: a write for each command would cost more
 * than the rest of it. Not in a Cluster.
 */
export function sendTogether(client: RedisClient): void {
  if (client instanceof Cluster || client.status !== "ready") return;
  const stream = client.stream as Socket;
  if (stream.writableCorked > 0) return;
  stream.cork();
  setImmediate(() => stream.uncork());
}

/** The promise's outcome, or a rejection after `ms`. */
export async function withDeadline<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
