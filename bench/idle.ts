// Measures what an idle authenticated socket costs in memory, and what many of them cost in CPU.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { HoldJob, PacedJob } from "./load/conversations.ts";
import type { ClosedJob } from "./load/handshakes.ts";
import type { Child } from "./support/child.ts";
import { absentFor, type Entrant, entrants, option, select, start, startLoad } from "./support/contenders.ts";
import { type Figure, figure, type Latencies, ratios } from "./support/figures.ts";
import { minted } from "./support/minting.ts";
import { report } from "./support/report.ts";
import type { Absent, Threshold } from "./support/result.ts";

const ROUNDS = Number(option("rounds") ?? 3);
/** The file limit less the process's own files. */
const most = Math.min(15_000, fileLimit() - 500);
const SIZES = [1_000, 5_000, 15_000].map((size) => Math.min(size, most));
const [, PEERS_SIZE = most] = SIZES;
/** With all sockets open, each sends `ping` every 30 s, as Home Assistant's clients do. */
const PINGS = { perSecond: Math.round(most / 30), seconds: 10 };
const TOKEN_BYTES = 730;

/** Measured with all sockets open. */
const PING_COLUMNS = { cpuShare: "CPU with pings", loopDelay: "loop delay p99", p99: "ping p99" } as const;

interface Round {
  readonly version: string;
  /** KiB for each socket, by the number of sockets. */
  readonly memory: ReadonlyMap<number, number>;
  /** The part of it in JavaScript's heap, with the largest number of sockets. */
  readonly heap: number;
  readonly pinging?: Pinging;
}

interface Pinging {
  /** Percent of one core. */
  readonly cpuShare: number;
  /** 99th percentile of timer delay, ms. */
  readonly loopDelay: number;
  /** 99th percentile of the pings' answers, from when the ping was due, ms. */
  readonly p99: number;
}

function fileLimit(): number {
  return Number(/Max open files\s+\d+\s+(\d+)/.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? 4096);
}

