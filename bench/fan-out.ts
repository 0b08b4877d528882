// Measures what it costs the server to hand one message to one subscriber, when many have subscribed.
import type { PublishJob, SubscribeJob } from "./load/subscribers.ts";
import type { Child } from "./support/child.ts";
import { absentFor, type Entrant, entrants, option, select, start, startLoad } from "./support/contenders.ts";
import { type Figure, figure, ratios } from "./support/figures.ts";
import { minted } from "./support/minting.ts";
import { report } from "./support/report.ts";
import type { Absent } from "./support/result.ts";

const ROUNDS = Number(option("rounds") ?? 7);
const WARM_UPS = 2;
const SOCKETS = Number(option("sockets") ?? 10_000);
const BURST = 16;
const TOKEN_BYTES = 730;
const GROUP = "subscribers";

const TOPICS = 1_000;

interface Shape {
  /** To the one topic that all sockets subscribe to. Otherwise to 1,000 topics in turn. */
  readonly toAll: boolean;
  /** Messages of one round. */
  readonly messages: number;
  readonly burst: number;
}
const shapes: Readonly<Record<string, Shape>> = {
  "one topic, one by one": { toAll: true, messages: 16, burst: 1 },
  [`one topic, bursts of ${BURST}`]: { toAll: true, messages: 2 * BURST, burst: BURST },
  [`1,000 topics, bursts of ${BURST}`]: { toAll: false, messages: 500 * BURST, burst: BURST },
};
const columns = Object.keys(shapes);

const bare = (library: string): Entrant => ({
  name: `bare ${library}`,
  file: "publish",
  args: [library],
  dialect: "home-assistant",
});
/** Without the limits of what one client and one user may do: all sockets are the owner's. */
const unlimited = JSON.stringify({
  limits: {
    unauthenticated_per_address: 100_000,
    sockets_per_user: 100_000,
    sessions_per_user: 1_000_000,
    messages_per_second: 1_000_000,
    messages_per_second_per_user: 1_000_000,
  },
  topics: { subscriptions_per_user: 1_000_000 },
});
/** Rights that are decided on for each message. */
const POLICIES = 100;
const withPolicies = `gatehouse uws, ${POLICIES} policies`;
const gatehouse = (entrant: Entrant): Entrant => ({ ...entrant, args: [...(entrant.args ?? []), unlimited] });
const languages: Readonly<Record<string, string>> = {
  publish: "bare",
  gatehouse: "gatehouse",
  "socket-io": "socket-io",
  "socket-io-uws": "socket-io",
  nats: "nats",
  mosquitto: "mosquitto",
};

interface Contestant {
  readonly entrant: Entrant;
  readonly server: Child;
  readonly load: Child;
}

async function prepare(entrant: Entrant): Promise<Contestant> {
  const server = await start(entrant);
  const load = await startLoad("subscribers");
  try {
    const [publisherToken = "", ...own] = await minted(server, SOCKETS + 1, TOKEN_BYTES);
    const tokens =
      entrant.name === withPolicies
        ? await server.ask<string[]>("members", { n: SOCKETS, groups: POLICIES })
        : own;
    const job: SubscribeJob = {
      group: GROUP,
      port: server.port,
      dialect: entrant.dialect,
      language: languages[entrant.file] ?? "",
      tokens,
      topics: TOPICS,
      publisherToken,
    };
    await load.ask("subscribe", job);
    await server.ask("settle");
    return { entrant, server, load };
  } catch (error) {
    await load.stop();
    await server.stop();
    throw error;
  }
}

async function round({ server, load }: Contestant, column: string): Promise<number> {
  const shape = shapes[column];
  if (shape === undefined) throw new Error(`no shape ${column}`);
  const job: PublishJob = { group: GROUP, ...shape };
  await server.ask("quiet");
  const before = server.cpuSeconds();
  const { deliveries } = await load.ask<{ deliveries: number }>("publish", job);
  await server.ask("quiet");
  return ((server.cpuSeconds() - before) / deliveries) * 1e6;
}

const wanted = [
  bare("uws"),
  gatehouse(entrants.gatehouseUws),
  { ...gatehouse(entrants.gatehouseUws), name: withPolicies },
  bare("ws"),
  gatehouse(entrants.gatehouseWs),
  entrants.socketIo,
  entrants.socketIoUws,
  entrants.mosquitto,
  entrants.natsToken,
];
const { asked, absent: withoutPackages } = select(wanted);
const absent: Absent[] = [...withoutPackages];
const contestants: Contestant[] = [];
for (const entrant of asked) {
  try {
    contestants.push(await prepare(entrant));
  } catch (error) {
    absent.push(absentFor(entrant, error));
  }
}
const costs = new Map(
  contestants.map((one) => [one, new Map(columns.map((column) => [column, [] as number[]]))]),
);
for (let nth = -WARM_UPS; nth < ROUNDS; nth += 1) {
  for (const [one, byColumn] of costs) {
    try {
      for (const [column, values] of byColumn) {
        const cost = await round(one, column);
        if (nth >= 0) values.push(cost);
      }
    } catch (error) {
      absent.push(absentFor(one.entrant, error));
      costs.delete(one);
    }
  }
}
for (const { load, server } of contestants) {
  await load.stop();
  await server.stop();
}

const figureOf = (name: string, column: string): Figure | undefined => {
  const [, byColumn] = [...costs].find(([{ entrant }]) => entrant.name === name) ?? [];
  const values = byColumn?.get(column);
  return values && figure("µs", values);
};
const threshold = (of: string, to: string, atMost?: number) =>
  columns.slice(0, 2).flatMap((column) => {
    const [a, b] = [figureOf(of, column), figureOf(to, column)];
    if (a === undefined || b === undefined) return [];
    return [
      {
        name: `${of} / ${to}, ${column}`,
        unit: "",
        values: ratios(a, b),
        ...(atMost === undefined ? {} : { must: { atMost } }),
      },
    ];
  });

report({
  question: "fan-out",
  title: "Server CPU for one delivery of a published message",
  main: { column: columns[0] ?? "", lessIsBetter: true },
  columns,
  settings: {
    rounds: ROUNDS,
    "warm-ups": WARM_UPS,
    sockets: `${SOCKETS}, each with a subscription to the one topic and to one of ${TOPICS}`,
    message: "about 100 bytes of JSON, published by another client of the same server",
  },
  contenders: [...costs.keys()].map(({ entrant, server }) => ({
    name: entrant.name,
    version: server.version,
    figures: Object.fromEntries(
      columns.flatMap((column) => {
        const found = figureOf(entrant.name, column);
        return found === undefined ? [] : [[column, found]];
      }),
    ),
  })),
  absent,
  thresholds: [
    ...threshold(withPolicies, "gatehouse uws"),
    ...threshold("gatehouse uws", "bare uws", 1.5),
    ...threshold("gatehouse ws", "bare ws", 1.2),
    ...threshold("gatehouse uws", "mosquitto, password", 1),
    ...threshold("gatehouse uws", "nats-server, token", 1),
  ],
  remarks: [
    `Gatehouse decides for each message who may read it, once for all sockets of the same rights: one decision, or ${POLICIES} with so many policies. What these cost is the difference between its two lines. The others ask for nobody's rights`,
    "all sockets are of one server process; the publisher waits until all subscribers have a message, or a burst, before it sends the next",
  ],
});
