import { setMaxListeners } from "node:events";
import { monitorEventLoopDelay } from "node:perf_hooks";

import type { Safeguard } from "../../src/auth/safeguards.ts";
import type { GatewayParts } from "../../src/server/gateway.ts";
import { askForAll } from "./actors/end-state.ts";
import { gossip } from "./actors/gossip.ts";
import { narrowSome } from "./actors/narrower.ts";
import { comeIn, logIn, settle } from "./actors/newcomer.ts";
import { redeem } from "./actors/redeemer.ts";
import { revokeAll } from "./actors/revoker.ts";
import { visit } from "./actors/visitor.ts";
import { check, type Violation } from "./checker.ts";
import type { History } from "./history.ts";
import type { Person } from "./people.ts";
import { Random } from "./random.ts";
import type { Scene } from "./scene.ts";
import { rest } from "./scene.ts";
import { describeFault, placeOf, type Schedule, type ScheduledFault, scheduleOf } from "./schedule.ts";
import { setTheScene } from "./setting.ts";
import { type Shape, startWorld, type World } from "./world.ts";

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
  const world = await startWorld({ ...options, storeTimeoutMs });
  const delay = monitorEventLoopDelay({ resolution: 10 });
  try {
    const schedule = given ?? scheduleOf(seed, { nodes, can: world.can });
    delay.enable();
    const history = await play(world, schedule, new Random(seed));
    const stalledMs = Math.round(delay.max / 1e6);
    const violations = check(history.entries, { slackMs: slackMs + stalledMs });
    return { seed, schedule, history, violations, stalledMs };
  } finally {
    delay.disable();
    await world.dispose();
  }
}

async function play(world: World, schedule: Schedule, random: Random): Promise<History> {
  const stop = new AbortController();
  // One listener for each waiting actor.
  setMaxListeners(0, stop.signal);
  const spawned: Promise<void>[] = [];
  const scene = await setTheScene(world, stop.signal, spawned);
  try {
    await firstDevices(scene, random.fork("devices"));
    const actors = { gossip, comeIn, redeem, revokeAll, narrowSome, visit, visitAgain: visit };
    for (const [name, act] of Object.entries(actors)) scene.spawn(act(scene, random.fork(name)));
    await strike(scene, world, schedule);
    await rest(schedule.quietMs, stop.signal);
    scene.history.tell("faults", { op: "mark", name: "quiet" });
    stop.abort();
    // An actor that ends may have started another.
    for (let seen = 0; seen < spawned.length; seen += 1) await spawned[seen];
    await askForAll(scene);
    return scene.history;
  } finally {
    stop.abort();
    scene.owner.end();
  }
}

async function firstDevices(scene: Scene, random: Random): Promise<void> {
  for (const person of scene.people) {
    for (let device = 0; device < deviceCount; device += 1) {
      const entered = await logInBefore(scene, random, person);
      settle(scene, random, entered.holding, entered.visit);
    }
  }
}

/** No fault has begun, but a busy machine can be as slow as one. */
async function logInBefore(scene: Scene, random: Random, person: Person) {
  for (let tries = 0; tries < 20; tries += 1) {
    const entered = await logIn(scene, random.pick(scene.nodes), person);
    if (entered !== undefined) return entered;
  }
  throw new Error(`${person.username} cannot log in before the first fault`);
}

/** Begins and heals each fault at its time; returns once the last one is healed and `healAt` has passed. */
async function strike(scene: Scene, world: World, schedule: Schedule): Promise<void> {
  const began = performance.now();
  const at = (ms: number) => rest(Math.max(0, began + ms - performance.now()), scene.over);
  const before = new Map<unknown, Promise<void>>();
  for (const one of schedule.faults) {
    const place = placeOf(one.fault);
    // If a slow machine heals one late, the next one begins later.
    const turn = Promise.all([at(one.at), before.get(place)]).then(() => inflict(scene, world, one));
    before.set(place, turn);
  }
  await Promise.all([at(schedule.healAt), ...before.values()]);
  scene.history.tell("faults", { op: "mark", name: "healed" });
}

async function inflict({ history, over }: Scene, world: World, one: ScheduledFault): Promise<void> {
  const done = history.begin("faults", { op: "fault", what: describeFault(one) });
  const heal = await world.inflict(one.fault);
  await rest(one.lasts, over);
  const { forgotSince } = await heal();
  if (forgotSince !== undefined) history.tell("faults", { op: "loss", since: forgotSince });
  done("ok");
}