/** Bytes of live memory: after a garbage collection, and after background freeing has ended. */
async function live(server: Child): Promise<{ readonly resident: number; readonly heap: number }> {
  await server.ask("quiet");
  for (let nth = 0; nth < 3; nth += 1) {
    await server.ask("settle");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const { heapUsed } = await server.ask<NodeJS.MemoryUsage>("memory");
  return { resident: server.residentBytes(), heap: heapUsed };
}

async function pinging(server: Child, load: Child, group: string): Promise<Pinging> {
  await server.ask("delay-start");
  const before = server.cpuSeconds();
  const { perSecond, seconds } = PINGS;
  const job: PacedJob = { group, operations: perSecond * seconds, perSecond };
  const done = await load.ask<{ seconds: number; latencies: Latencies }>("paced", job);
  const cpuShare = ((server.cpuSeconds() - before) / done.seconds) * 100;
  const { p99: loopDelay } = await server.ask<{ p99: number }>("delay-stop");
  return { cpuShare, loopDelay, p99: done.latencies.p99 };
}

/** Shared by all rounds of a server. */
interface Prepared {
  readonly entrant: Entrant;
  readonly sizes: readonly number[];
  readonly args: readonly string[];
  /** Undefined if only the process that minted the tokens accepts them. */
  readonly tokens?: readonly string[];
}

/** Another process of the same server mints the tokens: the leftovers of minting would hide what sockets take. */
async function prepare(entrant: Entrant, data: string): Promise<Prepared> {
  const sizes = entrant.peer === true ? SIZES.filter((size) => size <= PEERS_SIZE) : SIZES;
  const own = { data: path.join(data, entrant.args?.[0] ?? ""), tokens: { issuer: "http://gatehouse" } };
  const args = entrant.file === "gatehouse" ? [JSON.stringify(own)] : [];
  // Feathers looks its users up in the memory of the process that created them.
  if (entrant.file === "feathers") return { entrant, sizes, args };
  const mint = await start(entrant, args);
  try {
    return { entrant, sizes, args, tokens: await minted(mint, Math.max(...sizes), TOKEN_BYTES) };
  } finally {
    await mint.stop();
  }
}

/** In a process of its own: memory that an earlier round freed would hide what this one takes. */
async function measure(prepared: Prepared, withPings: boolean): Promise<Round> {
  const { entrant, args } = prepared;
  const children: Child[] = [];
  try {
    const server = await start(entrant, args);
    children.push(server);
    const load = await startLoad("conversations");
    children.push(load);
    const passers = await startLoad("handshakes");
    children.push(passers);
    return { version: server.version, ...(await fill(prepared, { server, load, passers }, withPings)) };
  } finally {
    for (const child of children) await child.stop();
  }
}

async function fill(
  { entrant: { dialect }, sizes, ...prepared }: Prepared,
  { server, load, passers }: { readonly server: Child; readonly load: Child; readonly passers: Child },
  withPings: boolean,
): Promise<Omit<Round, "version">> {
  const tokens = prepared.tokens ?? (await minted(server, Math.max(...sizes), TOKEN_BYTES));
  const { port } = server;
  // The same number of connections comes and goes before, so that code is compiled and the young generation has its
  // size.
  const passing: ClosedJob = { port, dialect, tokens, concurrency: 32 };
  await passers.ask("closed", passing);
  const empty = await live(server);
  const memory = new Map<number, number>();
  let [open, heap] = [0, 0];
  for (const size of sizes) {
    const some = tokens.slice(open, size);
    const job: HoldJob = { group: `to ${size}`, port, dialect, tokens: some, language: "ping" };
    await load.ask("hold", job);
    const now = await live(server);
    memory.set(size, (now.resident - empty.resident) / 1024 / size);
    heap = (now.heap - empty.heap) / 1024 / size;
    open = size;
  }
  if (!withPings) return { memory, heap };
  return { memory, heap, pinging: await pinging(server, load, `to ${open}`) };
}

const { asked, absent: withoutPackages } = select(Object.values(entrants));
const absent: Absent[] = [...withoutPackages];
const rounds = new Map<Entrant, Round[]>();
const data = mkdtempSync(path.join(tmpdir(), "gatehouse-bench-idle-"));
process.on("exit", () => rmSync(data, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));
const prepared: Prepared[] = [];
for (const entrant of asked) {
  try {
    prepared.push(await prepare(entrant, data));
  } catch (error) {
    absent.push(absentFor(entrant, error));
  }
}
for (let round = 0; round < ROUNDS; round += 1) {
  // Peers take long to connect to, so their memory is measured once.
  for (const one of prepared.filter(({ entrant }) => entrant.peer === undefined || round === 0)) {
    const { entrant } = one;
    try {
      const measured = await measure(one, entrant.file === "gatehouse" && round === 0);
      rounds.set(entrant, [...(rounds.get(entrant) ?? []), measured]);
    } catch (error) {
      absent.push(absentFor(entrant, error));
    }
  }
}

const column = (size: number) => `at ${size.toLocaleString("en-US")}`;
const memory = (of: readonly Round[], size: number): Figure =>
  figure(
    "KiB",
    of.map((round) => round.memory.get(size) ?? Number.NaN).filter((value) => !Number.isNaN(value)),
  );
const pings = (of: readonly Round[], what: keyof Pinging, unit: string): Record<string, Figure> => {
  const values = of.flatMap(({ pinging }) => (pinging === undefined ? [] : [pinging[what]]));
  return values.length === 0 ? {} : { [PING_COLUMNS[what]]: figure(unit, values) };
};

function threshold(of: string, to: string | undefined, rest: Pick<Threshold, "must" | "aim">): Threshold[] {
  const roundsOf = (name: string | undefined) =>
    [...rounds].find(([entrant]) => entrant.name === name)?.[1] ?? [];
  const [a, b] = [memory(roundsOf(of), most), memory(roundsOf(to), most)];
  if (a.values.length === 0) return [];
  if (to === undefined) return [{ name: `${of} ${column(most)}`, unit: " KiB", values: a.values, ...rest }];
  if (b.values.length === 0) return [];
  return [{ name: `${of} / ${to} ${column(most)}`, unit: "", values: ratios(a, b), ...rest }];
}

report({
  question: "idle",
  title: "Memory of one authenticated socket that says nothing",
  main: { column: column(PEERS_SIZE), lessIsBetter: true },
  columns: [...SIZES.map(column), "of it JS heap", ...Object.values(PING_COLUMNS)],
  settings: {
    rounds: ROUNDS,
    "rounds of peers": 1,
    "warm-up": "as many connections as are held",
    "sockets of peers": PEERS_SIZE,
    pings: `${PINGS.perSecond}/s for ${PINGS.seconds} s with ${most} sockets open`,
  },
  contenders: [...rounds].map(([{ name }, of]) => ({
    name,
    version: of[0]?.version ?? "",
    figures: {
      ...Object.fromEntries(
        SIZES.map((size) => [column(size), memory(of, size)] as const).filter(
          ([, { values }]) => values.length > 0,
        ),
      ),
      "of it JS heap": figure(
        "KiB",
        of.map(({ heap }) => heap),
      ),
      ...pings(of, "cpuShare", "%"),
      ...pings(of, "loopDelay", "ms"),
      ...pings(of, "p99", "ms"),
    },
  })),
  absent,
  thresholds: [
    ...threshold("gatehouse uws", "bare uws", { must: { atMost: 2 }, aim: 1.5 }),
    ...threshold("gatehouse ws", "bare ws", { must: { atMost: 1.3 }, aim: 1.15 }),
    ...threshold("gatehouse uws", undefined, { must: { atMost: 10 } }),
    ...threshold("gatehouse ws", undefined, { must: { atMost: 40 } }),
  ],
  remarks: [
    "private resident memory of the process after garbage collection, less what it was without sockets, for each socket; buffers of the kernel are not in it",
    ...(most < 15_000 ? [`the limit of open files allows ${most} sockets here`] : []),
  ],
});
