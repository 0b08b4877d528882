// Measures what a whole password login costs the server: sent in a form, and proved. And what many logins a second do to others.

import { isProofCost } from "../protocol/scram.ts";
import type { Accounts, ArrivalsJob, Arrived, LoginsJob } from "./load/logins.ts";
import type { Post, PostsJob } from "./load/posts.ts";
import type { Survivors, Watched } from "./load/survivors.ts";
import type { Child } from "./support/child.ts";
import {
  type Entrant,
  flag,
  option,
  type Running,
  start,
  startAll,
  startLoad,
  stopAll,
} from "./support/contenders.ts";
import { type Figure, figure, type Latencies, median, ratios } from "./support/figures.ts";
import { minted } from "./support/minting.ts";
import { profiled } from "./support/profile.ts";
import { report } from "./support/report.ts";
import type { Absent, Contender } from "./support/result.ts";
import { type Contestant, takeTurns } from "./support/turns.ts";

const ROUNDS = Number(option("rounds") ?? 5);
const IN_FLIGHT = 2;
/** A proof waits for the disk and not for the processor, so more of them are in progress. */
const PROOFS_IN_FLIGHT = 32;
const PROOFS_A_ROUND = 1_000;
/** Each has a salt of its own, for which the load generator runs scrypt once. */
const PEOPLE = 16;
const PASSWORD = "correct horse battery";
/** Logins by proof beside authenticated pings. */
const ARRIVALS_WANTED = Number(option("arrivals") ?? 500);
/** The most of what the machine carries at all, if that is less: above it, a queue only grows. */
const SHARE_OF_CARRIED = 0.85;
const ARRIVALS_SECONDS = Number(option("seconds") ?? 30);
const PINGS = { sockets: 100, perSecond: 200 } as const;

/** scrypt's parameters, the same for every contender. */
interface Kdf {
  readonly n: number;
  readonly r: number;
  readonly p: number;
}

const asked: Kdf = {
  n: Number(option("n") ?? 131_072),
  r: Number(option("r") ?? 8),
  p: Number(option("p") ?? 1),
};
/** Gatehouse's minimum: the hash is short, so the rest of the cost shows. */
const light: Kdf = { n: 1_024, r: 8, p: 1 };
const textOf = ({ n, r, p }: Kdf) => `N=${n.toLocaleString("en-US")} r=${r} p=${p}`;

interface Measured {
  readonly seconds: number;
  readonly latencies: Latencies;
}

interface Login extends Contestant {
  readonly waits: Latencies[];
  readonly by: Accounts["by"];
}

const sockets = await startLoad("logins");
const posters = await startLoad("posts");

/** Rounds take about the same time with every cost, within limits. */
function loginsARound({ n, r, p }: Kdf): number {
  return Math.min(300, Math.max(6, Math.round((6 * 2 ** 20) / (n * r * p))));
}

function entrantsFor({ n, r, p }: Kdf): Entrant[] {
  const password = { scrypt_n: n, scrypt_r: r, scrypt_p: p, workers: IN_FLIGHT };
  const args = [n, r, p].map(String);
  const gatehouse = (transport: string, by: Accounts["by"]): Entrant => ({
    name: `gatehouse ${transport}, ${by}`,
    file: "gatehouse",
    dialect: by,
    args: [transport, JSON.stringify({ password })],
  });
  const proofs = isProofCost({ N: n, r, p }) ? [gatehouse("uws", "proof"), gatehouse("ws", "proof")] : [];
  return [
    { name: "bare scrypt", file: "scrypt", args, dialect: "none" },
    ...proofs,
    gatehouse("uws", "form"),
    gatehouse("ws", "form"),
    { name: "Feathers, HTTP", file: "feathers", args, dialect: "http", peer: true },
    { name: "better-auth, HTTP", file: "better-auth", args, dialect: "http", peer: true },
  ];
}

