import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { eventually, Hopeless } from "./eventually.ts";
import { spawnChild } from "./spawn-child.ts";

export interface RedisServerOptions {
  /** Off by default: the data ends with the process. */
  readonly appendonly?: boolean;
  readonly appendfsync?: "always" | "everysec" | "no";
  /** Additional lines of redis.conf. */
  readonly config?: readonly string[];
}

const portTries = 5;

class EndedAtStart extends Hopeless {}

/** A real redis-server on a free loopback port, with a folder of its own. */
export interface RedisServer {
  readonly port: number;
  readonly url: string;
  /** SHUTDOWN as a service manager does: SIGTERM, then waits for the end. */
  stop(): Promise<void>;
  /** SIGKILL, then waits for the end. */
  kill(): Promise<void>;
  /** Starts again on the same port and folder, and ends a running server first. Resolves once it answers. */
  restart(): Promise<void>;
  /** SIGSTOP: connections stay, nothing answers. */
  pause(): void;
  resume(): void;
  /** One command, for instance `["CONFIG", "SET", "maxmemory", "1"]`. Rejects with Redis' error text. */
  command(...args: readonly string[]): Promise<string>;
  /** Ends the server and removes its folder. */
  dispose(): Promise<void>;
}

export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const lines = [
    `appendonly ${options.appendonly ? "yes" : "no"}`,
    `appendfsync ${options.appendfsync ?? "everysec"}`,
    ...(options.config ?? []),
  ];
  return await startProcess("server", lines);
}

/** A Sentinel; `lines` say what it monitors. */
export async function startSentinel(lines: readonly string[]): Promise<RedisServer> {
  return await startProcess("sentinel", lines);
}

/** Another process may take the free port first, or the one that a Cluster's bus needs. */
async function startProcess(kind: "server" | "sentinel", lines: readonly string[]): Promise<RedisServer> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await startProcessOnce(kind, lines);
    } catch (error) {
      if (tries === portTries || !(error instanceof EndedAtStart)) throw error;
    }
  }
}

