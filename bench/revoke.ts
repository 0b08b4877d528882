// Measures how long after the commit of a revocation its sockets are closed, on the same node and on another one.
import { randomBytes } from "node:crypto";
import type { ClosesJob, HoldJob } from "./load/conversations.ts";
import type { OpenedSession, RevokeTimes } from "./servers/gatehouse.ts";
import type { Child } from "./support/child.ts";
import { type Entrant, option, startAll, startLoad, stopAll } from "./support/contenders.ts";
import { ascending, type Figure, figure, percentile } from "./support/figures.ts";
import { report } from "./support/report.ts";
import type { Contender, Threshold } from "./support/result.ts";
import { startBenchRedis } from "./support/start-redis.ts";

const SIZES = (option("sockets") ?? "1000,10000").split(",").map(Number);
/** Sessions that are revoked one after the other, each with one socket, beside the others. */
const SINGLES = 300;
/** Each has half of the sockets, with a session for each; revoked as a whole. */
const USERS = 2;
/** Before the next revoke, the revoked socket's TCP connection is gone, and the machine's work for it is done. */
const PAUSE_MS = 5;

const secret = randomBytes(32).toString("hex");
const { redis, absent: withoutRedis } = await startBenchRedis(["two nodes, Redis"]);
const node = (name: string, transport: string, otherwise: object = {}): Entrant => ({
  name,
  file: "gatehouse",
  dialect: "home-assistant",
  args: [transport, JSON.stringify(otherwise)],
});
const shared = { store: redis?.url, secret, public_url: "http://127.0.0.1:8123", store_timeout_ms: 5_000 };
const { running, absent } = await startAll([
  node("one node", "uws"),
  node("one node, ws", "ws"),
  ...(redis === undefined ? [] : [node("node A", "uws", shared), node("node B", "uws", shared)]),
]);
const load = await startLoad("conversations");
const serverOf = (name: string) => running.find(({ entrant }) => entrant.name === name)?.server;

interface Case {
  readonly name: string;
  /** The node that revokes, and the node that has the sockets. */
  readonly revokes: Child;
  readonly holds: Child;
  readonly sockets: number;
}

/** Milliseconds to the close frame at the client: of every socket, and of the last socket of every revocation. */
interface Delays {
  readonly sinceCommit: number[];
  readonly sinceCall: number[];
  readonly last: number[];
}

const none = (): Delays => ({ sinceCommit: [], sinceCall: [], last: [] });

function add(delays: Delays, times: RevokeTimes, closed: readonly number[]): void {
  delays.sinceCommit.push(...closed.map((at) => at - times.committed));
  delays.sinceCall.push(...closed.map((at) => at - times.called));
  delays.last.push(Math.max(...closed) - times.committed);
}

/** The users' sockets first, then those of the owner, whose sessions are revoked one by one. */
async function holdAll({ name, holds, sockets }: Case) {
  const users: string[] = [];
  const sessions: OpenedSession[] = [];
  for (let nth = 0; nth < USERS; nth += 1) {
    const userId = await holds.ask<string>("user");
    users.push(userId);
    sessions.push(...(await holds.ask<OpenedSession[]>("sessions", { n: sockets / USERS, userId })));
  }
  sessions.push(...(await holds.ask<OpenedSession[]>("sessions", { n: SINGLES })));
  const tokens = sessions.map(({ accessToken }) => accessToken);
  const job: HoldJob = { group: name, port: holds.port, dialect: "home-assistant", tokens };
  await load.ask("hold", job);
  return { users, sessions };
}

async function measure(one: Case): Promise<{ readonly single: Delays; readonly whole: Delays }> {
  const { name: group, revokes, sockets } = one;
  const { users, sessions } = await holdAll(one);
  const closes = (from: number, to: number) =>
    load.ask<number[]>("closes", { group, from, to } satisfies ClosesJob);
  const [single, whole] = [none(), none()];
  // The first ones only warm up the compiler.
  const warmUp = SINGLES / 10;
  for (let at = sockets; at < sockets + SINGLES; at += 1) {
    const times = await revokes.ask<RevokeTimes>("revoke", { sessionId: sessions[at]?.id });
    const closed = await closes(at, at + 1);
    if (at >= sockets + warmUp) add(single, times, closed);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  for (const [nth, userId] of users.entries()) {
    const times = await revokes.ask<RevokeTimes>("revoke", { userId });
    const each = sockets / USERS;
    add(whole, times, await closes(nth * each, (nth + 1) * each));
  }
  await load.ask("drop", { group });
  return { single, whole };
}

function casesOf(sockets: number): Case[] {
  const [alone, aloneWs, a, b] = ["one node", "one node, ws", "node A", "node B"].map(serverOf);
  const about = (name: string) => `${name}, ${sockets.toLocaleString("en-US")} sockets`;
  return [
    ...(alone === undefined ? [] : [{ name: about("same node"), revokes: alone, holds: alone, sockets }]),
    ...(aloneWs === undefined
      ? []
      : [{ name: about("same node, ws"), revokes: aloneWs, holds: aloneWs, sockets }]),
    ...(a === undefined || b === undefined
      ? []
      : [{ name: about("other node"), revokes: a, holds: b, sockets }]),
  ];
}

const milliseconds = (values: readonly number[]): Figure => figure("ms", values);

function figuresOf({ sinceCommit, sinceCall, last }: Delays): Contender["figures"] {
  const [commit, call] = [ascending(sinceCommit), ascending(sinceCall)];
  return {
    p50: milliseconds([percentile(commit, 0.5)]),
    p99: milliseconds([percentile(commit, 0.99)]),
    max: milliseconds([commit.at(-1) ?? Number.NaN]),
    "p99 since the call": milliseconds([percentile(call, 0.99)]),
    "sockets closed": figure("", [commit.length]),
    "last socket": milliseconds(last),
  };
}

const contenders: Contender[] = [];
const thresholds: Threshold[] = [];
for (const one of SIZES.flatMap(casesOf)) {
  const { single, whole } = await measure(one);
  const { version } = one.holds;
  contenders.push({ name: `${one.name}: one session`, version, figures: figuresOf(single) });
  contenders.push({ name: `${one.name}: all of a user`, version, figures: figuresOf(whole) });
  const other = one.revokes !== one.holds;
  thresholds.push(
    {
      name: `${one.name}: one session, p99`,
      unit: " ms",
      values: [percentile(ascending(single.sinceCommit), 0.99)],
      must: { atMost: other ? 50 : 10 },
    },
    {
      name: `${one.name}: last of a user's ${(one.sockets / USERS).toLocaleString("en-US")} sockets`,
      unit: " ms",
      values: whole.last,
      must: { atMost: 1_000 },
    },
  );
}
await stopAll(running);
await Promise.all([load.stop(), redis?.server.stop()]);

report({
  question: "revoke",
  title: "From the commit of a revocation to the close at the client",
  main: { column: "p99", lessIsBetter: true },
  columns: ["p50", "p99", "max", "p99 since the call", "last socket", "sockets closed"],
  settings: { "one by one": SINGLES, users: USERS, "sockets a session": 1 },
  contenders,
  absent: [...absent, ...withoutRedis],
  thresholds,
  remarks: [
    "the commit: when the store has acknowledged it to the node that revokes; since the call: with the commit's own time, on disk where the store is embedded",
    "the close: when the close frame is in the client's hands; all clients are one process, which needs its time for thousands of them",
    "below 0: the other node read the revocation in the log before the node that revoked heard of its own commit",
  ],
});
