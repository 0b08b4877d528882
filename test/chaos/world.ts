import type { GatewayParts } from "../../src/server/gateway.ts";
import { type CommandResult, gatehouse } from "../support/command-line.ts";
import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";
import {
  type RedisServer,
  type SentinelGroup,
  startRedis,
  startRedisSentinels,
} from "../support/redis-server.ts";
import { type ChaosNode, embeddedNode, processNode, secret } from "./chaos-node.ts";
import type { Fault, FaultKind } from "./schedule.ts";

export const shapes = ["standalone", "sentinel"] as const;
export type Shape = (typeof shapes)[number];
export const isShape = (text: string): text is Shape => shapes.some((shape) => shape === text);

export interface WorldOptions {
  readonly shape: Shape;
  readonly nodes: number;
  readonly storeTimeoutMs: number;
  /** Given: the nodes run in this process, with these parts. */
  readonly embedded?: GatewayParts;
}

/** Ends a fault. What the store forgot meanwhile is told by when it began to. */
export type Heal = () => Promise<{ readonly forgotSince?: number }>;

/** Gateways on one store, each behind a network of its own where the shape has one. */
export interface World {
  readonly nodes: readonly ChaosNode[];
  readonly can: ReadonlySet<FaultKind>;
  inflict(fault: Fault): Promise<Heal>;
  /** The command line on the same store, with no fault in between. */
  gatehouse(args: readonly string[]): Promise<CommandResult>;
  dispose(): Promise<void>;
}

interface Store {
  /** The address without anything in between. */
  readonly url: string;
  /** The address for a node. */
  urlFor(node: number): Promise<string>;
  readonly can: readonly FaultKind[];
  inflict(fault: Fault): Promise<Heal>;
  dispose(): Promise<void>;
}

export async function startWorld(options: WorldOptions): Promise<World> {
  const store = options.shape === "standalone" ? await standalone() : await sentinels();
  const nodes: ChaosNode[] = [];
  const dispose = async () => {
    await Promise.all(nodes.map((node) => node.dispose()));
    await store.dispose();
  };
  try {
    for (let at = 0; at < options.nodes; at += 1) {
      const about = {
        name: `n${at}`,
        store: await store.urlFor(at),
        storeTimeoutMs: options.storeTimeoutMs,
      };
      const node = options.embedded ? embeddedNode(about, options.embedded) : processNode(about);
      nodes.push(node);
      await node.start();
    }
  } catch (error) {
    await dispose();
    throw error;
  }
  const ofProcesses: readonly FaultKind[] = options.embedded ? [] : ["pause", "kill"];
  return {
    nodes,
    can: new Set([...store.can, ...ofProcesses]),
    async inflict(fault) {
      if (fault.kind !== "pause" && fault.kind !== "kill") return await store.inflict(fault);
      return await inflictOn(nodes[fault.node], fault.kind);
    },
    gatehouse: (args) => gatehouse([...args, "--store", store.url], { env: { GATEHOUSE_SECRET: secret } }),
    dispose,
  };
}

async function inflictOn(node: ChaosNode | undefined, kind: "pause" | "kill"): Promise<Heal> {
  if (kind === "pause") {
    node?.pause?.();
    return async () => {
      node?.resume?.();
      return {};
    };
  }
  await node?.kill?.();
  return async () => {
    await retried(async () => node?.start());
    return {};
  };
}

/** One Redis with AOF, and a proxy before it for each node. */
async function standalone(): Promise<Store> {
  const redis = await startRedis({ appendonly: true, config: quickReplication });
  const copy = await startRedis({ config: quickReplication });
  const proxies: FaultProxy[] = [];
  return {
    url: redis.url,
    async urlFor(node) {
      const proxy = await startFaultProxy({ host: "127.0.0.1", port: redis.port });
      proxies[node] = proxy;
      return `redis://127.0.0.1:${proxy.port}`;
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

const quickReplication = ["repl-diskless-sync-delay 0", "repl-diskless-sync yes"];

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
async function sentinels(): Promise<Store> {
  const group = await startRedisSentinels();
  return {
    url: group.url,
    urlFor: async () => group.url,
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
    await eventually(async () => (await replica.command("ROLE")).startsWith("master"));
    // Sentinel makes a replica of it.
    await primary.restart();
    return { forgotSince };
  };
}

/** Real servers tell nobody when they are done. */
async function eventually(holds: () => Promise<boolean>, deadlineMs = 20_000): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await holds().catch(() => false))) {
    if (performance.now() > end) throw new Error(`it did not come to hold within ${deadlineMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A node that starts while its store is away gives up; whoever runs it starts it again. */
async function retried(start: () => Promise<unknown>, deadlineMs = 30_000): Promise<void> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    try {
      await start();
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
