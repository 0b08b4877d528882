import type { Shape } from "./deployment.ts";
import { type Schedule, type ScheduledFault, spanMs } from "./schedule.ts";

/** A run of `npm run chaos`. */
export interface Seed {
  readonly shape: Shape;
  readonly nodes: number;
  readonly seed: number;
  /** Replaces the seed's own. */
  readonly schedule?: Schedule;
}

const span = (shape: Shape, nodes: number, from: number, count: number): readonly Seed[] =>
  Array.from({ length: count }, (_, index) => ({ shape, nodes, seed: from + index }));

/** What every test run executes; `npm run chaos` executes as many as requested. */
export const everyTime: readonly Seed[] = [
  ...span("standalone", 3, 100, 8),
  ...span("standalone", 2, 200, 4),
  ...span("sentinel", 2, 300, 3),
  ...span("cluster", 2, 400, 3),
  ...span("embedded", 1, 500, 1),
];

const known = (shape: Shape, seed: number, ...faults: readonly ScheduledFault[]): Seed => ({
  shape,
  nodes: 3,
  seed,
  schedule: { seed, faults, healAt: spanMs, quietMs: 3_000 },
});

/**
 * Runs that once found a violation. They stay, because they would find the same fault again. Their faults are written
 * out: a seed's own faults change when another kind of fault is added.
 */
export const regressions: readonly Seed[] = [
  // A link that was half-open for longer than the bound, before there was a lease.
  known(
    ...(["standalone", 5] as const),
    { at: 1_528, lasts: 6_466, fault: { kind: "black_hole", node: 0, direction: "toClient" } },
    { at: 2_505, lasts: 0, fault: { kind: "reset", node: 1 } },
    { at: 2_863, lasts: 3_050, fault: { kind: "black_hole", node: 1, direction: "toServer" } },
    { at: 4_644, lasts: 1_062, fault: { kind: "delay", node: 2, ms: 300 } },
    { at: 4_693, lasts: 1_503, fault: { kind: "store_restart" } },
  ),
  known(
    ...(["standalone", 8] as const),
    { at: 921, lasts: 6_429, fault: { kind: "refuse", node: 2 } },
    { at: 1_460, lasts: 5_943, fault: { kind: "black_hole", node: 0, direction: "toClient" } },
  ),
  // An old backup made refresh tokens of revoked sessions valid again, before nodes repaired rollbacks.
  known("standalone", 7, { at: 2_579, lasts: 1_722, fault: { kind: "rollback" } }),
  known("standalone", 12, { at: 714, lasts: 1_165, fault: { kind: "rollback" } }),
  // A session that was lost with the store was accepted again with its access token.
  known("standalone", 103, { at: 577, lasts: 2_025, fault: { kind: "rollback" } }),
  // A session that was opened between a rollback and its detection was accepted, ended and accepted again.
  known("standalone", 1002, { at: 5_415, lasts: 677, fault: { kind: "rollback" } }),
  // The same as with the old backup, after a failover that lost acknowledged writes.
  known("sentinel", 3, { at: 7_231, lasts: 656, fault: { kind: "failover" } }),
];