async function loginOf(
  { entrant: { name, file, dialect }, server }: Running,
  loginsOfForm: number,
): Promise<Login> {
  const waits: Latencies[] = [];
  const { port } = server;
  const by = dialect === "proof" ? "proof" : "form";
  const count = by === "proof" ? PROOFS_A_ROUND : loginsOfForm;
  const measured = async (done: Promise<Measured>) => {
    const { seconds, latencies } = await done;
    waits.push(latencies);
    return { operations: count, seconds };
  };
  if (file === "scrypt") {
    const job = { count, inFlight: IN_FLIGHT };
    return { name, server, waits, by, run: () => measured(server.ask<Measured>("verify", job)) };
  }
  if (file === "gatehouse") {
    const usernames = by === "proof" ? await peopleOf(server) : ["owner"];
    const inFlight = by === "proof" ? PROOFS_IN_FLIGHT : IN_FLIGHT;
    const job: LoginsJob = { port, count, inFlight, usernames, password: PASSWORD, by };
    return { name, server, waits, by, run: () => measured(sockets.ask<Measured>("logins", job)) };
  }
  const how = await server.ask<Post>("login");
  const tails = Array.from({ length: count }, () => "");
  const job: PostsJob = { ...how, port, tails, inFlight: IN_FLIGHT };
  return { name, server, waits, by, run: () => measured(posters.ask<Measured>("posts", job)) };
}

/** The load generator computes scrypt while nothing else waits for it: that takes seconds. */
async function peopleOf(server: Child): Promise<readonly string[]> {
  const usernames = await server.ask<string[]>("people", { n: PEOPLE });
  const job: LoginsJob = {
    port: server.port,
    usernames,
    password: PASSWORD,
    by: "proof",
    count: PEOPLE,
    inFlight: 1,
  };
  await sockets.ask<Measured>("logins", job);
  return usernames;
}

interface Outcome {
  readonly version: string;
  /** Milliseconds of CPU, by round. */
  readonly cpu: Figure;
  /** Logins a second, by round. */
  readonly rate: Figure;
  readonly waits: readonly Latencies[];
}

async function profile(login: Login): Promise<void> {
  const rounds = 5;
  const work = async () => {
    for (let round = 0; round < rounds; round += 1) await login.run();
  };
  console.log(await profiled(login.server, login.name, PROOFS_A_ROUND * rounds, work));
}

async function measure(kdf: Kdf) {
  const { running, absent } = await startAll(entrantsFor(kdf));
  const logins: Login[] = [];
  for (const one of running) logins.push(await loginOf(one, loginsARound(kdf)));
  const turns = await takeTurns(logins, { warmUps: 1, rounds: ROUNDS });
  if (flag("profile")) for (const one of logins.filter(({ by }) => by === "proof")) await profile(one);
  await stopAll(running);
  const outcomes = new Map<string, Outcome>();
  for (const one of logins) {
    const cpu = figure(
      "ms",
      (turns.get(one)?.cpu ?? []).map((microseconds) => microseconds / 1000),
    );
    const rate = figure("/s", turns.get(one)?.rates ?? []);
    outcomes.set(one.name, { version: one.server.version, cpu, rate, waits: one.waits.slice(1) });
  }
  return { outcomes, absent };
}

interface Beside {
  readonly arrived: Arrived;
  readonly pings: Watched;
  /** Before and after. */
  readonly memory: readonly [Held, Held];
}

/** Memory in MiB. */
interface Held {
  /** Private and resident, as the logins left it. */
  readonly uncollected: number;
  /** The same after garbage collections: the least of several readings. */
  readonly resident: number;
  /** What lives: objects of JavaScript, and the buffers that they hold. */
  readonly live: number;
}

/** V8 gives pages back over several collections, some seconds late. */
const COLLECTIONS = 8;
const mebi = (bytes: number) => bytes / 2 ** 20;

async function heldBy(server: Child): Promise<Held> {
  const uncollected = mebi(server.residentBytes());
  // A socket that was dropped takes up to 2 s to go.
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  let resident = Number.POSITIVE_INFINITY;
  for (let nth = 0; nth < COLLECTIONS; nth += 1) {
    await server.ask("settle");
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    resident = Math.min(resident, mebi(server.residentBytes()));
  }
  const { heapUsed, external } = await server.ask<NodeJS.MemoryUsage>("memory");
  return { uncollected, resident, live: mebi(heapUsed + external) };
}

