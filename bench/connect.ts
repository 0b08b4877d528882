// Measures what it costs a server to take a connection from TCP connect to authenticated.
import type { ClosedJob, OpenJob } from "./load/handshakes.ts";
import {
  absentFor,
  type Entrant,
  entrants,
  flag,
  option,
  type Running,
  startAll,
  startLoad,
  stopAll,
} from "./support/contenders.ts";
import { type Figure, figure, type Latencies, median, ratios } from "./support/figures.ts";
import { profiled } from "./support/profile.ts";
import { report } from "./support/report.ts";
import type { Threshold } from "./support/result.ts";

/** `--quick` is for work on the hot path: no peers, no latencies. */
const QUICK = flag("quick");
const ROUNDS = Number(option("rounds") ?? (QUICK ? 5 : 9));
const CONNECTIONS = 2_000;
const CONCURRENCY = 32;
/**
 * The compiler is busy for tens of thousands of connections. That is a cost of the start, not of a connection. Heavy
 * peers are warm after fewer connections, and have had more time for it.
 */
const WARM_UP = { connections: 24_000, cpuSeconds: 4 };
/** Open model: one third of what the slowest peer can take on this kind of machine. */
const ARRIVALS = { perSecond: 400, seconds: 5 };

interface Measured {
  readonly seconds: number;
  readonly latencies: Latencies;
}

interface Round {
  /** Server CPU, microseconds for one connection: of clients that leave with a FIN, with a RST, and of both. */
  readonly fin: number;
  readonly rst: number;
  readonly cost: number;
  readonly rate: number;
  readonly loadCost: number;
  /** Share of the load generator's one core. */
  readonly loadShare: number;
}

const own = Object.values(entrants).filter((one: Entrant) => one.peer === undefined);
const started = await startAll(QUICK ? own : Object.values(entrants));
const absent = [...started.absent];
const load = await startLoad("handshakes");
const tokenBytes = await lengthOfTokens();

/** The length of Gatehouse's tokens, which all servers use. */
async function lengthOfTokens(): Promise<number> {
  const gatehouse = started.running.find(({ entrant }) => entrant.file === "gatehouse");
  if (gatehouse === undefined) return 730;
  const [token = ""] = await gatehouse.server.ask<string[]>("mint", { n: 1 });
  return token.length;
}

interface Supply {
  /** Reused. The measured connections use other tokens than the warm-up. */
  readonly warmUp: readonly string[];
  readonly rounds: readonly (readonly string[])[];
  readonly profile: readonly (readonly string[])[];
  readonly open: readonly string[];
}

/**
 * Tokens that the server sees once, all made before the measurement: between rounds a server rests. A garbage
 * collection between rounds would also throw compiled code away, and the round would include compiling it again.
 */
async function supplyOf({ server }: Running): Promise<Supply> {
  const mint = (n: number) => server.ask<string[]>("mint", { n, bytes: tokenBytes });
  const batches = async (count: number) => {
    const minted: string[][] = [];
    while (minted.length < count) minted.push(await mint(CONNECTIONS));
    return minted;
  };
  const supply = {
    warmUp: await mint(CONNECTIONS),
    rounds: await batches(ROUNDS),
    profile: await batches(flag("profile") ? 5 : 0),
    open: await mint(QUICK ? 0 : ARRIVALS.perSecond * ARRIVALS.seconds),
  };
  await server.ask("settle");
  return supply;
}

function jobOf({ server, entrant }: Running, tokens: readonly string[]): ClosedJob {
  return { port: server.port, dialect: entrant.dialect, tokens, concurrency: CONCURRENCY };
}

async function warmUp(one: Running): Promise<void> {
  const job = jobOf(one, supplies.get(one)?.warmUp ?? []);
  const begun = one.server.cpuSeconds();
  for (let done = 0; done < WARM_UP.connections; done += CONNECTIONS) {
    if (one.server.cpuSeconds() - begun > WARM_UP.cpuSeconds) return;
    await load.ask("closed", job);
  }
}

/**
 * Half of the clients leave with a FIN, as most do, half with a RST, as lost ones. Servers differ in what each costs.
 */
async function measure(one: Running, round: number): Promise<Round> {
  const tokens = supplies.get(one)?.rounds[round] ?? [];
  const half = tokens.length / 2;
  const [fin, rst] = [
    await spend(one, { ...jobOf(one, tokens.slice(0, half)), leaving: "fin" }),
    await spend(one, { ...jobOf(one, tokens.slice(half)), leaving: "rst" }),
  ];
  const seconds = fin.seconds + rst.seconds;
  const each = (spent: number) => (spent / tokens.length) * 1e6;
  return {
    fin: (fin.server / half) * 1e6,
    rst: (rst.server / half) * 1e6,
    cost: each(fin.server + rst.server),
    rate: tokens.length / seconds,
    loadCost: each(fin.load + rst.load),
    loadShare: (fin.load + rst.load) / seconds,
  };
}

