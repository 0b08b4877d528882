import path from "node:path";
import { type Child, startChild } from "./child.ts";
import type { Absent } from "./result.ts";

export interface BenchRedis {
  readonly url: string;
  readonly server: Child;
}

/** A redis-server for this benchmark on a free port, or the reason why there is none. */
export async function startBenchRedis(
  needing: readonly string[],
): Promise<{ readonly redis?: BenchRedis; readonly absent: readonly Absent[] }> {
  try {
    const server = await startChild(path.resolve("dist/bench/servers/redis.js"), { on: "load" });
    return { redis: { server, url: `redis://127.0.0.1:${server.port}` }, absent: [] };
  } catch (error) {
    const reason = `redis-server cannot be started: ${String((error as Error).message).split("\n")[0] ?? ""}`;
    return { absent: needing.map((name) => ({ name, reason })) };
  }
}