/** Logins at a fixed rate, while other sockets send pings. */
async function besidePings(transport: string): Promise<Beside> {
  const [entrant] = entrantsFor(asked).filter(({ name }) => name === `gatehouse ${transport}, proof`);
  if (entrant === undefined) throw new Error("nothing is proved at this cost");
  const server = await start(entrant);
  const control = await startLoad("survivors");
  try {
    const { port } = server;
    const usernames = await peopleOf(server);
    const accounts: Accounts = { port, usernames, password: PASSWORD, by: "proof" };
    const arrivals = async (seconds: number) => {
      const job: ArrivalsJob = { ...accounts, perSecond: ARRIVALS_PER_SECOND, seconds };
      return await sockets.ask<Arrived>("arrivals", job);
    };
    // For the compiler, and the records that a first login of a person from an address makes.
    await sockets.ask<Measured>("logins", { ...accounts, count: 2_000, inFlight: PROOFS_IN_FLIGHT });
    const tokens = await minted(server, PINGS.sockets, TOKEN_BYTES);
    const group: Survivors = {
      port,
      dialect: "home-assistant",
      language: "ping",
      tokens,
      perSecond: PINGS.perSecond,
    };
    await control.ask("hold", group);
    // As long as what is measured: memory that grows with the time of the load is still growing after it, and what the
    // load needs at its peak is there before.
    await arrivals(ARRIVALS_SECONDS);
    const before = await heldBy(server);
    await control.ask("begin");
    const arrived = await arrivals(ARRIVALS_SECONDS);
    const pings = await control.ask<Watched>("end");
    return { arrived, pings, memory: [before, await heldBy(server)] };
  } finally {
    await Promise.all([server.stop(), control.stop()]);
  }
}

const TOKEN_BYTES = 730;
const heavy = await measure(asked);
const short = await measure(light);
const proofRates = [...heavy.outcomes]
  .filter(([name]) => name.endsWith(", proof"))
  .map(([, { rate }]) => rate);
/** Logins by proof a second that this machine carries on the slower transport. */
const CARRIED = Math.min(...proofRates.map(({ values }) => median(values)));
const ARRIVALS_PER_SECOND = Math.min(
  ARRIVALS_WANTED,
  option("arrivals") === undefined ? Math.floor((CARRIED * SHARE_OF_CARRIED) / 10) * 10 : Infinity,
);
const beside = new Map<string, Beside>();
for (const transport of isProofCost({ N: asked.n, r: asked.r, p: asked.p }) ? ["uws", "ws"] : [])
  beside.set(`gatehouse ${transport}, proof`, await besidePings(transport));
await Promise.all([sockets.stop(), posters.stop()]);

const SHORT = `CPU at ${textOf(light)}`;
const names = [...new Set([...heavy.outcomes.keys(), ...short.outcomes.keys()])];

const PINGS_P99 = `pings p99 at ${ARRIVALS_PER_SECOND}/s`;
const LOGINS_P99 = `logins p99 at ${ARRIVALS_PER_SECOND}/s`;

function contenderOf(name: string): Contender {
  const [full, brief, among] = [heavy.outcomes.get(name), short.outcomes.get(name), beside.get(name)];
  const wait = (of: (one: Latencies) => number) => figure("ms", [median((full?.waits ?? []).map(of))]);
  return {
    name,
    version: full?.version ?? brief?.version ?? "",
    figures: {
      ...(full === undefined ? {} : { "CPU/login": full.cpu, "logins/s": full.rate }),
      p50: wait(({ p50 }) => p50),
      max: wait(({ max }) => max),
      ...(brief === undefined ? {} : { [SHORT]: brief.cpu }),
      ...(among === undefined
        ? {}
        : {
            [PINGS_P99]: figure("ms", [among.pings.p99]),
            [LOGINS_P99]: figure("ms", [among.arrived.p99]),
            memory: figure(
              "MiB",
              among.memory.map(({ resident }) => resident),
            ),
            uncollected: figure(
              "MiB",
              among.memory.map(({ uncollected }) => uncollected),
            ),
          }),
    },
  };
}

