// What does it cost a server to take a connection from TCP connect to authenticated?
import type { ClosedJob, Job, OpenJob } from "./load/handshakes.ts";
import { entrants, option, type Running, startAll, startLoad, stopAll } from "./support/contenders.ts";
import { type Figure, figure, type Latencies, ratios } from "./support/figures.ts";
import { report } from "./support/report.ts";
import type { Threshold } from "./support/result.ts";

/** The compiler works on for tens of thousands of connections; that is the start's cost and not the connection's. */
const WARM_UP = 24_000;
const ROUNDS = Number(option("rounds") ?? 9);
const CONNECTIONS = 2_000;
const CONCURRENCY = 32;
/** Open model: one third of what the slowest peer can take on this kind of machine. */
const ARRIVALS_PER_SECOND = 400;

interface Measured {
  readonly seconds: number;
  readonly latencies: Latencies;
}

const { running, absent } = await startAll(Object.values(entrants));
const load = await startLoad("handshakes");

const costs = new Map<Running, number[]>(running.map((one) => [one, []]));
const rates = new Map<Running, number[]>(running.map((one) => [one, []]));
const loadCosts: number[] = [];

/** Tokens that no server has seen, made before the clock runs; their garbage is collected before it runs too. */
async function fresh({ server, entrant }: Running, n: number): Promise<Job> {
  const tokens = await server.ask<string[]>("mint", { n });
  await server.ask("settle").catch(() => undefined);
  return { port: server.port, dialect: entrant.dialect, tokens };
}

for (const one of running) {
  const job: ClosedJob = { ...(await fresh(one, CONNECTIONS)), concurrency: CONCURRENCY };
  for (let done = 0; done < WARM_UP; done += CONNECTIONS) await load.ask("closed", job);
}
for (let round = 0; round < ROUNDS; round += 1) {
  for (const one of running) {
    const job: ClosedJob = { ...(await fresh(one, CONNECTIONS)), concurrency: CONCURRENCY };
    const before = { server: one.server.cpuSeconds(), load: load.cpuSeconds() };
    const { seconds } = await load.ask<Measured>("closed", job);
    costs.get(one)?.push(((one.server.cpuSeconds() - before.server) / CONNECTIONS) * 1e6);
    rates.get(one)?.push(CONNECTIONS / seconds);
    loadCosts.push(((load.cpuSeconds() - before.load) / CONNECTIONS) * 1e6);
  }
}

const waits = new Map<Running, Latencies>();
for (const one of running) {
  const job: OpenJob = { ...(await fresh(one, ARRIVALS_PER_SECOND * 5)), perSecond: ARRIVALS_PER_SECOND };
  waits.set(one, (await load.ask<Measured>("open", job)).latencies);
}
const memory = new Map(running.map((one) => [one, one.server.residentBytes() / 2 ** 20]));
await stopAll(running);
await load.stop();

const cost = (one: Running): Figure => figure("µs", costs.get(one) ?? []);
const byName = (name: string) => running.find(({ entrant }) => entrant.name === name);

function threshold(of: string, to: string, rest: Pick<Threshold, "must" | "aim">): Threshold[] {
  const [a, b] = [byName(of), byName(to)];
  if (a === undefined || b === undefined) return [];
  return [{ name: `${of} / ${to}`, unit: "", values: ratios(cost(a), cost(b)), ...rest }];
}

report({
  question: "connect",
  title: "Server CPU for one authenticated connection",
  main: { column: "CPU/connection", lessIsBetter: true },
  columns: ["CPU/connection", "rate", "p50", "p99", "p99.9", "memory"],
  settings: {
    rounds: ROUNDS,
    "warm-up": WARM_UP,
    connections: CONNECTIONS,
    "at once": CONCURRENCY,
    "for latencies": `${ARRIVALS_PER_SECOND} arrivals/s`,
  },
  contenders: running.map((one) => ({
    name: one.entrant.name,
    version: one.server.version,
    figures: {
      "CPU/connection": cost(one),
      rate: figure("/s", rates.get(one) ?? []),
      p50: figure("ms", [waits.get(one)?.p50 ?? Number.NaN]),
      p99: figure("ms", [waits.get(one)?.p99 ?? Number.NaN]),
      "p99.9": figure("ms", [waits.get(one)?.p999 ?? Number.NaN]),
      memory: figure("MiB", [memory.get(one) ?? Number.NaN]),
    },
  })),
  absent,
  thresholds: [
    ...threshold("gatehouse uws", "bare uws", { must: { atMost: 1.35 }, aim: 1.15 }),
    ...threshold("gatehouse ws", "bare ws", { must: { atMost: 1.2 }, aim: 1.1 }),
    ...threshold("Socket.IO", "gatehouse uws", { must: { atLeast: 6 }, aim: 8 }),
  ],
  remarks: [
    `the load generator itself costs ${Math.round(Math.min(...loadCosts))} µs of CPU a connection at best: about ${Math.round(1e6 / Math.min(...loadCosts))}/s is its ceiling`,
  ],
});
