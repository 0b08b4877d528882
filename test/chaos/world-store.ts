import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";
import {
  type RedisCluster,
  type RedisServer,
  type SentinelGroup,
  startRedis,
  startRedisCluster,
  startRedisSentinels,
} from "../support/redis-server.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import type { Fault, FaultKind } from "./schedule.ts";
import type { Heal } from "./world.ts";

/** The store of a world, and what can be done to it. */
export interface WorldStore {
  /** How the command line reaches it, without anything in between. */
  readonly reach: readonly string[];
  /** Where it is for a node. */
  placeFor(node: number): Promise<{ readonly store: string | null; readonly data?: string }>;
  readonly can: readonly FaultKind[];
  inflict(fault: Fault): Promise<Heal>;
  dispose(): Promise<void>;
}

const nothingForgotten: Heal = async () => ({});

/** lmdb in a folder that outlives its one gateway. */
export async function embedded(): Promise<WorldStore> {
  const folder = temporaryFolder();
  return {
    reach: ["--data", folder.path],
    placeFor: async () => ({ store: null, data: folder.path }),
    can: [],
    inflict: async () => nothingForgotten,
    dispose: async () => folder.remove(),
  };
}

const quickReplication = ["repl-diskless-sync-delay 0", "repl-diskless-sync yes"];

/** One Redis with AOF, and a proxy before it for each node. */
export async function standalone(): Promise<WorldStore> {
  const redis = await startRedis({ appendonly: true, config: quickReplication });
  const copy = await startRedis({ config: quickReplication });
  const proxies: FaultProxy[] = [];
  return {
    reach: ["--store", redis.url],
    async placeFor(node) {
      const proxy = await startFaultProxy({ host: "127.0.0.1", port: redis.port });
      proxies[node] = proxy;
      return { store: `redis://127.0.0.1:${proxy.port}` };
    },
    can: ["black_hole", "delay", "refuse", "cut", "reset", "store_restart", "rollback"],
    async inflict(fault) {
      if (fault.kind === "store_restart") {
        await redis.kill();
        return async () => {
          await redis.restart();
          return {};
        };
      }
      if (fault.kind === "rollback") return await rollback(redis, copy);
      return inflictOnNetwork("node" in fault ? proxies[fault.node] : undefined, fault);
    },
    async dispose() {
      await Promise.all(proxies.map((proxy) => proxy.stop()));
      await Promise.all([redis.dispose(), copy.dispose()]);
    },
  };
}

function inflictOnNetwork(proxy: FaultProxy | undefined, fault: Fault): Heal {
  if (proxy === undefined) throw new Error(`${fault.kind} needs a network of its own`);
  if (fault.kind === "black_hole") proxy.blackHole(fault.direction);
  else if (fault.kind === "delay") proxy.delay(fault.ms);
  else if (fault.kind === "refuse") proxy.refuse();
  else if (fault.kind === "cut") proxy.cut();
  else if (fault.kind === "reset") proxy.reset();
  return async () => {
    proxy.pass();
    return {};
  };
}

/** An old backup put back: a copy is frozen now, and is what the store holds once this is healed. */
async function rollback(redis: RedisServer, copy: RedisServer): Promise<Heal> {
  await replicate(copy, redis);
  await copy.command("REPLICAOF", "NO", "ONE");
  const forgotSince = performance.now();
  return async () => {
    await replicate(redis, copy);
    await redis.command("REPLICAOF", "NO", "ONE");
    return { forgotSince };
  };
}

async function replicate(to: RedisServer, from: RedisServer): Promise<void> {
  await to.command("REPLICAOF", "127.0.0.1", String(from.port));
  await eventually(async () => (await to.command("INFO", "replication")).includes("master_link_status:up"));
}

/** Nodes ask Sentinel for the primary's own address, so no proxy can stand between: no faults of the network here. */
export async function sentinels(): Promise<WorldStore> {
  const group = await startRedisSentinels();
  return {
    reach: ["--store", group.url],
    placeFor: async () => ({ store: group.url }),
    can: ["failover"],
    inflict: () => failover(group),
    dispose: () => group.dispose(),
  };
}

/**
 * The replica stops and is cut off, so what the primary acknowledges from now on is in no other memory; then the primary
 * dies and the replica goes on.
 */
async function failover({ primary, replica, primaryPort }: SentinelGroup): Promise<Heal> {
  replica.pause();
  await primary.command("CLIENT", "KILL", "TYPE", "replica");
  const forgotSince = performance.now();
  return async () => {
    await primary.kill();
    replica.resume();
    await eventually(async () => (await primaryPort()) === replica.port);
    await eventually(() => isPrimary(replica));
    // Sentinel makes a replica of it.
    await primary.restart();
    return { forgotSince };
  };
}

/** What a primary acknowledged so shortly before its end may be in no other memory. */
const replicationLagMs = 500;

/** A Cluster in which every shard has a replica. Nodes are told real addresses: no proxies here. */
export async function cluster(): Promise<WorldStore> {
  const group = await startRedisCluster({ replicas: true });
  const [one, other] = await pairOf(group);
  const roles = async () => ((await isPrimary(one)) ? ([one, other] as const) : ([other, one] as const));
  return {
    reach: ["--store", group.url],
    placeFor: async () => ({ store: group.url }),
    can: ["primary_kill", "takeover"],
    async inflict(fault) {
      const [primary, replica] = await roles();
      const forgotSince = performance.now() - replicationLagMs;
      if (fault.kind === "primary_kill") await primary.kill();
      else await replica.command("CLUSTER", "FAILOVER", "TAKEOVER");
      return async () => {
        await eventually(() => isPrimary(replica));
        if (fault.kind === "primary_kill") await primary.restart();
        await eventually(async () => (await primary.command("ROLE")).startsWith("slave"));
        await eventually(async () =>
          (await primary.command("INFO", "replication")).includes("master_link_status:up"),
        );
        return { forgotSince };
      };
    },
    dispose: () => group.dispose(),
  };
}

/** The two servers of the shard with the slot of `{gh}`, where everything of a gateway is. */
async function pairOf({ primaries, replicas }: RedisCluster): Promise<readonly [RedisServer, RedisServer]> {
  const slot = Number(await primaries[0]?.command("CLUSTER", "KEYSLOT", "{gh}"));
  const shard = slot < 5_461 ? 0 : slot < 10_923 ? 1 : 2;
  const [primary, replica] = [primaries[shard], replicas[shard]];
  if (primary === undefined || replica === undefined) throw new Error("no shard has the slot");
  return [primary, replica];
}

async function isPrimary(server: RedisServer): Promise<boolean> {
  return (await server.command("ROLE").catch(() => "")).startsWith("master");
}

/** Real servers tell nobody when they are done. */
async function eventually(holds: () => Promise<boolean>, deadlineMs = 20_000): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await holds().catch(() => false))) {
    if (performance.now() > end) throw new Error(`it did not come to hold within ${deadlineMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
