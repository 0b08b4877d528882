// Measures what introspection (RFC 7662) and a refresh (RFC 6749 section 6) cost a server over HTTP.
import type { Post } from "./load/posts.ts";
import type { OpenedSession } from "./servers/gatehouse.ts";
import {
  type Entrant,
  flag,
  option,
  type Running,
  startAll,
  startLoad,
  stopAll,
} from "./support/contenders.ts";
import { type Figure, figure, ratios } from "./support/figures.ts";
import { httpContestant } from "./support/http-operations.ts";
import { isOnRedis, startOnRedis } from "./support/on-redis.ts";
import { profiled } from "./support/profile.ts";
import { report } from "./support/report.ts";
import type { Absent, Threshold } from "./support/result.ts";
import { type Contestant, takeTurns } from "./support/turns.ts";

const ROUNDS = Number(option("rounds") ?? (flag("quick") ? 3 : 7));
/** Each of them refreshes once, and each is introspected once, in a round. */
const SESSIONS = flag("quick") ? 500 : 2_000;
const IN_FLIGHT = 32;
const WARM_UPS = 6;
const AT_LEAST = 1.5;

type Operation = "introspection" | "refresh";

interface Row extends Contestant {
  readonly operation: Operation;
  readonly of: string;
}

const gatehouse = (transport: string): Entrant => ({
  name: `gatehouse ${transport}`,
  file: "gatehouse",
  args: [transport],
  dialect: "http",
});
const peer = (name: string, file: string, format: string): Entrant => ({
  name: `${name}, ${format}`,
  file,
  args: [format],
  dialect: "http",
  peer: true,
});

const alone = await startAll([
  gatehouse("uws"),
  gatehouse("ws"),
  peer("oidc-provider", "oidc-provider", "JWT"),
  peer("oidc-provider", "oidc-provider", "opaque"),
  peer("better-auth", "better-auth-oauth", "JWT"),
  peer("better-auth", "better-auth-oauth", "opaque"),
]);
const onRedis = await startOnRedis([
  [gatehouse("uws"), (store) => JSON.stringify({ store, store_timeout_ms: 5_000 })],
  [gatehouse("ws"), (store) => JSON.stringify({ store, store_timeout_ms: 5_000 })],
  [peer("oidc-provider", "oidc-provider", "JWT"), (url) => url],
  [peer("oidc-provider", "oidc-provider", "opaque"), (url) => url],
]);
const running = [...alone.running, ...onRedis.running];
const absent = [...alone.absent, ...onRedis.absent];
const posters = await startLoad("posts");

interface Tokens {
  readonly access: readonly string[];
  readonly refresh: readonly string[];
}

async function tokensOf({ entrant, server }: Running): Promise<Tokens> {
  const n = SESSIONS;
  if (entrant.peer) {
    const access = await server.ask<string[]>("access-tokens", { n });
    return { access, refresh: await server.ask<string[]>("mint", { n }) };
  }
  const opened = await server.ask<OpenedSession[]>("sessions", { n, rotates: true });
  return {
    access: opened.map(({ accessToken }) => accessToken),
    refresh: opened.map(({ refreshToken }) => refreshToken),
  };
}

/** It refuses them: "Structured JWT Tokens cannot be introspected". */
const isNotIntrospected = (name: string) => /^oidc-provider, JWT/.test(name);

async function rowsOf(one: Running): Promise<Row[]> {
  const { server, entrant } = one;
  const tokens = await tokensOf(one);
  const about = { server, inFlight: IN_FLIGHT };
  const row = (operation: Operation, contestant: Contestant): Row => ({
    ...contestant,
    operation,
    of: entrant.name,
  });
  const refresh = httpContestant(posters, {
    ...about,
    name: `${entrant.name}, refresh`,
    post: await server.ask<Post>("refresh"),
    tokens: tokens.refresh,
    rotates: true,
    contains: '"access_token":',
  });
  if (isNotIntrospected(entrant.name)) return [row("refresh", refresh)];
  const introspection = httpContestant(posters, {
    ...about,
    name: `${entrant.name}, introspection`,
    post: await server.ask<Post>("introspection"),
    tokens: tokens.access,
    contains: '"active":true',
  });
  return [row("introspection", introspection), row("refresh", refresh)];
}

const rows: Row[] = [];
for (const one of running) rows.push(...(await rowsOf(one)));
rows.sort((a, b) => a.operation.localeCompare(b.operation));
const turns = await takeTurns(rows, { warmUps: WARM_UPS, rounds: ROUNDS });
if (flag("profile")) {
  for (const one of rows)
    console.log(await profiled(one.server, one.name, SESSIONS, async () => void (await one.run())));
}
await stopAll(running);
await onRedis.stop();
await posters.stop();

const cpuOf = (row: Row): Figure => figure("µs", turns.get(row)?.cpu ?? []);

/**
 * How many times the requests a core serves, compared with peers that store where it does: on Redis, or not. Two rows are
 * shown, and nothing is demanded of them. An opaque access token is signed by nobody. oidc-provider in memory is a set-up
 * for development, as its documentation says: its refresh stores nothing that outlives the process.
 */
function thresholdsFor(own: Row): Threshold[] {
  return rows
    .filter(({ operation, of }) => operation === own.operation && !of.startsWith("gatehouse"))
    .filter(({ of }) => isOnRedis(of) === isOnRedis(own.of))
    .map((other) => ({
      name: `requests for a second of server CPU, ${own.name} / ${other.of}`,
      unit: "",
      values: ratios(cpuOf(other), cpuOf(own)),
      ...(own.operation === "refresh" && isUnlike(other.of) ? {} : { must: { atLeast: AT_LEAST } }),
    }));
}

/** Its refresh does less than ours. */
function isUnlike(name: string): boolean {
  return name.includes("opaque") || (name.startsWith("oidc-provider") && !isOnRedis(name));
}

const refused: Absent[] = running
  .filter(({ entrant: { name } }) => isNotIntrospected(name))
  .map(({ entrant: { name } }) => ({
    name: `${name}, introspection`,
    reason: "it does not introspect JWTs",
  }));

report({
  question: "http",
  title: "Server CPU for one OAuth request over HTTP",
  main: { column: "CPU/request", lessIsBetter: true },
  columns: ["CPU/request", "per core", "rate"],
  settings: {
    rounds: ROUNDS,
    requests: `${SESSIONS} a round`,
    "in flight": IN_FLIGHT,
    "warm-ups": WARM_UPS,
  },
  contenders: rows.map((row) => ({
    name: row.name,
    version: row.server.version,
    figures: {
      "CPU/request": cpuOf(row),
      "per core": figure(
        "/s",
        cpuOf(row).values.map((cost) => 1e6 / cost),
      ),
      rate: figure("/s", turns.get(row)?.rates ?? []),
    },
  })),
  absent: [...absent, ...refused],
  thresholds: rows.filter(({ of }) => of.startsWith("gatehouse")).flatMap(thresholdsFor),
  remarks: [
    "every refresh rotates the refresh token; gatehouse signs an ES256 access token, as the peers do for a JWT",
    "on Redis: the CPU of the Redis counts too; each has one of its own, without persistence",
    "the others: gatehouse writes each refresh to disk before it answers; oidc-provider has maps and better-auth SQLite, in memory",
    "gatehouse uws ends each connection after its answer, so each of its requests pays for a new one",
  ],
});
