// Measures what a small command costs the server, as a round trip on an authenticated socket.
import type { HoldJob, PacedJob, TalkJob } from "./load/conversations.ts";
import {
  type Entrant,
  entrants,
  option,
  type Running,
  startAll,
  startLoad,
  stopAll,
} from "./support/contenders.ts";
import { type Figure, figure, type Latencies, ratios } from "./support/figures.ts";
import { report } from "./support/report.ts";
import { type Contestant, takeTurns } from "./support/turns.ts";

const ROUNDS = Number(option("rounds") ?? 9);
const WARM_UPS = 4;
/** Within the message rate of each socket. */
const SOCKETS = 256;
/** The length of Gatehouse's own tokens. */
const TOKEN_BYTES = 730;
const COMMANDS = 10_000;
const IN_FLIGHT = 64;
const PER_SECOND = 1_000;

interface Measured {
  readonly seconds: number;
  readonly latencies: Latencies;
}

const echo = (library: string): Entrant => ({
  name: `bare ${library}`,
  file: "echo",
  args: [library],
  dialect: "home-assistant",
});
/** All sockets are one user's, who would be over the message rate. Its check still comes with each command. */
function unlimited(entrant: Entrant): Entrant {
  const limits = { messages_per_second: 1_000_000, messages_per_second_per_user: 1_000_000 };
  return { ...entrant, args: [...(entrant.args ?? []), JSON.stringify({ limits })] };
}
/** The commands for each server. Gatehouse gets a second one, which looks up the user. */
const languages: Readonly<Record<string, readonly string[]>> = {
  gatehouse: ["ping", "auth/current_user"],
  echo: ["ping"],
  "socket-io": ["socket-io"],
  socketcluster: ["socketcluster"],
  "graphql-ws": ["graphql-ws"],
};

const { running, absent } = await startAll([
  echo("uws"),
  unlimited(entrants.gatehouseUws),
  echo("ws"),
  unlimited(entrants.gatehouseWs),
  entrants.socketIo,
  entrants.socketCluster,
  entrants.graphqlWs,
]);
const load = await startLoad("conversations");

interface Commander extends Contestant {
  paced(): Promise<Latencies>;
}

async function commander({ entrant, server }: Running, language: string): Promise<Commander> {
  const name = language === "auth/current_user" ? `${entrant.name}, ${language}` : entrant.name;
  const tokens = await server.ask<string[]>("mint", { n: SOCKETS, bytes: TOKEN_BYTES });
  const job: HoldJob = { group: name, port: server.port, dialect: entrant.dialect, tokens, language };
  await load.ask("hold", job);
  const turn: TalkJob = { group: name, operations: COMMANDS, inFlight: IN_FLIGHT };
  const paced: PacedJob = { group: name, operations: PER_SECOND * 3, perSecond: PER_SECOND };
  return {
    name,
    server,
    run: async () => ({ operations: COMMANDS, ...(await load.ask<Measured>("talk", turn)) }),
    paced: async () => (await load.ask<Measured>("paced", paced)).latencies,
  };
}

const commanders: Commander[] = [];
for (const one of running) {
  for (const language of languages[one.entrant.file] ?? []) commanders.push(await commander(one, language));
}
const turns = await takeTurns(commanders, { warmUps: WARM_UPS, rounds: ROUNDS });
const waits = new Map<Commander, Latencies>();
for (const one of commanders) waits.set(one, await one.paced());
await stopAll(running);
await load.stop();

const cost = (one: Commander): Figure => figure("µs", turns.get(one)?.cpu ?? []);
const milliseconds = (value: number | undefined) => figure("ms", [value ?? Number.NaN]);

function ratio(of: string, to: string) {
  const [a, b] = [of, to].map((name) => commanders.find((one) => one.name === name));
  return a === undefined || b === undefined
    ? []
    : [{ name: `${of} / ${to}`, unit: "", values: ratios(cost(a), cost(b)) }];
}

report({
  question: "command",
  title: "Server CPU for one command",
  main: { column: "CPU/command", lessIsBetter: true },
  columns: ["CPU/command", "rate", "p50", "p99", "p99.9"],
  settings: {
    rounds: ROUNDS,
    "warm-ups": WARM_UPS,
    commands: COMMANDS,
    sockets: SOCKETS,
    "in flight": IN_FLIGHT,
    "for latencies": `${PER_SECOND} commands/s`,
  },
  contenders: commanders.map((one) => ({
    name: one.name,
    version: one.server.version,
    figures: {
      "CPU/command": cost(one),
      rate: figure("/s", turns.get(one)?.rates ?? []),
      p50: milliseconds(waits.get(one)?.p50),
      p99: milliseconds(waits.get(one)?.p99),
      "p99.9": milliseconds(waits.get(one)?.p999),
    },
  })),
  absent,
  thresholds: [
    ...ratio("gatehouse uws", "bare uws"),
    ...ratio("gatehouse ws", "bare ws"),
    ...ratio("Socket.IO", "gatehouse uws"),
    ...ratio("SocketCluster", "gatehouse uws"),
    ...ratio("graphql-ws", "gatehouse uws"),
  ],
  remarks: [
    "bare: JSON.parse, JSON.stringify of the same answer, nothing else. Socket.IO: an event with an acknowledgement; SocketCluster: invoke; graphql-ws: one query, which it parses, validates and executes, answered by `next` and `complete`",
    "gatehouse: the frame's shape, its id, the message rate, the command's schema and a metric come with each; `auth/current_user` reads the user and its credentials too",
  ],
});
