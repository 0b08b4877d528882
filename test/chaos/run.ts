import { setMaxListeners } from "node:events";
import { monitorEventLoopDelay } from "node:perf_hooks";

import type { Safeguard } from "../../src/auth/safeguards.ts";
import type { GatewayParts } from "../../src/server/gateway.ts";
import { askEndState } from "./actors/end-state.ts";
import { logIn, logInRepeatedly, startSessionActors } from "./actors/login-actor.ts";
import { redeem } from "./actors/redeemer.ts";
import { revokeAll } from "./actors/revoker.ts";
import { removeSomeRights } from "./actors/right-remover.ts";
import { presentTokens } from "./actors/token-presenter.ts";
import { publishRepeatedly, readTopics, takeTopics } from "./actors/topic-reader.ts";
import { renameRepeatedly } from "./actors/user-renamer.ts";
import { check, type Violation } from "./checker.ts";
import { type Deployment, type Shape, startDeployment } from "./deployment.ts";
import type { History } from "./history.ts";
import { Random } from "./random.ts";
import type { RunContext } from "./run-context.ts";
import { createRunContext, waitOrStop } from "./run-context.ts";
import { describeFault, placeOf, type Schedule, type ScheduledFault, scheduleOf } from "./schedule.ts";
import type { TestUser } from "./session-client.ts";

export interface RunOptions {
  readonly shape: Shape;
  readonly nodes: number;
  /** If given, the nodes run in this process, with these parts. */
  readonly embedded?: GatewayParts;
  /** Safeguards that are off: a negative control. */
  readonly disabledSafeguards?: readonly Safeguard[];
  /** Replaces the seed's own. */
  readonly schedule?: Schedule;
}

export interface RunResult {
  readonly seed: number;
  readonly schedule: Schedule;
  readonly history: History;
  readonly violations: readonly Violation[];
  /** What the nodes' processes wrote. */
  readonly output: string;
  /** The longest time, ms, for which this process did not read its sockets: it may have read this late. */
  readonly stalledMs: number;
}

const storeTimeoutMs = 1_000;
/** How late a process that is not stalled may read what was sent in time, ms. */
const slackMs = 250;
const deviceCount = 2;

/** One seed: its own deployment, faults and actors, and the verdict on the history. */
export async function run(seed: number, options: RunOptions): Promise<RunResult> {
  const { schedule: given, nodes } = options;
  const deployment = await startDeployment({ ...options, storeTimeoutMs });
  const delay = monitorEventLoopDelay({ resolution: 10 });
  try {
    const schedule = given ?? scheduleOf(seed, { nodes, can: deployment.can });
    delay.enable();
    const history = await play(deployment, schedule, new Random(seed));
    const stalledMs = Math.round(delay.max / 1e6);
    const violations = check(history.entries, { slackMs: slackMs + stalledMs });
    const output = deployment.nodes.map((node) => `${node.name}:\n${node.output ?? ""}`).join("\n");
    return { seed, schedule, history, violations, output, stalledMs };
  } finally {
    delay.disable();
    await deployment.dispose();
  }
}

async function play(deployment: Deployment, schedule: Schedule, random: Random): Promise<History> {
  const stop = new AbortController();
  // One listener for each waiting actor.
  setMaxListeners(0, stop.signal);
  const spawned: Promise<void>[] = [];
  const context = await createRunContext(deployment, stop.signal, spawned);
  try {
    await firstDevices(context, random.fork("devices"));
    const actors = {
      renameRepeatedly,
      logInRepeatedly,
      redeem,
      revokeAll,
      removeSomeRights,
      presentTokens,
      readTopics,
      publishRepeatedly,
      takeTopics,
      visitAgain: presentTokens,
    };
    for (const [name, act] of Object.entries(actors)) context.spawn(act(context, random.fork(name)));
    await injectFaults(context, deployment, schedule);
    await waitOrStop(schedule.quietMs, stop.signal);
    context.history.tell("faults", { op: "mark", name: "quiet" });
    stop.abort();
    // An actor that ends may have started another.
    for (let seen = 0; seen < spawned.length; seen += 1) await spawned[seen];
    await askEndState(context);
    return context.history;
  } finally {
    stop.abort();
    context.owner.end();
  }
}

async function firstDevices(context: RunContext, random: Random): Promise<void> {
  for (const person of context.users) {
    for (let device = 0; device < deviceCount; device += 1) {
      const entered = await logInBefore(context, random, person);
      startSessionActors(context, random, entered.client, entered.recorded);
    }
  }
}

/** No fault has begun, but a busy machine can be as slow as one. */
async function logInBefore(context: RunContext, random: Random, person: TestUser) {
  for (let tries = 0; tries < 20; tries += 1) {
    const entered = await logIn(context, random.pick(context.nodes), person);
    if (entered !== undefined) return entered;
  }
  throw new Error(`${person.username} cannot log in before the first fault`);
}

/** Begins and heals each fault at its time; returns once the last one is healed and `healAt` has passed. */
async function injectFaults(context: RunContext, deployment: Deployment, schedule: Schedule): Promise<void> {
  const began = performance.now();
  const at = (ms: number) => waitOrStop(Math.max(0, began + ms - performance.now()), context.stopSignal);
  const before = new Map<unknown, Promise<void>>();
  for (const one of schedule.faults) {
    const place = placeOf(one.fault);
    // If a slow machine heals one late, the next one begins later.
    const turn = Promise.all([at(one.at), before.get(place)]).then(() => inflict(context, deployment, one));
    before.set(place, turn);
  }
  await Promise.all([at(schedule.healAt), ...before.values()]);
  context.history.tell("faults", { op: "mark", name: "healed" });
}

async function inflict(
  { history, stopSignal }: RunContext,
  deployment: Deployment,
  one: ScheduledFault,
): Promise<void> {
  const done = history.begin("faults", { op: "fault", what: describeFault(one) });
  const heal = await deployment.injectFault(one.fault);
  await waitOrStop(one.lasts, stopSignal);
  const { forgotSince } = await heal();
  if (forgotSince !== undefined) history.tell("faults", { op: "loss", since: forgotSince });
  done("ok");
}
