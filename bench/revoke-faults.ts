// Measures how long a socket is still served after the answer to its revoke, without a fault and under each of many
// faults.
import { readFileSync } from "node:fs";
import type { DeploymentOptions } from "../test/chaos/deployment.ts";
import { type DirectedRun, nodeAt, startDirectedRun } from "../test/chaos/directed-run.ts";
import type { Fault } from "../test/chaos/schedule.ts";
import { SetClock } from "../test/support/set-clock.ts";
import { option } from "./support/contenders.ts";
import { ascending, type Figure, figure, percentile } from "./support/figures.ts";
import { report } from "./support/report.ts";
import type { Absent, Contender, Threshold } from "./support/result.ts";
import { type Delay, type Episode, play } from "./support/revocation-episode.ts";

const EPISODES = Number(option("rounds") ?? 3);
const SOCKETS = 12;
/** The number of revokes in episodes without waiting. */
const HEALTHY = 32;
/** Longer than the bound, counted from the last revoke during the fault. */
const FAULT_MS = 5_000;
const RESET_EVERY_MS = 150;
const MOVED_MS = 3_600_000;

type Heal = () => Promise<unknown>;

interface Condition {
  readonly name: string;
  readonly episode: Episode;
  readonly injectFault?: (run: DirectedRun) => Promise<Heal>;
  /** The fault changes the store for good, so it is run once. */
  readonly once?: true;
}

/** Conditions that run one after the other on the same nodes and the same store. */
interface Setting {
  readonly deployment: Omit<DeploymentOptions, "storeTimeoutMs">;
  readonly conditions: readonly Condition[];
}

const healthy: Episode = { revokeAt: 0, holdAt: 1, sockets: HEALTHY, everyMs: 5 };
const cutOff: Episode = { revokeAt: 0, holdAt: 1, sockets: SOCKETS, everyMs: 100, lastsMs: FAULT_MS };
const disturbed: Episode = { ...cutOff, everyMs: 150, lastsMs: 2_000 };
/** Some are revoked just before the store dies, the others once it is back. */
const storeGone: Episode = { ...disturbed, early: SOCKETS / 2, everyMs: 0, lastsMs: 1_000, late: true };

const inflict = (fault: Fault) => (run: DirectedRun) => run.deployment.injectFault(fault);

async function resetAgainAndAgain({ deployment }: DirectedRun): Promise<Heal> {
  const resetting = setInterval(
    () => void deployment.injectFault({ kind: "reset", node: 1 }),
    RESET_EVERY_MS,
  );
  return async () => clearInterval(resetting);
}

const clock = new SetClock();

function moveClock(byMs: number): () => Promise<Heal> {
  return async () => {
    clock.offsetMs = byMs;
    return async () => {
      clock.offsetMs = 0;
    };
  };
}

const settings: readonly Setting[] = [
  {
    deployment: { shape: "embedded", nodes: 1 },
    conditions: [{ name: "healthy, embedded store", episode: { ...healthy, holdAt: 0 } }],
  },
  {
    deployment: { shape: "standalone", nodes: 2 },
    conditions: [
      { name: "healthy, same node", episode: { ...healthy, holdAt: 0 } },
      { name: "healthy, other node", episode: healthy },
      {
        name: "link to Redis 100 ms late",
        episode: disturbed,
        injectFault: inflict({ kind: "delay", node: 1, ms: 100 }),
      },
      { name: "connections reset, again and again", episode: disturbed, injectFault: resetAgainAndAgain },
      {
        name: "black hole, both ways",
        episode: cutOff,
        injectFault: inflict({ kind: "black_hole", node: 1, direction: "both" }),
      },
      {
        name: "black hole, to the node",
        episode: cutOff,
        injectFault: inflict({ kind: "black_hole", node: 1, direction: "toClient" }),
      },
      {
        name: "black hole, from the node",
        episode: cutOff,
        injectFault: inflict({ kind: "black_hole", node: 1, direction: "toServer" }),
      },
      {
        name: "node stopped and woken",
        episode: cutOff,
        injectFault: inflict({ kind: "pause", node: 1 }),
      },
      {
        name: "Redis killed and started again",
        episode: storeGone,
        injectFault: inflict({ kind: "store_restart" }),
      },
    ],
  },
  {
    deployment: { shape: "standalone", nodes: 2, embedded: (node) => (node === 1 ? { clock } : {}) },
    conditions: [
      { name: "node's clock an hour ahead", episode: disturbed, injectFault: moveClock(MOVED_MS) },
      { name: "node's clock an hour behind", episode: disturbed, injectFault: moveClock(-MOVED_MS) },
    ],
  },
  {
    deployment: { shape: "split", nodes: 2 },
    conditions: [
      {
        name: "primary killed, Sentinel failover",
        episode: { ...cutOff, sockets: EPISODES * SOCKETS, early: SOCKETS, everyMs: 0 },
        injectFault: inflict({ kind: "primary_kill" }),
        once: true,
      },
    ],
  },
  {
    deployment: { shape: "split", nodes: 2 },
    conditions: [
      {
        name: "network split, old primary on its side",
        episode: { ...cutOff, sockets: EPISODES * SOCKETS },
        injectFault: inflict({ kind: "isolated_primary" }),
        once: true,
      },
    ],
  },
];

