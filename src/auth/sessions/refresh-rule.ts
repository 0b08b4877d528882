import { addressShare } from "../../net/address-share.ts";
import type { Peer, Session } from "../model.ts";

/** Two tabs that refresh at once may be further apart than one generation, but not in time. */
export const concurrentTabsMs = 10_000;

/** What a refresh token of some generation is worth to its session (D5). */
export type RefreshVerdict =
  /** It is good: `session` is how the session goes on; a rotating one has a new generation. */
  | { readonly kind: "current"; readonly session: Session }
  /** A second tab's: the newest token is given again. */
  | { readonly kind: "behind" }
  /** Two holders: the session ends. */
  | { readonly kind: "reused" };

export interface Presented {
  readonly generation: number;
  readonly peer: Peer;
  readonly now: number;
}

/**
 * A rotating session remembers which generation was used last, and which ones were given for it. A use of one of these
 * confirms it: the others that were given beside it, and all before it, are over. The generation that was used last is
 * good until then, since the answer to it may be lost, and gives another successor at each use: of two holders of one
 * token each has a successor of its own, and the second one to use it is found out. Only tabs are given the same
 * successor: uses within a short time after the last rotation, from the address that it came from.
 *
 * A genuine token from ahead of the record proves that the store went back in time (a failover, a backup): the session
 * follows it forward, or everybody who had just rotated would look like a thief. `healsForward`: false in tests that
 * show so.
 */
export function judgeGeneration(session: Session, presented: Presented, healsForward = true): RefreshVerdict {
  const { generation } = presented;
  if (generation > session.generation && !healsForward) return { kind: "reused" };
  if (!session.rotates) {
    const kept = { ...session, generation: Math.max(session.generation, generation) };
    return { kind: generation >= session.generation ? "current" : "reused", session: kept };
  }
  const { used, firstSuccessor } = successionOf(session);
  if (generation >= firstSuccessor) {
    const newest = Math.max(session.generation, generation) + 1;
    return rotated(session, { used: generation, firstSuccessor: newest, newest }, presented.now);
  }
  if (isOfTabs(session, presented)) return { kind: "behind" };
  if (generation !== used) return { kind: "reused" };
  return rotated(session, { used, firstSuccessor, newest: session.generation + 1 }, presented.now);
}

interface Succession {
  readonly used: number;
  readonly firstSuccessor: number;
}

/** Absent in a session that was opened and not refreshed: one token was given, for the login. */
function successionOf({ generation, usedGeneration, firstSuccessor }: Session): Succession {
  return { used: usedGeneration ?? generation - 1, firstSuccessor: firstSuccessor ?? generation };
}

function rotated(
  session: Session,
  { used, firstSuccessor, newest }: Succession & { readonly newest: number },
  now: number,
): RefreshVerdict {
  const next = { ...session, generation: newest, usedGeneration: used, firstSuccessor, rotatedAt: now };
  return { kind: "current", session: next };
}

function isOfTabs({ rotatedAt, lastUsedIp }: Session, { peer, now }: Presented): boolean {
  const sameAddress = addressShare(lastUsedIp) === addressShare(peer.address);
  return sameAddress && Math.abs(now - rotatedAt) <= concurrentTabsMs;
}