async function startProcessOnce(kind: "server" | "sentinel", lines: readonly string[]): Promise<RedisServer> {
  const folder = mkdtempSync(path.join(tmpdir(), "gatehouse-redis-"));
  const port = await freePort();
  const configuration = path.join(folder, "redis.conf");
  const common = [`port ${port}`, "bind 127.0.0.1", "protected-mode no", `dir ${folder}`, 'save ""'];
  const kept = kind === "server" ? common : common.filter((line) => !line.startsWith("save"));
  writeFileSync(configuration, `${[...kept, ...lines].join("\n")}\n`);
  const args = kind === "sentinel" ? [configuration, "--sentinel"] : [configuration];
  let child: ChildProcess | undefined;

  const start = async () => {
    child = spawnChild("redis-server", args, { stdio: "ignore" });
    await answers(port, child);
  };
  const end = async (signal: NodeJS.Signals) => {
    const process = child;
    child = undefined;
    if (process === undefined || process.exitCode !== null || process.signalCode !== null) return;
    const exited = once(process, "exit");
    process.kill("SIGCONT");
    process.kill(signal);
    await exited;
  };
  await start().catch((error: unknown) => {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  });
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    stop: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
    async restart() {
      await end("SIGTERM");
      await start();
    },
    pause: () => void child?.kill("SIGSTOP"),
    resume: () => void child?.kill("SIGCONT"),
    command: (...words) => redisCommand(port, words),
    async dispose() {
      await end("SIGKILL");
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

export interface RedisGroup {
  readonly servers: readonly RedisServer[];
  readonly url: string;
  dispose(): Promise<void>;
}

export interface RedisCluster extends RedisGroup {
  readonly primaries: readonly RedisServer[];
  /** One for each primary, in their order; none by default. */
  readonly replicas: readonly RedisServer[];
}

export interface RedisClusterOptions {
  readonly replicas?: boolean;
  /** Milliseconds; 1000 by default. */
  readonly nodeTimeout?: number;
}

/** A Cluster of three primaries that serves every slot. */
export async function startRedisCluster(options: RedisClusterOptions = {}): Promise<RedisCluster> {
  const config = [
    "cluster-enabled yes",
    `cluster-node-timeout ${options.nodeTimeout ?? 1_000}`,
    "cluster-require-full-coverage yes",
    "repl-diskless-sync-delay 0",
  ];
  const startThree = () => Promise.all([0, 1, 2].map(() => startRedis({ config })));
  const primaries = await startThree();
  const bounds = [0, 5_461, 10_923, 16_384];
  await Promise.all(
    primaries.map(async (server, at) => {
      await server.command("CLUSTER", "ADDSLOTSRANGE", String(bounds[at]), String((bounds[at + 1] ?? 0) - 1));
      await server.command("CLUSTER", "SET-CONFIG-EPOCH", String(at + 1));
    }),
  );
  const replicas = options.replicas ? await startThree() : [];
  const servers = [...primaries, ...replicas];
  const [first, ...others] = servers;
  for (const other of others) await first?.command("CLUSTER", "MEET", "127.0.0.1", String(other.port));
  await Promise.all(replicas.map((replica, at) => replicateInCluster(replica, primaries[at])));
  for (const server of servers) {
    await eventually("the cluster", async () =>
      (await server.command("CLUSTER", "INFO")).includes("cluster_state:ok"),
    );
  }
  return {
    servers,
    primaries,
    replicas,
    url: `redis+cluster://${primaries.map(({ port }) => `127.0.0.1:${port}`).join(",")}`,
    dispose: () => disposeAll(servers),
  };
}

async function replicateInCluster(replica: RedisServer, primary: RedisServer | undefined): Promise<void> {
  const id = (await primary?.command("CLUSTER", "MYID")) ?? "";
  const isDone = async () => {
    // Refused until the node has learned of the other.
    await replica.command("CLUSTER", "REPLICATE", id).catch(() => undefined);
    return (await replica.command("INFO", "replication")).includes("master_link_status:up");
  };
  await eventually("a replica of the cluster", isDone);
}

export interface SentinelGroup extends RedisGroup {
  readonly primary: RedisServer;
  readonly replica: RedisServer;
  readonly sentinels: readonly RedisServer[];
  /** The port of the primary that the Sentinels name. */
  primaryPort(): Promise<number>;
}

export interface SentinelOptions {
  /** Additional lines of redis.conf for both servers. */
  readonly config?: readonly string[];
  /** Additional lines of sentinel.conf. */
  readonly sentinelConfig?: readonly string[];
  /** Milliseconds; 1000 by default. */
  readonly downAfter?: number;
}

/** A primary, a replica and three Sentinels that promote after one second of silence. */
export async function startRedisSentinels(options: SentinelOptions = {}): Promise<SentinelGroup> {
  const config = ["repl-diskless-sync-delay 0", ...(options.config ?? [])];
  const primary = await startRedis({ config });
  const replica = await startRedis({ config: [`replicaof 127.0.0.1 ${primary.port}`, ...config] });
  await eventually("the replica", async () =>
    (await replica.command("INFO", "replication")).includes("master_link_status:up"),
  );
  const watch = [
    `sentinel monitor main 127.0.0.1 ${primary.port} 2`,
    `sentinel down-after-milliseconds main ${options.downAfter ?? 1_000}`,
    "sentinel failover-timeout main 3000",
    ...(options.sentinelConfig ?? []),
  ];
  const sentinels = await Promise.all([0, 1, 2].map(() => startSentinel(watch)));
  for (const sentinel of sentinels) {
    await eventually("the Sentinels to know each other", async () => {
      const reply = await sentinel.command("SENTINEL", "MASTER", "main");
      return /num-slaves\s+1\b/.test(reply) && /num-other-sentinels\s+2\b/.test(reply);
    });
  }
  const servers = [primary, replica, ...sentinels];
  return {
    servers,
    primary,
    replica,
    sentinels,
    url: `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(",")}/main`,
    async primaryPort() {
      const reply = await sentinels[0]?.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main");
      return Number(reply?.split("\n")[1]);
    },
    dispose: () => disposeAll(servers),
  };
}

async function disposeAll(servers: readonly RedisServer[]): Promise<void> {
  await Promise.all(servers.map((server) => server.dispose()));
}

async function freePort(): Promise<number> {
  // Cluster nodes also listen on their port + 10000.
  for (;;) {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    if (port < 55_000) return port;
  }
}

async function answers(port: number, child: ChildProcess): Promise<void> {
  let failure: Error | undefined;
  child.once("error", (error) => {
    failure = new Hopeless(error.message, { cause: error });
  });
  await eventually("redis-server", async () => {
    if (failure !== undefined) throw failure;
    if (child.exitCode !== null) throw new EndedAtStart(`redis-server ended with ${child.exitCode}`);
    return (await redisCommand(port, ["PING"]).catch(() => "")) === "PONG";
  });
}

/** One command on a connection of its own; arrays are returned as lines. */
function redisCommand(port: number, words: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port });
    let text = "";
    const finish = (settle: () => void) => {
      socket.destroy();
      settle();
    };
    socket.setTimeout(5_000, () => finish(() => reject(new Error("redis-server does not answer"))));
    socket.on("error", (error) => finish(() => reject(error)));
    socket.on("close", () => finish(() => reject(new Error("redis-server closed the connection"))));
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      const reply = parseReply(text, 0);
      if (reply === undefined) return;
      finish(() => (reply.error ? reject(new Error(reply.text)) : resolve(reply.text)));
    });
    socket.write(
      `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`,
    );
  });
}

interface Reply {
  readonly text: string;
  readonly error: boolean;
  readonly end: number;
}

/** RESP2, as far as tests need it; undefined while it is incomplete. */
function parseReply(text: string, start: number): Reply | undefined {
  const lineEnd = text.indexOf("\r\n", start);
  if (lineEnd < 0) return undefined;
  const line = text.slice(start + 1, lineEnd);
  const after = lineEnd + 2;
  const kind = text[start];
  if (kind === "$") {
    const length = Number(line);
    if (length < 0) return { text: "", error: false, end: after };
    if (text.length < after + length + 2) return undefined;
    return { text: text.slice(after, after + length), error: false, end: after + length + 2 };
  }
  if (kind === "*") return parseArray(text, Number(line), after);
  return { text: line, error: kind === "-", end: after };
}

function parseArray(text: string, count: number, start: number): Reply | undefined {
  const items: string[] = [];
  let end = start;
  for (let n = 0; n < count; n += 1) {
    const item = parseReply(text, end);
    if (item === undefined) return undefined;
    items.push(item.text);
    end = item.end;
  }
  return { text: items.join("\n"), error: false, end };
}
