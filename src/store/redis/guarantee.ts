import { Cluster, type Redis } from "ioredis";

import type { StoreGuarantee } from "../../auth/store.ts";
import { reasonOf } from "../unavailable.ts";
import type { RedisAddress, RedisHost } from "./address.ts";
import { connectClient, createSentinelClient, type RedisClient, withDeadline } from "./client.ts";
import { fieldsOf, hostName, othersOf, sentinelTimeoutMs } from "./sentinels.ts";
import { readPersistence, readReplication, readSettings, type ServerInfo } from "./server-info.ts";

const unknown = Number.POSITIVE_INFINITY;

/** How the store is set up, as the servers report it. Never rejects: what they do not report becomes a problem. */
export async function readGuarantee(address: RedisAddress, client: RedisClient): Promise<StoreGuarantee> {
  try {
    const guarantee = await settingsGuarantee(address, client);
    return { ...guarantee, roundTripMs: await roundTripMs(client) };
  } catch (error) {
    const problem = `Redis could not be asked how it is set up: ${reasonOf(error)}`;
    return { stalePrimaryWindowMs: unknown, detail: "not known", problems: [problem] };
  }
}

async function settingsGuarantee(address: RedisAddress, client: RedisClient): Promise<StoreGuarantee> {
  if (client instanceof Cluster) return await clusterGuarantee(client);
  return address.mode === "sentinel"
    ? await sentinelGuarantee(address, client)
    : await standaloneGuarantee(client);
}

/** The shortest of three: a busy process answers late now and then, which says nothing about the network. */
async function roundTripMs(client: RedisClient): Promise<number> {
  const nodes = client instanceof Cluster ? client.nodes("master") : [client];
  const trips = nodes.map(async (node) => {
    let shortest = Number.POSITIVE_INFINITY;
    for (let trip = 0; trip < 3; trip += 1) {
      const start = performance.now();
      await node.ping();
      shortest = Math.min(shortest, performance.now() - start);
    }
    return shortest;
  });
  return Math.max(...(await Promise.all(trips)));
}

async function standaloneGuarantee(client: Redis): Promise<StoreGuarantee> {
  const [problems, replication] = await Promise.all([diskProblems(client), readReplication(client)]);
  const replicas = Number(replication.get("connected_slaves") ?? 0);
  if (replicas > 0) {
    problems.push(
      `${replicas} replicas are connected, and a redis:// URL does not say who promotes one. If something does, ` +
        "commits can be lost and accepted on both sides: use redis+sentinel:// or redis+cluster://",
    );
  }
  return { stalePrimaryWindowMs: 0, detail: "one Redis, which no other takes over from", problems };
}

/**
 * The old primary refuses writes once its replicas were silent for longer than `min-replicas-max-lag`. It counts whole
 * seconds and checks once a second, so up to two seconds later (measured with 2: 1.8 to 3.5 s). A Sentinel whose
 * connection breaks counts from the last answer, which may be one ping interval, a second, before the break.
 */
async function sentinelGuarantee(address: RedisAddress, client: Redis): Promise<StoreGuarantee> {
  const [disk, primary, sentinels] = await Promise.all([
    diskProblems(client),
    replicaRule(client),
    askSentinels(address),
  ]);
  const problems = [...primary.problems, ...sentinels.problems, ...disk];
  const accepts = `a primary that is cut off accepts writes for at most ${seconds(primary.acceptsMs)} s (${primary.detail})`;
  if (sentinels.downAfterMs === undefined)
    return { stalePrimaryWindowMs: unknown, detail: accepts, problems };
  const promotesMs = sentinels.downAfterMs - Math.min(sentinels.downAfterMs, 1_000);
  const stalePrimaryWindowMs = Math.max(0, primary.acceptsMs - promotesMs);
  if (stalePrimaryWindowMs > 0 && stalePrimaryWindowMs < unknown) {
    problems.unshift(
      `a primary that was cut off may accept writes ${seconds(stalePrimaryWindowMs)} s after another was promoted: at every ` +
        `Sentinel run "SENTINEL SET ${address.primary} down-after-milliseconds ${primary.acceptsMs + 1_000}"`,
    );
  }
  const detail =
    `${accepts}; the Sentinels promote another after ${seconds(promotesMs)} s at the earliest ` +
    `(down-after-milliseconds ${sentinels.downAfterMs})`;
  return { stalePrimaryWindowMs, detail, problems };
}

interface ReplicaRule {
  readonly acceptsMs: number;
  readonly detail: string;
  readonly problems: readonly string[];
}

async function replicaRule(client: Redis): Promise<ReplicaRule> {
  const names = ["min-replicas-to-write", "min-replicas-max-lag"] as const;
  const [settings, replication] = await Promise.all([
    readSettings(client, names).catch(() => undefined),
    readReplication(client),
  ]);
  if (settings === undefined) {
    const problem = `the Redis user may not run CONFIG GET: allow it (+config|get), so that ${names.join(" and ")} are known`;
    return { acceptsMs: unknown, detail: "its settings are not known", problems: [problem] };
  }
  const [count, lag] = names.map((name) => Number(settings.get(name)));
  const detail = names.map((name) => `${name} ${settings.get(name)}`).join(", ");
  if (count === undefined || lag === undefined || !(count > 0) || !(lag > 0)) {
    const problem =
      "min-replicas-to-write is 0: a primary that was cut off accepts writes for ever. " +
      'Set "min-replicas-to-write 1" and "min-replicas-max-lag 2" in redis.conf of the primary and every replica';
    return { acceptsMs: unknown, detail, problems: [problem] };
  }
  const replicas = Number(replication.get("connected_slaves") ?? 0);
  return { acceptsMs: (lag + 2) * 1_000, detail, problems: replicaProblems(replicas, count) };
}

