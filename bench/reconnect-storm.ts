// All clients of a server lose their sockets at once and reconnect. Measures how long that takes, and how it affects
// other clients.
import type { Clients, Storm, StormOutcome } from "./load/storm.ts";
import type { Survivors, Watched } from "./load/survivors.ts";
import type { Child } from "./support/child.ts";
import { absentFor, type Entrant, entrants, option, select, start, startLoad } from "./support/contenders.ts";
import { type Figure, figure, median } from "./support/figures.ts";
import { minted } from "./support/minting.ts";
import { report } from "./support/report.ts";
import type { Absent, Threshold } from "./support/result.ts";

const ROUNDS = Number(option("rounds") ?? 3);
const CLIENTS = Number(option("clients") ?? 10_000);
/** Spread of the first attempts, ms: the first ceiling of the SDK's back-off. */
const SPREAD_MS = Number(option("spread") ?? 500);
const SURVIVORS = 100;
const PINGS_PER_SECOND = 200;
const WITHIN_MS = 30_000;
const TOKEN_BYTES = 730;

/** What the survivors send. A server that is missing here has no control group. */
const languages: Readonly<Record<string, string>> = {
  "home-assistant": "ping",
  "socket-io": "socket-io",
  socketcluster: "socketcluster",
  "graphql-ws": "graphql-ws",
};

interface Round extends StormOutcome {
  readonly version: string;
  /** Server CPU from the drop until all were back, microseconds for one client. */
  readonly cost: number;
  readonly survivors?: Watched;
  /** A client that connects after the storm is authenticated. */
  readonly alive: boolean;
}

/** The same clients, with their tokens, go through one storm after the other. */
async function storms(entrant: Entrant, rounds: number): Promise<Round[]> {
  const children: Child[] = [];
  const started = async (child: Promise<Child>) => {
    const one = await child;
    children.push(one);
    return one;
  };
  try {
    const server = await started(start(entrant));
    const crowd = await started(startLoad("storm"));
    const control = await started(startLoad("survivors"));
    const { port, version } = server;
    const { dialect } = entrant;
    const clients: Clients = { port, dialect, tokens: await minted(server, CLIENTS, TOKEN_BYTES) };
    const language = languages[dialect];
    if (language !== undefined) {
      const tokens = await minted(server, SURVIVORS, TOKEN_BYTES);
      const group: Survivors = { port, dialect, language, tokens, perSecond: PINGS_PER_SECOND };
      await control.ask("hold", group);
    }
    await server.ask("settle");
    await crowd.ask("hold", clients);
    // The first one warms up.
    await storm(server, crowd);
    const measured: Round[] = [];
    for (let round = 0; round < rounds; round += 1) {
      if (language !== undefined) await control.ask("begin");
      const outcome = await storm(server, crowd);
      const survivors = language === undefined ? {} : { survivors: await control.ask<Watched>("end") };
      measured.push({ ...outcome, ...survivors, version, alive: await isAlive(server, entrant) });
    }
    return measured;
  } finally {
    for (const child of children) await child.stop();
  }
}

async function storm(server: Child, crowd: Child): Promise<StormOutcome & { readonly cost: number }> {
  const before = server.cpuSeconds();
  const details: Storm = { withinMs: WITHIN_MS, spreadMs: SPREAD_MS };
  const outcome = await crowd.ask<StormOutcome>("storm", details);
  await server.ask("quiet");
  return { ...outcome, cost: ((server.cpuSeconds() - before) / CLIENTS) * 1e6 };
}

async function isAlive(server: Child, { dialect }: Entrant): Promise<boolean> {
  const newcomer = await startLoad("storm");
  try {
    const one: Clients = { port: server.port, dialect, tokens: await minted(server, 1, TOKEN_BYTES) };
    await newcomer.ask("hold", one);
    return true;
  } catch {
    return false;
  } finally {
    await newcomer.stop();
  }
}

const { asked, absent: withoutPackages } = select(Object.values(entrants));
const absent: Absent[] = [...withoutPackages];
const rounds = new Map<Entrant, Round[]>();
for (const entrant of asked) {
  try {
    rounds.set(entrant, await storms(entrant, entrant.peer === true ? 1 : ROUNDS));
  } catch (error) {
    absent.push(absentFor(entrant, error));
  }
}

const seconds = (values: readonly (number | null)[]): Figure =>
  figure(
    "s",
    values.map((value) => value ?? Number.POSITIVE_INFINITY),
  );
const survivorsOf = (of: readonly Round[]) => of.flatMap(({ survivors }) => survivors ?? []);