function ratio(of: string, to: string) {
  const [a, b] = [heavy.outcomes.get(of), heavy.outcomes.get(to)];
  if (a === undefined || b === undefined) return [];
  return [{ name: `${of} / ${to}, ${textOf(asked)}`, unit: "", values: ratios(a.cpu, b.cpu) }];
}

/** How many times as many logins a second, round by round. Missed if what it compares with could not be started. */
function more(of: string, to: string) {
  const [a, b] = [heavy.outcomes.get(of), heavy.outcomes.get(to)];
  const isMissing = heavy.absent.some(({ name }) => name === to) && !flag("no-peers");
  if (a === undefined || (b === undefined && !isMissing)) return [];
  const values = b === undefined ? [Number.NaN] : ratios(a.rate, b.rate);
  return [{ name: `logins a second: ${of} / ${to}`, unit: "", values, must: { atLeast: 100 } }];
}

const besides = [...beside].flatMap(
  ([
    name,
    {
      arrived,
      pings,
      memory: [before, after],
    },
  ]) => [
    { name: `${name}: ${PINGS_P99}`, unit: " ms", values: [pings.p99], must: { atMost: 50 } },
    {
      name: `${name}: logins that failed at ${ARRIVALS_PER_SECOND}/s`,
      unit: "",
      values: [arrived.failed],
      must: { atMost: 0 },
    },
    {
      name: `${name}: memory after ${ARRIVALS_SECONDS} s / before`,
      unit: "",
      values: [after.resident / before.resident],
      must: { atMost: 1.1 },
    },
    {
      name: `${name}: what lives after ${ARRIVALS_SECONDS} s / before`,
      unit: "",
      values: [after.live / before.live],
      must: { atMost: 1.1 },
    },
  ],
);

function absentOnce(all: readonly Absent[]): Absent[] {
  return [...new Map(all.map((one) => [one.name, one])).values()];
}

report({
  question: "login",
  title: `Server CPU for one password login, scrypt ${textOf(asked)}`,
  main: { column: "CPU/login", lessIsBetter: true },
  columns: ["CPU/login", "logins/s", "p50", "max", SHORT, PINGS_P99, LOGINS_P99, "memory", "uncollected"],
  settings: {
    rounds: ROUNDS,
    scrypt: textOf(asked),
    "in flight": `${IN_FLIGHT}, proofs ${PROOFS_IN_FLIGHT}`,
    logins: `${loginsARound(asked)} and ${loginsARound(light)} a round, proofs ${PROOFS_A_ROUND}`,
    "beside pings": `${ARRIVALS_PER_SECOND} logins/s for ${ARRIVALS_SECONDS} s, ${PINGS.perSecond} pings/s of ${PINGS.sockets} sockets`,
  },
  contenders: names.map(contenderOf),
  absent: absentOnce([...heavy.absent, ...short.absent]),
  thresholds: [
    ...["ws", "uws"].flatMap((transport) => [
      ...more(`gatehouse ${transport}, proof`, `gatehouse ${transport}, form`),
      ...more(`gatehouse ${transport}, proof`, "better-auth, HTTP"),
    ]),
    ...besides,
    ...ratio("gatehouse uws, form", "bare scrypt"),
    ...ratio("gatehouse ws, form", "bare scrypt"),
  ],
  remarks: [
    ...(ARRIVALS_PER_SECOND < ARRIVALS_WANTED
      ? [
          `this machine carries ${Math.round(CARRIED)} logins/s: pings beside ${ARRIVALS_PER_SECOND} logins/s, not ${ARRIVALS_WANTED}`,
        ]
      : []),
    "gatehouse: a new socket, `auth/login/start`, `auth/login/step`, the session on disk, tokens, `auth_ok`; the peers: one POST on a kept connection, records in memory, the same scrypt through the hook that they offer",
    `proof: the client computes scrypt and the server a few HMACs; ${PEOPLE} people, whose clients have computed it before`,
    `memory: private resident memory, the least of ${COLLECTIONS} readings with a garbage collection before each, after one period of logins beside pings and after another, as long; every login left a session on disk. After one collection V8 still holds pages that it gives back in the next ones`,
    "uncollected: the same as the logins left it, without a collection",
  ],
});
