// A redis-server for one benchmark, which ends with this process. It has no persistence, because the gateway is
// measured.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { redisKeys } from "../../src/store/redis/keys.ts";
import { startRedis } from "../../test/support/redis-server.ts";
import { answer } from "../support/answering.ts";

const folder = mkdtempSync(path.join(tmpdir(), "gatehouse-bench-redis-"));
process.env.TMPDIR = folder;
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

const redis = await startRedis();
process.on("exit", () => {
  // The signal is sent before this returns.
  redis.kill().catch(() => undefined);
});
const about = await redis.command("INFO", "server");
const version = /redis_version:(\S+)/.exec(about)?.[1] ?? "unknown";
const pid = Number(/process_id:(\d+)/.exec(about)?.[1]);

/** What is stored: keys, bytes in memory without fixed costs, and entries of the log. */
async function usage() {
  const info = await redis.command("INFO", "memory");
  const field = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1] ?? Number.NaN);
  return {
    keys: Number(await redis.command("DBSIZE")),
    bytes: field("used_memory_dataset"),
    log: Number(await redis.command("XLEN", redisKeys().log)),
  };
}

answer({ port: redis.port, version, server: pid }, { usage });