async function spend(one: Running, job: ClosedJob) {
  const before = { server: one.server.cpuSeconds(), load: load.cpuSeconds() };
  const { seconds } = await load.ask<Measured>("closed", job);
  // The round includes the leaving of the last clients.
  await one.server.ask("quiet");
  return {
    seconds,
    server: one.server.cpuSeconds() - before.server,
    load: load.cpuSeconds() - before.load,
  };
}

async function waitsOf(one: Running): Promise<Latencies> {
  const job: OpenJob = { ...jobOf(one, supplies.get(one)?.open ?? []), ...ARRIVALS };
  return (await load.ask<Measured>("open", job)).latencies;
}

async function profileOf(one: Running): Promise<string> {
  const jobs = (supplies.get(one)?.profile ?? []).map((tokens) => jobOf(one, tokens));
  return await profiled(one.server, one.entrant.name, CONNECTIONS * jobs.length, async () => {
    for (const job of jobs) await load.ask("closed", job);
  });
}

const supplies = new Map<Running, Supply>();
const running: Running[] = [];
for (const one of started.running) supplies.set(one, await supplyOf(one));
for (const one of started.running) {
  try {
    await warmUp(one);
    running.push(one);
  } catch (error) {
    // A peer that cannot be measured gets a line with the reason. Without the main contender there is no result.
    if (one.entrant.peer === undefined) throw error;
    absent.push(absentFor(one.entrant, error));
  }
}
const rounds = new Map<Running, Round[]>(running.map((one) => [one, []]));
for (let round = 0; round < ROUNDS; round += 1) {
  // The order alternates, so that a machine that gets slower or faster favours nobody.
  const order = round % 2 === 0 ? running : [...running].reverse();
  for (const one of order) rounds.get(one)?.push(await measure(one, round));
}
const memory = new Map(running.map((one) => [one, one.server.residentBytes() / 2 ** 20]));
const waits = new Map<Running, Latencies>();
if (!QUICK) for (const one of running) waits.set(one, await waitsOf(one));
if (flag("profile")) for (const one of running) console.log(await profileOf(one));
await stopAll(started.running);
await load.stop();

const each = (one: Running, what: keyof Round) => (rounds.get(one) ?? []).map((round) => round[what]);
const cost = (one: Running): Figure => figure("µs", each(one, "cost"));
const byName = (name: string) => running.find(({ entrant }) => entrant.name === name);

function threshold(of: string, to: string, rest: Pick<Threshold, "must" | "aim">): Threshold[] {
  const [a, b] = [byName(of), byName(to)];
  if (a === undefined || b === undefined) return [];
  return [{ name: `${of} / ${to}`, unit: "", values: ratios(cost(a), cost(b)), ...rest }];
}

const loadCost = Math.min(...running.map((one) => median(each(one, "loadCost"))));
const limited = running.filter((one) => median(each(one, "loadShare")) > 0.85);

report({
  question: "connect",
  title: "Server CPU for one authenticated connection",
  main: { column: "CPU/connection", lessIsBetter: true },
  columns: ["CPU/connection", "FIN", "RST", "rate", ...(QUICK ? [] : ["p50", "p99", "p99.9"]), "memory"],
  settings: {
    rounds: ROUNDS,
    "connections a round": CONNECTIONS,
    "at once": CONCURRENCY,
    "warm-up": `${WARM_UP.connections} connections or ${WARM_UP.cpuSeconds} s of CPU`,
    "bytes of a token": tokenBytes,
    "latencies at": `${ARRIVALS.perSecond} arrivals/s for ${ARRIVALS.seconds} s`,
  },
  contenders: running.map((one) => ({
    name: one.entrant.name,
    version: one.server.version,
    figures: {
      "CPU/connection": cost(one),
      FIN: figure("µs", each(one, "fin")),
      RST: figure("µs", each(one, "rst")),
      rate: figure("/s", each(one, "rate")),
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
    ...threshold("Socket.IO", "gatehouse uws", { must: { atLeast: 2 }, aim: 3 }),
    ...threshold("Socket.IO on uws", "gatehouse uws", { must: { atLeast: 1.3 }, aim: 1.8 }),
    ...threshold("graphql-ws on uws", "gatehouse uws", { must: { atLeast: 0.9 }, aim: 1.1 }),
  ],
  remarks: [
    `the load generator costs ${Math.round(loadCost)} µs of CPU a connection: about ${Math.round(1e6 / loadCost)}/s is its ceiling`,
    ...limited.map(
      ({ entrant }) => `the rate of ${entrant.name} is the load generator's ceiling, not its own`,
    ),
  ],
});
