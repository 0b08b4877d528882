import type { Direction } from "../support/fault-proxy.ts";
import { Random } from "./random.ts";

/** What a primary acknowledged this shortly before it was separated may be nowhere else, ms. */
export const replicationLagMs = 500;

/** Each needs something that not every deployment has; see `can`. */
export type Fault =
  | { readonly kind: "black_hole"; readonly node: number; readonly direction: Direction | "both" }
  | { readonly kind: "delay"; readonly node: number; readonly ms: number }
  | { readonly kind: "refuse"; readonly node: number }
  /** Happens once, at the beginning; it has no duration. */
  | { readonly kind: "cut" | "reset"; readonly node: number }
  /** Its commands go to a server without any data, and its follower of the log receives nothing. No seed uses it. */
  | { readonly kind: "wrong_server"; readonly node: number }
  /** Its connection is reset whenever it reads a record whose key begins so, or commits on it; all else is answered. */
  | { readonly kind: "unreadable"; readonly node: number; readonly record: string }
  /** SIGSTOP, then SIGCONT. */
  | { readonly kind: "pause"; readonly node: number }
  /** SIGKILL, then a new process. */
  | { readonly kind: "kill"; readonly node: number }
  | { readonly kind: "store_restart" }
  /** Acknowledged writes are lost with the primary. The promoted replica did not have them. */
  | { readonly kind: "failover" }
  /** The store's content is reset to what it was when this began. */
  | { readonly kind: "rollback" }
  /** Nodes and primary are partitioned from replica and Sentinels, which continue without them. */
  | { readonly kind: "isolated_primary" }
  /** SIGKILL of the Cluster's primary; its replica is elected. */
  | { readonly kind: "primary_kill" }
  /** The Cluster's replica takes over the slots without an election. */
  | { readonly kind: "takeover" };

export type FaultKind = Fault["kind"];

export interface ScheduledFault {
  /** ms from the beginning. */
  readonly at: number;
  readonly lasts: number;
  readonly fault: Fault;
}

export interface Schedule {
  readonly seed: number;
  readonly faults: readonly ScheduledFault[];
  /** ms from the beginning at which everything is healed. */
  readonly healAt: number;
  /** ms after that until the remaining state must be right. */
  readonly quietMs: number;
}

export interface ScheduleOptions {
  readonly nodes: number;
  readonly can: ReadonlySet<FaultKind>;
}

/** How long faults are injected, ms. */
export const spanMs = 8_000;
/** Time for sockets to be served before the first fault, ms. */
const firstMs = 400;

/** Duration of each: some shorter than a lease of 3 s, some longer than the bound of 5 s after a revoke. */
const lasts: Record<FaultKind, readonly [least: number, most: number]> = {
  black_hole: [800, 7_500],
  delay: [1_000, 4_000],
  refuse: [500, 7_000],
  cut: [0, 0],
  reset: [0, 0],
  wrong_server: [500, 2_500],
  unreadable: [1_000, 7_000],
  pause: [3_300, 7_000],
  kill: [100, 2_500],
  store_restart: [100, 2_000],
  failover: [600, 1_200],
  rollback: [600, 2_500],
  isolated_primary: [500, 3_500],
  primary_kill: [1_500, 4_000],
  takeover: [200, 1_500],
};

/** A store that loses data is a fault of its own: the promise covers one fault at a time. */
const lossy: readonly FaultKind[] = ["failover", "isolated_primary", "rollback", "primary_kill", "takeover"];

/** One node is killed repeatedly, at random moments, and works in between. */
export function killsOf(seed: number, kills: number): Schedule {
  const random = new Random(seed).fork("kills");
  const faults: ScheduledFault[] = [];
  let at = firstMs;
  for (let kill = 0; kill < kills; kill += 1) {
    faults.push({ at, lasts: 0, fault: { kind: "kill", node: 0 } });
    at += random.between(300, 1_800);
  }
  return { seed, faults, healAt: at, quietMs: 1_000 };
}

/** The same seed gives the same faults. Faults of one node do not overlap; those of different nodes may. */
export function scheduleOf(seed: number, options: ScheduleOptions): Schedule {
  const random = new Random(seed).fork("schedule");
  const kinds = [...options.can].sort();
  const forgetting = kinds.filter((kind) => lossy.includes(kind));
  const faults =
    forgetting.length > 0 && random.chance(0.3)
      ? [scheduled(random, random.pick(forgetting), options, firstMs)]
      : several(
          random,
          kinds.filter((kind) => !lossy.includes(kind)),
          options,
        );
  return { seed, faults, healAt: spanMs, quietMs: 3_000 };
}

export const noFaults: Omit<Schedule, "seed"> = { faults: [], healAt: 1_500, quietMs: 500 };

function several(random: Random, kinds: readonly FaultKind[], options: ScheduleOptions): ScheduledFault[] {
  if (kinds.length === 0) return [];
  const faults: ScheduledFault[] = [];
  const wanted = random.between(2, 5);
  for (let tries = 0; faults.length < wanted && tries < 20; tries += 1) {
    const one = scheduled(random, random.pick(kinds), options, firstMs);
    const place = placeOf(one.fault);
    const overlaps = faults.some(
      ({ fault, at, lasts: took }) =>
        placeOf(fault) === place && at <= one.at + one.lasts && one.at <= at + took,
    );
    if (!overlaps) faults.push(one);
  }
  return faults.sort((a, b) => a.at - b.at);
}

function scheduled(
  random: Random,
  kind: FaultKind,
  { nodes }: ScheduleOptions,
  after: number,
): ScheduledFault {
  const [least, most] = lasts[kind];
  const took = random.between(least, most);
  const at = random.between(after, Math.max(after, spanMs - took));
  return { at, lasts: Math.min(took, spanMs - at), fault: faultOf(random, kind, nodes) };
}

function faultOf(random: Random, kind: FaultKind, nodes: number): Fault {
  const node = random.between(0, nodes - 1);
  switch (kind) {
    case "black_hole":
      return { kind, node, direction: random.pick(["both", "toServer", "toClient"] as const) };
    case "delay":
      return { kind, node, ms: random.pick([20, 100, 300, 1_000]) };
    case "unreadable":
      return { kind, node, record: "user:" };
    case "store_restart":
    case "failover":
    case "rollback":
    case "isolated_primary":
    case "primary_kill":
    case "takeover":
      return { kind };
    default:
      return { kind, node };
  }
}

/** The place of the fault: a fault there is healed before the next one at the same place. */
export function placeOf(fault: Fault): number | "store" {
  return "node" in fault ? fault.node : "store";
}

/** For people. */
export function describeFault({ at, lasts: took, fault }: ScheduledFault): string {
  const { kind, ...more } = fault;
  const facts = Object.entries(more).map(([key, value]) => `${key}=${value}`);
  return [`${kind}@${at}+${took}`, ...facts].join(" ");
}
