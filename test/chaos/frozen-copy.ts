import { eventually } from "../support/eventually.ts";
import type { RedisServer } from "../support/redis-server.ts";

const longestPauseMs = "10000";

/**
 * Runs `detach` while the primary takes no writes and the copy has everything that it acknowledged. Returns the moment
 * (`performance.now()`) from which on what the primary acknowledges is not in the copy: without the pause a copy that was
 * not scheduled lately would have lost writes from before it.
 */
export async function detachedAt(
  primary: RedisServer,
  copy: RedisServer,
  detach: () => Promise<void>,
): Promise<number> {
  await primary.command("CLIENT", "PAUSE", longestPauseMs, "WRITE");
  try {
    await eventually("the copy to have everything", async () => {
      const [written, copied] = await Promise.all([offsetIn(primary, "master"), offsetIn(copy, "slave")]);
      return written !== undefined && written === copied;
    });
    const since = performance.now();
    await detach();
    return since;
  } finally {
    await primary.command("CLIENT", "UNPAUSE");
  }
}

async function offsetIn(server: RedisServer, role: "master" | "slave"): Promise<string | undefined> {
  const info = await server.command("INFO", "replication");
  return new RegExp(`^${role}_repl_offset:(\\d+)`, "m").exec(info)?.[1];
}
