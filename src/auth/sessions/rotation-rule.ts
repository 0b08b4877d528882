import { addressShare } from "../../net/address-share.ts";
import type { Peer, Session } from "../model.ts";

/** Tabs that refresh concurrently may be more than one generation apart, but not more than this, ms. */
export const concurrentTabsMs = 10_000;

/** The verdict on a refresh token's generation. */
export type RefreshVerdict =
  /** The token is good. `session` is the session's next state; a rotating one has a new generation. */
  | { readonly kind: "current"; readonly session: Session }
  /** The token comes from a second tab: the newest token is issued again. */
  | { readonly kind: "behind" }
  /** The token has two holders: the session ends. */
  | { readonly kind: "reused" };

export interface Presented {
  readonly generation: number;
  readonly peer: Peer;
  readonly now: number;
}

/**
 * A rotating session remembers which generation was used last, and which successors were issued for it. The first use
 * of a successor confirms it and invalidates its siblings and everything before it. Until then the last used
 * generation stays valid, because its response may be lost, and each use of it issues another successor. So two
 * holders of one token get different successors, and the second one to use theirs is detected. Only concurrent tabs
 * get the same successor: uses within a short time after the last rotation, from the address of the last use.
 *
 * A genuine token with a higher generation than the record proves that the store went back in time (a failover, a
 * backup). The session then moves forward to it; otherwise everybody who had just rotated would look like a thief.
 * Tests that show this pass `healsForward` as false.
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
  if (isConcurrentTab(session, presented)) return { kind: "behind" };
  if (generation !== used) return { kind: "reused" };
  return rotated(session, { used, firstSuccessor, newest: session.generation + 1 }, presented.now);
}

/**
 * Whether the use of a refresh token of this generation would end the session. A concurrent tab's would not, but nobody
 * here knows from where the token would come.
 */
export function isOver(session: Session, generation: number): boolean {
  if (!session.rotates) return generation < session.generation;
  const { used, firstSuccessor } = successionOf(session);
  return generation < firstSuccessor && generation !== used;
}

interface Succession {
  readonly used: number;
  readonly firstSuccessor: number;
}

/** The fields are absent in a session that was never refreshed: one token was issued, at the login. */
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

function isConcurrentTab({ rotatedAt, lastUsedIp }: Session, { peer, now }: Presented): boolean {
  const sameAddress = addressShare(lastUsedIp) === addressShare(peer.address);
  return sameAddress && Math.abs(now - rotatedAt) <= concurrentTabsMs;
}