/** The bound that the node with the sockets reports, ms. */
async function boundOf({ context }: DirectedRun, { holdAt }: Episode): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${nodeAt(context, holdAt).port}/readyz`);
  const { revocation_bound_s: seconds } = (await answer.json()) as { revocation_bound_s: number | null };
  if (seconds === null) throw new Error("the node gives no bound");
  return seconds * 1_000;
}

interface Measured {
  readonly condition: Condition;
  readonly boundMs: number;
  readonly delays: readonly Delay[];
}

async function measure(run: DirectedRun, condition: Condition): Promise<Measured> {
  const { episode, injectFault: begin } = condition;
  const boundMs = await boundOf(run, episode);
  const delays: Delay[] = [];
  for (let time = 0; time < (condition.once ? 1 : EPISODES); time += 1)
    delays.push(...(await play(run, episode, begin && (() => begin(run)))));
  return { condition, boundMs, delays };
}

const only = option("only")?.split(",");
const isAsked = ({ name }: Condition) => only?.some((text) => name.includes(text)) ?? true;
const measured: Measured[] = [];
const absent: Absent[] = [];

const startRun = (deployment: Setting["deployment"]) =>
  startDirectedRun({
    ...deployment,
    config: { limits: { messages_per_second: 5_000, messages_per_second_per_user: 5_000 } },
  });

async function measureAll({ deployment, conditions }: Setting): Promise<void> {
  const run = await startRun(deployment).catch((error: unknown) => {
    const reason = String((error as Error).message).split("\n")[0] ?? "";
    absent.push(...conditions.map(({ name }) => ({ name, reason })));
  });
  if (run === undefined) return;
  const stop = () => void run.dispose().finally(() => process.exit(1));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop);
  try {
    for (const condition of conditions) measured.push(await measure(run, condition));
  } finally {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, stop);
    await run.dispose();
  }
}

for (const setting of settings) {
  const conditions = setting.conditions.filter(isAsked);
  if (conditions.length > 0) await measureAll({ ...setting, conditions });
}

const milliseconds = (value: number): Figure => figure("ms", [value]);

function figuresOf({ boundMs, delays }: Measured): Contender["figures"] {
  const effective = ascending(delays.map((delay) => delay.effective));
  const closed = ascending(delays.map((delay) => delay.closed));
  const afterwards = delays.flatMap((delay) => delay.afterwards ?? []);
  return {
    p50: milliseconds(percentile(effective, 0.5)),
    p99: milliseconds(percentile(effective, 0.99)),
    max: milliseconds(effective.at(-1) ?? Number.NaN),
    bound: milliseconds(boundMs),
    "closed, p50": milliseconds(percentile(closed, 0.5)),
    ...(afterwards.length === 0
      ? {}
      : { "closed after the fault, max": milliseconds(Math.max(...afterwards)) }),
    revocations: figure("", [delays.length]),
  };
}

const thresholdOf = ({ condition: { name }, boundMs, delays }: Measured): Threshold => ({
  name: `${name}: served at most until`,
  unit: " ms",
  values: [Math.max(...delays.map(({ effective }) => effective))],
  must: { atMost: boundMs },
});

const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
report({
  question: "revoke-faults",
  title: "From the answer to a revoke until nothing more is served to its socket",
  main: { column: "max", lessIsBetter: true },
  dots: {
    columns: ["p50", "p99", "max"],
    limit: "bound",
    aside: "closed, p50",
    unit: "ms",
    marks: [0.1, 1, 10, 100, 1_000, 10_000],
    text: "Less is better. On the left edge: when the answer came, or before.",
  },
  columns: ["p50", "p99", "max", "bound", "closed, p50", "closed after the fault, max", "revocations"],
  settings: { episodes: EPISODES, "fault lasts": `${FAULT_MS} ms` },
  contenders: measured.map((one) => ({ name: one.condition.name, version, figures: figuresOf(one) })),
  absent,
  thresholds: measured.map(thresholdOf),
  remarks: [
    "not served any more: from the close frame, or from the command that was never answered if that is earlier; each socket sends commands all the time, which its node answers out of its memory",
    "below 0: before the answer to the revoke was there",
    "closed: a node that is cut off suspends its sockets, and closes what was revoked when it hears of it again",
  ],
});
