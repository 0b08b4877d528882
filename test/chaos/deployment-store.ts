import { eventually } from "../support/eventually.ts";
import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import type { Heal } from "./deployment.ts";
import { detachedAt } from "./frozen-copy.ts";
import type { Fault, FaultKind } from "./schedule.ts";

/** Where the store is for a node, and the variables that the node's process needs to come from there. */
export interface NodePlacement {
  readonly store: string | null;
  readonly data?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** The store of a deployment, and the faults that it supports. */
export interface DeploymentStore {
  /** How the command line reaches it directly. */
  readonly reach: readonly string[];
  placeFor(node: number): Promise<NodePlacement>;
  readonly can: readonly FaultKind[];
  injectFault(fault: Fault): Promise<Heal>;
  /** The Redis servers, the first primary first; none if the store is embedded. */
  readonly servers: readonly RedisServer[];
  dispose(): Promise<void>;
}

const nothingForgotten: Heal = async () => ({});

/** lmdb in a folder that outlives its one gateway. */
export async function embedded(): Promise<DeploymentStore> {
  const folder = temporaryFolder();
  return {
    reach: ["--data", folder.path],
    placeFor: async () => ({ store: null, data: folder.path }),
    can: [],
    servers: [],
    injectFault: async () => nothingForgotten,
    dispose: async () => folder.remove(),
  };
}

const quickReplication = ["repl-diskless-sync-delay 0", "repl-diskless-sync yes"];

/** One Redis with AOF, with a proxy in front of it for each node. */
export async function standalone(): Promise<DeploymentStore> {
  const redis = await startRedis({
    appendonly: true,
    config: [...quickReplication, "enable-debug-command local"],
  });
  const copy = await startRedis({ config: quickReplication });
  const proxies: FaultProxy[] = [];
  const targets: { readonly host: string; port: number }[] = [];
  return {
    reach: ["--store", redis.url],
    async placeFor(node) {
      const target = { host: "127.0.0.1", port: redis.port };
      const proxy = await startFaultProxy(target);
      proxies[node] = proxy;
      targets[node] = target;
      return { store: `redis://127.0.0.1:${proxy.port}` };
    },
    can: ["black_hole", "delay", "refuse", "cut", "reset", "unreadable", "store_restart", "rollback"],
    servers: [redis],
    async injectFault(fault) {
      if (fault.kind === "store_restart") {
        await redis.kill();
        return async () => {
          await redis.restart();
          return {};
        };
      }
      if (fault.kind === "rollback") return await rollback(redis, copy);
      if (fault.kind === "wrong_server")
        return misdirect(proxies[fault.node], targets[fault.node], [redis, copy]);
      return inflictOnNetwork("node" in fault ? proxies[fault.node] : undefined, fault);
    },
    async dispose() {
      await Promise.all(proxies.map((proxy) => proxy.stop()));
      await Promise.all([redis.dispose(), copy.dispose()]);
    },
  };
}

function misdirect(
  proxy: FaultProxy | undefined,
  target: { port: number } | undefined,
  [right, wrong]: readonly [RedisServer, RedisServer],
): Heal {
  if (proxy === undefined || target === undefined) throw new Error("wrong_server needs a network of its own");
  proxy.separateSenders("xrange");
  target.port = wrong.port;
  proxy.cut();
  return async () => {
    target.port = right.port;
    proxy.pass();
    proxy.cut();
    return {};
  };
}

function inflictOnNetwork(proxy: FaultProxy | undefined, fault: Fault): Heal {
  if (proxy === undefined) throw new Error(`${fault.kind} needs a network of its own`);
  if (fault.kind === "black_hole") proxy.blackHole(fault.direction);
  else if (fault.kind === "delay") proxy.delay(fault.ms);
  else if (fault.kind === "unreadable") proxy.resetSenders(`:r:${fault.record}`);
  else if (fault.kind === "refuse") proxy.refuse();
  else if (fault.kind === "cut") proxy.cut();
  else if (fault.kind === "reset") proxy.reset();
  return async () => {
    proxy.pass();
    return {};
  };
}

/** Restores an old backup: a copy is frozen now, and becomes the store's content once this is healed. */
async function rollback(redis: RedisServer, copy: RedisServer): Promise<Heal> {
  await replicate(copy, redis);
  const forgotSince = await detachedAt(redis, copy, async () => {
    await copy.command("REPLICAOF", "NO", "ONE");
  });
  return async () => {
    await replicate(redis, copy);
    await redis.command("REPLICAOF", "NO", "ONE");
    return { forgotSince };
  };
}

async function replicate(to: RedisServer, from: RedisServer): Promise<void> {
  await to.command("REPLICAOF", "127.0.0.1", String(from.port));
  await eventually("it to hold", async () =>
    (await to.command("INFO", "replication")).includes("master_link_status:up"),
  );
}
