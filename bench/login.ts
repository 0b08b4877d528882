// Measures what a whole password login costs the server, and how much of it is not the password's hash.
import type { LoginsJob } from "./load/logins.ts";
import type { Post, PostsJob } from "./load/posts.ts";
import { type Entrant, option, type Running, startAll, startLoad, stopAll } from "./support/contenders.ts";
import { type Figure, figure, type Latencies, median, ratios } from "./support/figures.ts";
import { report } from "./support/report.ts";
import type { Absent, Contender } from "./support/result.ts";
import { type Contestant, takeTurns } from "./support/turns.ts";

const ROUNDS = Number(option("rounds") ?? 5);
const IN_FLIGHT = 2;

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
  const gatehouse = (transport: string): Entrant => ({
    name: `gatehouse ${transport}`,
    file: "gatehouse",
    dialect: "home-assistant",
    args: [transport, JSON.stringify({ password })],
  });
  return [
    { name: "bare scrypt", file: "scrypt", args, dialect: "none" },
    gatehouse("uws"),
    gatehouse("ws"),
    { name: "Feathers, HTTP", file: "feathers", args, dialect: "http", peer: true },
    { name: "better-auth, HTTP", file: "better-auth", args, dialect: "http", peer: true },
  ];
}

async function loginOf({ entrant: { name, file }, server }: Running, count: number): Promise<Login> {
  const waits: Latencies[] = [];
  const { port } = server;
  const measured = async (done: Promise<Measured>) => {
    const { seconds, latencies } = await done;
    waits.push(latencies);
    return { operations: count, seconds };
  };
  if (file === "scrypt") {
    const job = { count, inFlight: IN_FLIGHT };
    return { name, server, waits, run: () => measured(server.ask<Measured>("verify", job)) };
  }
  if (file === "gatehouse") {
    const account = { username: "owner", password: "correct horse battery" };
    const job: LoginsJob = { port, count, inFlight: IN_FLIGHT, ...account };
    return { name, server, waits, run: () => measured(sockets.ask<Measured>("logins", job)) };
  }
  const how = await server.ask<Post>("login");
  const tails = Array.from({ length: count }, () => "");
  const job: PostsJob = { ...how, port, tails, inFlight: IN_FLIGHT };
  return { name, server, waits, run: () => measured(posters.ask<Measured>("posts", job)) };
}

interface Outcome {
  readonly version: string;
  /** Milliseconds of CPU, by round. */
  readonly cpu: Figure;
  readonly waits: readonly Latencies[];
}

async function measure(kdf: Kdf) {
  const { running, absent } = await startAll(entrantsFor(kdf));
  const logins: Login[] = [];
  for (const one of running) logins.push(await loginOf(one, loginsARound(kdf)));
  const turns = await takeTurns(logins, { warmUps: 1, rounds: ROUNDS });
  await stopAll(running);
  const outcomes = new Map<string, Outcome>();
  for (const one of logins) {
    const cpu = figure(
      "ms",
      (turns.get(one)?.cpu ?? []).map((microseconds) => microseconds / 1000),
    );
    outcomes.set(one.name, { version: one.server.version, cpu, waits: one.waits.slice(1) });
  }
  return { outcomes, absent };
}

const heavy = await measure(asked);
const short = await measure(light);
await Promise.all([sockets.stop(), posters.stop()]);

const SHORT = `CPU at ${textOf(light)}`;
const names = [...new Set([...heavy.outcomes.keys(), ...short.outcomes.keys()])];

function contenderOf(name: string): Contender {
  const [full, brief] = [heavy.outcomes.get(name), short.outcomes.get(name)];
  const wait = (of: (one: Latencies) => number) => figure("ms", [median((full?.waits ?? []).map(of))]);
  return {
    name,
    version: full?.version ?? brief?.version ?? "",
    figures: {
      ...(full === undefined ? {} : { "CPU/login": full.cpu }),
      p50: wait(({ p50 }) => p50),
      max: wait(({ max }) => max),
      ...(brief === undefined ? {} : { [SHORT]: brief.cpu }),
    },
  };
}

function ratio(of: string, to: string) {
  const [a, b] = [heavy.outcomes.get(of), heavy.outcomes.get(to)];
  if (a === undefined || b === undefined) return [];
  return [{ name: `${of} / ${to}, ${textOf(asked)}`, unit: "", values: ratios(a.cpu, b.cpu) }];
}

function absentOnce(all: readonly Absent[]): Absent[] {
  return [...new Map(all.map((one) => [one.name, one])).values()];
}

report({
  question: "login",
  title: `Server CPU for one password login, scrypt ${textOf(asked)}`,
  main: { column: "CPU/login", lessIsBetter: true },
  columns: ["CPU/login", "p50", "max", SHORT],
  settings: {
    rounds: ROUNDS,
    scrypt: textOf(asked),
    "in flight": IN_FLIGHT,
    logins: `${loginsARound(asked)} and ${loginsARound(light)} a round`,
  },
  contenders: names.map(contenderOf),
  absent: absentOnce([...heavy.absent, ...short.absent]),
  thresholds: [...ratio("gatehouse uws", "bare scrypt"), ...ratio("gatehouse ws", "bare scrypt")],
  remarks: [
    "gatehouse: a new socket, `auth/login/start`, `auth/login/step`, the session on disk, tokens, `auth_ok`; the peers: one POST on a kept connection, records in memory, the same scrypt through the hook that they offer",
    "gatehouse has no SCRAM flow yet: every login costs the server one scrypt",
  ],
});
