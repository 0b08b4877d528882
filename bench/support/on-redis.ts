import type { Child } from "./child.ts";
import { absentFor, type Entrant, type Running, select, start } from "./contenders.ts";
import type { Absent } from "./result.ts";
import { startBenchRedis } from "./start-redis.ts";

const suffix = ", on Redis";

export function isOnRedis(name: string): boolean {
  return name.endsWith(suffix);
}

/** A contender, and the argument that makes it store its records on the Redis at the URL. */
export type OnRedis = readonly [entrant: Entrant, argument: (url: string) => string];

/**
 * Starts each of the selected contenders on a Redis of its own, whose CPU counts as the server's: what one does in a script
 * there, another does itself. Those that cannot be started are listed with the reason.
 */
export async function startOnRedis(wanted: readonly OnRedis[]): Promise<{
  readonly running: readonly Running[];
  readonly absent: readonly Absent[];
  stop(): Promise<void>;
}> {
  const named = wanted.map(([entrant, argument]) => ({
    entrant: { ...entrant, name: entrant.name + suffix },
    argument,
  }));
  const { asked, absent: notAsked } = select(named.map(({ entrant }) => entrant));
  const absent = [...notAsked];
  const running: Running[] = [];
  const servers: Child[] = [];
  for (const { entrant, argument } of named.filter((one) => asked.includes(one.entrant))) {
    const { redis, absent: without } = await startBenchRedis([entrant.name]);
    absent.push(...without);
    if (redis === undefined) continue;
    servers.push(redis.server);
    try {
      running.push({ entrant, server: together(await start(entrant, [argument(redis.url)]), redis.server) });
    } catch (error) {
      absent.push(absentFor(entrant, error));
    }
  }
  return {
    running,
    absent,
    async stop() {
      for (const server of servers) await server.stop();
    },
  };
}

function together(server: Child, redis: Child): Child {
  return { ...server, cpuSeconds: () => server.cpuSeconds() + redis.cpuSeconds() };
}