/** The promoted replica has one replica fewer than the old primary had. */
function replicaProblems(replicas: number, needed: number): string[] {
  if (replicas > needed) return [];
  const connected = replicas === 1 ? "1 replica is" : `${replicas} replicas are`;
  return [
    `${connected} connected, and min-replicas-to-write is ${needed}: after a failover the promoted one has too few and ` +
      `refuses every write until the old primary is back. Run ${needed + 1} replicas or more`,
  ];
}

interface SentinelSettings {
  /** The shortest value of all Sentinels; undefined if one did not report it. */
  readonly downAfterMs: number | undefined;
  readonly problems: readonly string[];
}

/** Asks the configured Sentinels and all that they name: each of them could start a failover. */
async function askSentinels(address: RedisAddress): Promise<SentinelSettings> {
  const asked = new Map<string, Promise<SentinelAnswer>>();
  const ask = (host: RedisHost) => {
    const name = hostName(host);
    if (!asked.has(name)) asked.set(name, askSentinel(address, host));
    return asked.get(name);
  };
  const answers = await Promise.all(address.hosts.map(ask));
  const others = answers.flatMap((answer) => answer?.others ?? []);
  await Promise.all(others.map(ask));
  const all = await Promise.all(asked.values());
  const silent = all.filter(({ downAfterMs }) => downAfterMs === undefined);
  return {
    downAfterMs: silent.length > 0 ? undefined : Math.min(...all.map(({ downAfterMs }) => downAfterMs ?? 0)),
    problems: silent.map(({ name }) => `the Sentinel ${name} does not say when it promotes another primary`),
  };
}

interface SentinelAnswer {
  readonly name: string;
  readonly downAfterMs: number | undefined;
  readonly others: readonly RedisHost[];
}

async function askSentinel(address: RedisAddress, host: RedisHost): Promise<SentinelAnswer> {
  const name = hostName(host);
  const client = createSentinelClient(address, host, sentinelTimeoutMs);
  try {
    await connectClient(client, sentinelTimeoutMs);
    const [primary, others] = await withDeadline(
      Promise.all([
        client.call("sentinel", "MASTER", address.primary ?? ""),
        client.call("sentinel", "SENTINELS", address.primary ?? ""),
      ]),
      sentinelTimeoutMs,
      "no answer",
    );
    const downAfterMs = Number(fieldsOf(primary).get("down-after-milliseconds") || Number.NaN);
    const known = Number.isNaN(downAfterMs) ? undefined : downAfterMs;
    return { name, downAfterMs: known, others: [...othersOf(others).values()] };
  } catch {
    return { name, downAfterMs: undefined, others: [] };
  } finally {
    client.disconnect();
  }
}

/**
 * A primary pings each other node at least every half timeout, and considers it lost one timeout after that. Without a
 * majority it then refuses writes. The other side does the same, and promotes no earlier than one timeout after the
 * partition.
 */
async function clusterGuarantee(client: Cluster): Promise<StoreGuarantee> {
  const nodes = client.nodes("master");
  const [disk, timeouts] = await Promise.all([
    Promise.all(nodes.map(diskProblems)),
    Promise.all(nodes.map(nodeTimeout)),
  ]);
  const problems = [...new Set(disk.flat())];
  const slowest = Math.max(...timeouts);
  if (nodes.length === 0 || Number.isNaN(slowest)) {
    problems.unshift(
      "the Redis user may not run CONFIG GET on every primary: allow it (+config|get), so that cluster-node-timeout is known",
    );
    return { stalePrimaryWindowMs: unknown, detail: "cluster-node-timeout is not known", problems };
  }
  const stalePrimaryWindowMs = slowest / 2 + 200;
  if (slowest > maxNodeTimeoutMs) {
    problems.unshift(
      `cluster-node-timeout is ${slowest}: a primary that was cut off may accept writes ${seconds(stalePrimaryWindowMs)} s after ` +
        `another was promoted. Set "cluster-node-timeout ${maxNodeTimeoutMs}" in redis.conf of every node`,
    );
  }
  const detail = `a primary that sees no majority of the others refuses writes (cluster-node-timeout ${slowest})`;
  return { stalePrimaryWindowMs, detail, problems };
}

const maxNodeTimeoutMs = 2_000;

async function nodeTimeout(node: Redis): Promise<number> {
  const settings = await readSettings(node, ["cluster-node-timeout"]).catch((): ServerInfo => new Map());
  return Number(settings.get("cluster-node-timeout") || Number.NaN);
}

/** What a power failure would lose. */
async function diskProblems(node: Redis): Promise<string[]> {
  const info = await readPersistence(node).catch(() => undefined);
  if (info === undefined)
    return ["the Redis user may not run CONFIG GET: whether commits are flushed to disk is not known"];
  if (info.get("aof_enabled") !== "1") {
    return ['Redis keeps no append-only file: a restart loses what was committed. Set "appendonly yes"'];
  }
  const problems: string[] = [];
  if (info.get("appendfsync") !== "always") {
    problems.push(
      `appendfsync is ${info.get("appendfsync")}: a loss of power loses the last commits. Set "appendfsync always"`,
    );
  } else if (info.get("no-appendfsync-on-rewrite") !== "no") {
    problems.push(
      'no-appendfsync-on-rewrite is yes: commits during a rewrite are not flushed. Set "no-appendfsync-on-rewrite no"',
    );
  }
  return problems;
}

function seconds(ms: number): string {
  return Number.isFinite(ms) ? String(ms / 1_000) : "any number of";
}
