import type { Session } from "../model.ts";

/** Two tabs that refresh at once may be further apart than one generation, but not in time. */
export const concurrentTabsMs = 10_000;

/** What a refresh token of some generation is worth to its session (D5). */
export type RefreshVerdict =
  /** The newest one: `session` is how the session goes on; a rotating one has a new generation. */
  | { readonly kind: "current"; readonly session: Session }
  /** Behind, by a lost answer or by a second tab: the newest one is given again. */
  | { readonly kind: "behind" }
  /** Two holders: the session ends. */
  | { readonly kind: "reused" };

/**
 * A genuine token from ahead of the record proves that the store went back in time (a failover, a backup): the session
 * follows it forward, or everybody who had just rotated would look like a thief. `healsForward`: false in tests that
 * show so.
 */
export function judgeGeneration(
  session: Session,
  generation: number,
  now: number,
  healsForward = true,
): RefreshVerdict {
  if (generation > session.generation && !healsForward) return { kind: "reused" };
  if (generation >= session.generation) {
    const next = session.rotates ? generation + 1 : generation;
    const moved = next !== session.generation;
    return {
      kind: "current",
      session: { ...session, generation: next, rotatedAt: moved ? now : session.rotatedAt },
    };
  }
  const nearby = generation === session.generation - 1 || now - session.rotatedAt <= concurrentTabsMs;
  return { kind: nearby ? "behind" : "reused" };
}
