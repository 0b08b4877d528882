import { eventually } from "../support/eventually.ts";
import {
  type RedisCluster,
  type RedisServer,
  type SentinelGroup,
  startRedisCluster,
  startRedisSentinels,
} from "../support/redis-server.ts";
import type { Heal } from "./deployment.ts";
import type { DeploymentStore } from "./deployment-store.ts";
import { detachedAt } from "./frozen-copy.ts";
import { replicationLagMs } from "./schedule.ts";

/** Each participant has a user of its own, so that one of them can be shut out by the others. */
const everything = "on >of-the-tests ~* &* +@all";
const serverUsers = [`user watcher ${everything}`, `user copier ${everything}`];
const serverConfig = [...serverUsers, "masteruser copier", "masterauth of-the-tests"];
const sentinelConfig = [
  `user peer ${everything}`,
  "sentinel sentinel-user peer",
  "sentinel sentinel-pass of-the-tests",
  "sentinel auth-user main watcher",
  "sentinel auth-pass main of-the-tests",
];

/** Nodes ask Sentinel for the primary's own address, so no proxy can be in between: no faults of one node's network. */
export async function sentinels(): Promise<DeploymentStore> {
  const group = await startRedisSentinels({ config: serverConfig, sentinelConfig });
  return {
    reach: ["--store", group.url],
    placeFor: async () => ({ store: group.url }),
    can: ["failover", "isolated_primary"],
    servers: group.servers,
    injectFault: ({ kind }) => (kind === "failover" ? failover(group) : isolatePrimary(group)),
    dispose: () => group.dispose(),
  };
}

const patience = ["down-after-milliseconds", "60000"] as const;

/** On a busy machine Sentinels may need several attempts, and pause between them. */
const failoverMs = 180_000;

/**
 * The replica is stopped and disconnected, so what the primary acknowledges from now on is nowhere else. Then the
 * primary dies and the replica is promoted.
 */
async function failover({ primary, replica, sentinels: all, primaryPort }: SentinelGroup): Promise<Heal> {
  const forgotSince = await detachedAt(primary, replica, async () => {
    replica.pause();
    await primary.command("CLIENT", "KILL", "TYPE", "replica");
  });
  return async () => {
    await primary.kill();
    replica.resume();
    await eventually("a new primary", async () => (await primaryPort()) === replica.port, failoverMs);
    await eventually("a new primary", () => isPrimary(replica), failoverMs);
    // It comes back without its data. On a slow machine the Sentinels would soon miss the new primary and promote the
    // empty server: a second fault, which loses everything.
    await Promise.all(all.map((sentinel) => sentinel.command("SENTINEL", "SET", "main", ...patience)));
    // The Sentinels make it a replica.
    await primary.restart();
    return { forgotSince };
  };
}

/**
 * The gateways and the old primary are on one side, the replica and the Sentinels on the other: users are shut out as a
 * network would shut out their connections. The old primary still accepts the gateways' writes. They are lost when the
 * partition ends and it must copy the new primary.
 */
async function isolatePrimary({ primary, replica, sentinels: all }: SentinelGroup): Promise<Heal> {
  const forgotSince = performance.now();
  await Promise.all(all.map((sentinel) => shutOut(sentinel, "default")));
  await Promise.all([shutOut(primary, "watcher"), shutOut(primary, "copier")]);
  await eventually("a new primary", () => isPrimary(replica), failoverMs);
  return async () => {
    await Promise.all([letIn(primary, "watcher"), letIn(primary, "copier")]);
    await Promise.all(all.map((sentinel) => letIn(sentinel, "default")));
    await eventually(
      "the old primary to follow",
      async () => (await primary.command("ROLE")).startsWith("slave"),
      failoverMs,
    );
    return { forgotSince };
  };
}

/** Nothing of this user is carried out any more, not even on open connections. */
async function shutOut(server: RedisServer, user: string): Promise<void> {
  await server.command("ACL", "SETUSER", user, "-@all", "+acl", "+client|kill");
  await server.command("CLIENT", "KILL", "USER", user);
}

async function letIn(server: RedisServer, user: string): Promise<void> {
  await server.command("ACL", "SETUSER", user, "+@all");
}

/** A Cluster in which every shard has a replica. Nodes get real addresses, so there are no proxies. */
export async function cluster(): Promise<DeploymentStore> {
  const group = await startRedisCluster({ replicas: true });
  const [one, other] = await pairOf(group);
  const roles = async () => ((await isPrimary(one)) ? ([one, other] as const) : ([other, one] as const));
  return {
    reach: ["--store", group.url],
    placeFor: async () => ({ store: group.url }),
    can: ["primary_kill", "takeover"],
    servers: [one, other],
    async injectFault(fault) {
      const [primary, replica] = await roles();
      const forgotSince = performance.now() - replicationLagMs;
      if (fault.kind === "primary_kill") await primary.kill();
      else await replica.command("CLUSTER", "FAILOVER", "TAKEOVER");
      return async () => {
        await eventually("it to hold", () => isPrimary(replica));
        if (fault.kind === "primary_kill") await primary.restart();
        await eventually("it to hold", async () => (await primary.command("ROLE")).startsWith("slave"));
        await eventually("it to hold", async () =>
          (await primary.command("INFO", "replication")).includes("master_link_status:up"),
        );
        return { forgotSince };
      };
    },
    dispose: () => group.dispose(),
  };
}

/** The two servers of the shard with the slot of `{gh}`, which holds all of a gateway's data. */
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
