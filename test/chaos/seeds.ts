import type { Shape } from "./world.ts";

/** A run of `npm run chaos`. */
export interface Seed {
  readonly shape: Shape;
  readonly nodes: number;
  readonly seed: number;
}

const span = (shape: Shape, nodes: number, from: number, count: number): readonly Seed[] =>
  Array.from({ length: count }, (_, index) => ({ shape, nodes, seed: from + index }));

/** What every test run plays; `npm run chaos` plays as many as it is told. */
export const everyTime: readonly Seed[] = [
  ...span("standalone", 3, 100, 8),
  ...span("standalone", 2, 200, 4),
  ...span("sentinel", 2, 300, 3),
  ...span("cluster", 2, 400, 3),
  ...span("embedded", 1, 500, 1),
];

/**
 * Seeds that once showed that a promise was broken. With the promises kept they are quiet; they stay, because what they
 * found once they find again.
 */
export const regressions: readonly Seed[] = [
  // A link that was half-open for longer than the bound, before there was a lease.
  { shape: "standalone", nodes: 3, seed: 5 },
  { shape: "standalone", nodes: 3, seed: 8 },
  // An old backup gave revoked sessions their refresh tokens back, before nodes asserted what they remember.
  { shape: "standalone", nodes: 3, seed: 7 },
  { shape: "standalone", nodes: 3, seed: 12 },
  // The same after a failover that lost acknowledged writes.
  { shape: "sentinel", nodes: 3, seed: 3 },
];