/** Summed over all rounds. */
function tallied(of: readonly Round[]): [string, number][] {
  const sums = new Map<string, number>();
  for (const [reason, count] of of.flatMap(({ failures }) => Object.entries(failures)))
    sums.set(reason, (sums.get(reason) ?? 0) + count);
  return [...sums];
}

const roundsOf = (wanted: Entrant) => [...rounds].find(([{ name }]) => name === wanted.name)?.[1];

/**
 * Ratios to bare servers in the same run, which neither a slow machine nor the load generator's own pace moves. Times of the
 * storm are compared with the same transport. The pings of others are compared with bare ws on both transports: what they
 * wait for is the work in front of them, and bare uws has next to none.
 */
function ratiosOf({ name }: Entrant, of: readonly Round[]): Threshold[] {
  const same = name === entrants.gatehouseUws.name ? entrants.bareUws : entrants.bareWs;
  const compared = (what: string, to: Entrant, values: (rounds: readonly Round[]) => readonly number[]) => {
    const others = roundsOf(to);
    if (others === undefined) return [];
    const ratio = median(values(of)) / median(values(others));
    return [{ name: `${name} / ${to.name}: ${what}`, unit: "", values: [ratio], must: { atMost: 1.5 } }];
  };
  return [
    ...compared("all are back", same, (rounds) => seconds(rounds.map(({ all }) => all)).values),
    ...compared("p99 of their authentication", same, (rounds) => rounds.map(({ authP99 }) => authP99)),
    ...compared("p99 of the others' pings", entrants.bareWs, (rounds) =>
      survivorsOf(rounds).map(({ p99 }) => p99),
    ),
  ];
}

function thresholdsOf([entrant, of]: [Entrant, readonly Round[]]): Threshold[] {
  const { name, file } = entrant;
  if (file !== "gatehouse") return [];
  const number = CLIENTS.toLocaleString("en-US");
  const survivors = survivorsOf(of);
  const lost = [
    ...of.map(({ back, alive }) => CLIENTS - back + (alive ? 0 : 1)),
    ...survivors.map((one) => one.lost),
  ];
  return [
    {
      name: `${name}: ${number} clients are back`,
      unit: " s",
      values: seconds(of.map(({ all }) => all)).values,
      must: { atMost: 10 },
    },
    ...ratiosOf(entrant, of),
    {
      name: `${name}: clients that did not come back, others who lost their socket`,
      unit: "",
      values: [lost.reduce((sum, some) => sum + some, 0)],
      must: { atMost: 0 },
    },
  ];
}

report({
  question: "reconnect-storm",
  title: `${CLIENTS.toLocaleString("en-US")} clients lose their sockets at once and come back`,
  main: { column: "all back", lessIsBetter: true },
  columns: ["half back", "99 % back", "all back", "auth p99", "others' p99", "failed tries", "CPU/client"],
  settings: {
    rounds: ROUNDS,
    "rounds of peers": 1,
    clients: CLIENTS,
    "first attempts within": `${SPREAD_MS} ms`,
    others: `${SURVIVORS} sockets, ${PINGS_PER_SECOND} pings/s`,
    "given up after": `${WITHIN_MS / 1000} s`,
  },
  contenders: [...rounds].map(([{ name }, of]) => ({
    name,
    version: of[0]?.version ?? "",
    figures: {
      "half back": seconds(of.map(({ half }) => half)),
      "99 % back": seconds(of.map(({ most }) => most)),
      "all back": seconds(of.map(({ all }) => all)),
      "auth p99": figure(
        "ms",
        of.map(({ authP99 }) => authP99),
      ),
      ...(survivorsOf(of).length === 0
        ? {}
        : {
            "others' p99": figure(
              "ms",
              survivorsOf(of).map(({ p99 }) => p99),
            ),
          }),
      "failed tries": figure(
        "",
        of.map(({ failures }) => Object.values(failures).reduce((sum, count) => sum + count, 0)),
      ),
      "CPU/client": figure(
        "µs",
        of.map(({ cost }) => cost),
      ),
    },
  })),
  absent,
  thresholds: [...rounds].flatMap(thresholdsOf),
  remarks: [
    "all are dropped in the same tick; whose attempt fails tries again after up to 1 s; times count from the drop",
    ...[...rounds].flatMap(([{ name }, of]) =>
      tallied(of).map(([reason, count]) => `${name}, failed tries: ${count} times ${reason}`),
    ),
    "the others are sockets that stay, in a process of their own; their latencies count from when a ping was due",
  ],
});
