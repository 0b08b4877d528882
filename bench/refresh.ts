// Measures what it costs a server to issue a new access token for a refresh token: in band on the socket, and over HTTP.
import { setTimeout as pause } from "node:timers/promises";
import type { HoldJob, PacedJob, TalkJob } from "./load/conversations.ts";
import type { Post } from "./load/posts.ts";
import type { OpenedSession } from "./servers/gatehouse.ts";
import type { Child } from "./support/child.ts";
import {
  type Entrant,
  flag,
  option,
  type Running,
  startAll,
  startLoad,
  stopAll,
} from "./support/contenders.ts";
import { figure, type Latencies, ratios } from "./support/figures.ts";
import { httpContestant } from "./support/http-operations.ts";
import { profiled } from "./support/profile.ts";
import { report } from "./support/report.ts";
import { startBenchRedis } from "./support/start-redis.ts";
import { type Contestant, takeTurns } from "./support/turns.ts";

const ROUNDS = Number(option("rounds") ?? 7);
/** Every session refreshes once in a round. */
const SESSIONS = 2_000;
const IN_FLIGHT = 64;
const WARM_UPS = 8;
/**
 * Within 10 s of its last use a session that keeps its token is not written again; with this interval every refresh
 * writes.
 */
const EVERY_MS = 10_500;
const PER_SECOND = 300;

interface Measured {
  readonly seconds: number;
  readonly latencies: Latencies;
}

const { redis, absent: withoutRedis } = await startBenchRedis(["gatehouse uws, in band, Redis"]);
const gatehouse = (name: string, args: readonly string[]): Entrant => ({
  name,
  args,
  file: "gatehouse",
  dialect: "home-assistant",
});
const { running, absent } = await startAll([
  gatehouse("gatehouse uws", ["uws"]),
  gatehouse("gatehouse ws", ["ws"]),
  ...(redis === undefined
    ? []
    : [gatehouse("gatehouse redis", ["uws", JSON.stringify({ store: redis.url, store_timeout_ms: 5_000 })])]),
  { name: "oidc-provider, HTTP, rotating", file: "oidc-provider", dialect: "http", peer: true },
]);
const talkers = await startLoad("conversations");
const posters = await startLoad("posts");

interface Refresher extends Contestant {
  /** Measures latencies at a fixed rate. */
  readonly paced?: () => Promise<Latencies>;
}

async function inBand(name: string, server: Child, rotates: boolean): Promise<Refresher> {
  const opened = await server.ask<OpenedSession[]>("sessions", { n: SESSIONS, rotates });
  const job: HoldJob = {
    group: name,
    port: server.port,
    dialect: "home-assistant",
    language: "auth/refresh",
    tokens: opened.map(({ accessToken }) => accessToken),
    secrets: opened.map(({ refreshToken }) => refreshToken),
  };
  await talkers.ask("hold", job);
  const turn: TalkJob = { group: name, operations: SESSIONS, inFlight: IN_FLIGHT };
  const paced: PacedJob = { group: name, operations: SESSIONS, perSecond: PER_SECOND };
  return {
    name,
    server,
    run: async () => ({ operations: SESSIONS, ...(await talkers.ask<Measured>("talk", turn)) }),
    paced: async () => (await talkers.ask<Measured>("paced", paced)).latencies,
  };
}

async function overHttp(
  name: string,
  server: Child,
  tokens: readonly string[],
  rotates: boolean,
): Promise<Refresher> {
  const post = await server.ask<Post>("refresh");
  return httpContestant(posters, { name, server, post, tokens, inFlight: IN_FLIGHT, rotates });
}

async function gatehouseOverHttp(name: string, server: Child, rotates: boolean): Promise<Refresher> {
  const opened = await server.ask<OpenedSession[]>("sessions", { n: SESSIONS, rotates });
  const tokens = opened.map(({ refreshToken }) => refreshToken);
  return await overHttp(name, server, tokens, rotates);
}

async function refreshersOf({ entrant: { name }, server }: Running): Promise<readonly Refresher[]> {
  if (name === "gatehouse redis") return [await inBand("gatehouse uws, in band, Redis", server, false)];
  if (name === "gatehouse uws") {
    return [
      await inBand("gatehouse uws, in band", server, false),
      await inBand("gatehouse uws, in band, rotating", server, true),
      await gatehouseOverHttp("gatehouse uws, HTTP", server, false),
    ];
  }
  if (name === "gatehouse ws") {
    return [
      await inBand("gatehouse ws, in band", server, false),
      await gatehouseOverHttp("gatehouse ws, HTTP", server, false),
      await gatehouseOverHttp("gatehouse ws, HTTP, rotating", server, true),
    ];
  }
  return [await overHttp(name, server, await server.ask<string[]>("mint", { n: SESSIONS }), true)];
}

const refreshers: Refresher[] = [];
for (const one of running) refreshers.push(...(await refreshersOf(one)));
const turns = await takeTurns(refreshers, { warmUps: WARM_UPS, rounds: ROUNDS, everyMs: EVERY_MS });
if (flag("profile")) {
  await pause(EVERY_MS);
  for (const one of refreshers)
    console.log(await profiled(one.server, one.name, SESSIONS, async () => void (await one.run())));
}
const waits = new Map<Refresher, Latencies>();
for (const one of refreshers) {
  if (one.paced !== undefined) waits.set(one, await one.paced());
}
await stopAll(running);
await Promise.all([talkers.stop(), posters.stop(), redis?.server.stop()]);

const milliseconds = (value: number | undefined) => figure("ms", [value ?? Number.NaN]);
const cpuOf = (wanted: string) => {
  const found = refreshers.find(({ name }) => name === wanted);
  return found && figure("µs", turns.get(found)?.cpu ?? []);
};
const own = cpuOf("gatehouse uws, in band, rotating");
const peer = cpuOf("oidc-provider, HTTP, rotating");

report({
  question: "refresh",
  title: "Server CPU for one refresh",
  main: { column: "CPU/refresh", lessIsBetter: true },
  columns: ["CPU/refresh", "per core", "rate", "p50", "p99", "p99.9"],
  settings: {
    rounds: ROUNDS,
    sessions: SESSIONS,
    "in flight": IN_FLIGHT,
    "warm-ups": WARM_UPS,
    "for latencies": `${PER_SECOND} refreshes/s`,
  },
  contenders: refreshers.map((one) => ({
    name: one.name,
    version: one.server.version,
    figures: {
      "CPU/refresh": figure("µs", turns.get(one)?.cpu ?? []),
      "per core": figure(
        "/s",
        (turns.get(one)?.cpu ?? []).map((cost) => 1e6 / cost),
      ),
      rate: figure("/s", turns.get(one)?.rates ?? []),
      ...(one.paced === undefined
        ? {}
        : {
            p50: milliseconds(waits.get(one)?.p50),
            p99: milliseconds(waits.get(one)?.p99),
            "p99.9": milliseconds(waits.get(one)?.p999),
          }),
    },
  })),
  absent: [...absent, ...withoutRedis],
  // Both rotate the refresh token. The peer keeps its records in memory, Gatehouse on disk.
  thresholds:
    own === undefined || peer === undefined
      ? []
      : [
          {
            name: "oidc-provider, HTTP, rotating / gatehouse uws, in band, rotating",
            unit: "",
            values: ratios(peer, own),
            must: { atLeast: 1.3 },
            aim: 2,
          },
        ],
  remarks: [
    "every refresh signs an ES256 access token and writes the session (its last use; where it rotates its generation too)",
    "a session that keeps its refresh token is the default kind, Home Assistant's; no store but the embedded one where none is named",
  ],
});
