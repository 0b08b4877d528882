import { Cluster, type Redis } from "ioredis";

import type { RedisClient } from "./client.ts";

/** INFO of one server as names and values. */
export type ServerInfo = ReadonlyMap<string, string>;

/** INFO of the server, or of every primary of a Cluster. */
export async function readInfo(client: RedisClient): Promise<readonly ServerInfo[]> {
  const nodes = client instanceof Cluster ? client.nodes("master") : [client];
  return await Promise.all(nodes.map(async (node) => parseInfo(await node.info())));
}

/** The part of INFO that distinguishes a primary from a replica. */
export async function readReplication(client: Redis): Promise<ServerInfo> {
  return parseInfo(await client.info("replication"));
}

/** What shows where a write is kept, on disk or in memory, with the settings that INFO does not show. */
export async function readPersistence(client: Redis): Promise<ServerInfo> {
  const [info, settings] = await Promise.all([
    client.info("replication", "persistence"),
    readSettings(client, ["appendfsync", "no-appendfsync-on-rewrite"]),
  ]);
  return new Map([...parseInfo(info), ...settings]);
}

/** CONFIG GET. Rejects if the user may not ask. */
export async function readSettings(client: Redis, names: readonly string[]): Promise<ServerInfo> {
  const flat = (await client.call("config", "GET", ...names)) as readonly string[];
  return new Map(flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1] ?? ""] as const] : [])));
}

function parseInfo(text: string): ServerInfo {
  const lines = text.split("\r\n").filter((line) => line.includes(":"));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]));
}

/** Why this server is unfit for the store, and how to repair that; undefined if it is fit. */
export function unfitReason(info: ServerInfo): string | undefined {
  const version = info.get("redis_version") ?? "0";
  if (Number(version.split(".")[0]) < 7)
    return `its version is ${version}, Gatehouse needs Redis 7.0 or later`;
  const policy = info.get("maxmemory_policy");
  if (policy !== undefined && policy !== "noeviction") {
    return (
      `its maxmemory-policy is ${policy}: it would drop sessions and revocations when memory is short. ` +
      'Set "maxmemory-policy noeviction" in redis.conf, or run: redis-cli CONFIG SET maxmemory-policy noeviction'
    );
  }
  return undefined;
}
