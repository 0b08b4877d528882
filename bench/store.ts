// Measures what one store operation costs the calling process, embedded and on Redis, one at a time and many at once.
import type { StoreJob } from "./servers/stores.ts";
import { type Entrant, option, startAll, stopAll } from "./support/contenders.ts";
import { figure, type Latencies, median } from "./support/figures.ts";
import { report } from "./support/report.ts";
import { startBenchRedis } from "./support/start-redis.ts";
import { type Contestant, takeTurns } from "./support/turns.ts";

const ROUNDS = Number(option("rounds") ?? 5);
const WARM_UPS = 2;
const AT_ONCE = 64;
/** One at a time, a commit waits for the disk, so fewer of them suffice. */
const counts = { alone: { commit: 200, other: 4_000 }, together: { commit: 4_000, other: 10_000 } } as const;

interface Measured {
  readonly seconds: number;
  readonly latencies: Latencies;
}

interface Asker extends Contestant {
  readonly waits: Latencies[];
}

const { redis, absent: withoutRedis } = await startBenchRedis(["Redis"]);
const kind = (name: string, args: readonly string[]): Entrant => ({
  name,
  args,
  file: "stores",
  dialect: "none",
});
const { running, absent } = await startAll([
  kind("embedded", []),
  ...(redis === undefined ? [] : [kind("Redis", [redis.url])]),
]);

const askers: Asker[] = [];
for (const { entrant, server } of running) {
  for (const operation of await server.ask<string[]>("operations")) {
    for (const inFlight of [1, AT_ONCE]) {
      const { commit, other } = inFlight === 1 ? counts.alone : counts.together;
      const job: StoreJob = { operation, inFlight, count: operation.startsWith("commit") ? commit : other };
      const waits: Latencies[] = [];
      askers.push({
        name: `${entrant.name}: ${operation}, ${inFlight === 1 ? "alone" : `${AT_ONCE} at once`}`,
        server,
        waits,
        async run() {
          const { seconds, latencies } = await server.ask<Measured>("run", job);
          waits.push(latencies);
          return { operations: job.count, seconds };
        },
      });
    }
  }
}
const turns = await takeTurns(askers, { warmUps: WARM_UPS, rounds: ROUNDS });
await stopAll(running);
await redis?.server.stop();

report({
  question: "store",
  title: "CPU of the gateway's process for one operation of the store",
  main: { column: "CPU", lessIsBetter: true },
  columns: ["CPU", "rate", "p50", "p99"],
  settings: { rounds: ROUNDS, "warm-ups": WARM_UPS, sessions: 10_000, "at once": AT_ONCE },
  contenders: askers.map((one) => {
    const waits = one.waits.slice(WARM_UPS);
    return {
      name: one.name,
      version: one.server.version,
      figures: {
        CPU: figure("µs", turns.get(one)?.cpu ?? []),
        rate: figure("/s", turns.get(one)?.rates ?? []),
        p50: figure("ms", [median(waits.map(({ p50 }) => p50))]),
        p99: figure("ms", [median(waits.map(({ p99 }) => p99))]),
      },
    };
  }),
  absent: [...absent, ...withoutRedis],
  thresholds: [],
  remarks: [
    "an embedded commit is on disk (fsync) before it is answered; commits that wait at the same time share one flush",
    `Redis: ${redis === undefined ? "none" : `${redis.server.version} on this machine, without persistence`}; its own CPU is not in the number`,
    "p50 and p99: medians of the rounds; a closed model, so they are of this load",
  ],
});
