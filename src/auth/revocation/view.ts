import type { Clock } from "../clock/clock.ts";
import type { LogEvent, Principal, RevocationCause, Rights } from "../model.ts";
import type { DisabledSafeguards } from "../safeguards.ts";
import type { LogEntry } from "../store.ts";
import type { Lease } from "./lease.ts";
import { RevocationCache } from "./revocation-cache.ts";
import type { SecurityEvent } from "./security-events.ts";

/** What this node knows about revocations, from its own commits and from the log. */
export interface RevocationView {
  /** Hot path: map look-ups only. */
  judge(principal: Principal): Judgement;
  /**
   * The last decision on the user's rights in the log, as far back as this node remembers. The user's record may be
   * older than it after the store lost writes: see `applyDecidedRights`.
   */
  decidedRights(userId: string): RightsDecision | undefined;
  /** The last change of the owner in the log, as above; see `withoutLostOwnership`. */
  ownerChange(): OwnerChange | undefined;
  /**
   * False while the node may have missed a revocation: the log is not followed, the lease has expired, or a break of
   * the log was not recovered from yet. Then nobody is authenticated. Hot path: a few comparisons, checked before
   * every frame.
   */
  readonly trusted: boolean;
  /**
   * Undefined unless the view is `trusted` and the log is followed without a break at this moment. While it is
   * undefined, the store's answers may be older than what this node knows, and give nobody anything. Between two
   * reads of the same number the store answered from the log that is followed, and no entry was missed. Only then
   * trust its "not found" and "ended" (see `consistentRead`).
   */
  readonly followGeneration: number | undefined;
  /**
   * Rises whenever an entry may have been missed. Every socket that was authenticated before, and every cached
   * look-up, must then be looked up again. It rises before `trusted` becomes true again.
   */
  readonly invalidationCount: number;
}

export type Judgement =
  | { readonly state: "live" }
  | { readonly state: "dead"; readonly cause: RevocationCause }
  /** The token is older than the view reaches back, or its user changed since: look it up in the store. */
  | { readonly state: "unknown" };

/** A decision on a user's rights. */
export interface RightsDecision {
  /** The number of the commit that made it. */
  readonly version: number;
  /** Null: the user was removed. Ids are never reused, so this is the last decision. */
  readonly rights: Rights | null;
}

/** The last change of the owner. */
export interface OwnerChange {
  /** The number of the commit that made it. */
  readonly version: number;
  /** The owner since then. */
  readonly userId: string;
}

/** Maximum difference between the clocks that a token's and an entry's time come from. */
export const clockMarginMs = 60_000;
/** How much longer the view remembers than the longest access token lives. */
const reachMarginMs = 5 * 60_000;
/** A failover may be noticed this late, and its repair needs what is remembered. */
const minReachMs = 10 * 60_000;
/** Entries of each kind. Beyond it the oldest are evicted, and their tokens looked up in the store. */
const defaultCapacity = 200_000;

export interface MutableRevocationView extends RevocationView {
  /**
   * Applies one event, before the listeners are called. Undefined if it was applied before, or changes nothing here.
   */
  apply(event: LogEvent, entry: LogEntry): SecurityEvent | undefined;
  /** The feed starts, or starts over after a gap: entries from before `since` (ms) were not delivered. */
  completeSince(since: number): void;
  /** An entry may have been missed. */
  invalidate(): void;
  readonly cache: Pick<
    RevocationCache,
    "sessions" | "users" | "clients" | "everybody" | "rightsDecisions" | "loginChanges" | "owner"
  >;
  /** How many entries are remembered, for metrics and tests. */
  readonly size: number;
}

/** How far back a node reads the log at its start, ms. */
export function logReachMs(longestTokenMs: number): number {
  return Math.max(longestTokenMs, minReachMs) + clockMarginMs;
}

/**
 * How long a node remembers revocations, ms. A token that is older is not judged from memory. The log is kept for the
 * same time. A node that starts needs less of it. A node that was disconnected for longer gets a break `trimmed` and
 * looks everybody up in the store.
 */
export function retentionMs(longestTokenMs: number): number {
  return viewReachMs(longestTokenMs) + 2 * clockMarginMs;
}

function viewReachMs(longestTokenMs: number): number {
  return Math.max(longestTokenMs, minReachMs) + reachMarginMs;
}

/**
 * The maps of the hot path. They are bounded by time: an entry expires when every ordinary access token from before
 * it has expired. Tokens from before `floor` are "unknown"; the floor never falls, whatever the clock does. They are
 * bounded by number too: an eviction raises the floor.
 */
export function createRevocationView(options: {
  readonly clock: Clock;
  readonly longestTokenMs: number;
  readonly lease: Pick<Lease, "holds">;
  /** `LogFollower.followGeneration`; undefined while the log is not followed without a break. */
  readonly followed: () => number | undefined;
  readonly capacity?: number;
  readonly disabledSafeguards?: DisabledSafeguards | undefined;
}): MutableRevocationView {
  const { clock, lease, followed, capacity = defaultCapacity } = options;
  const reachMs = viewReachMs(options.longestTokenMs);
  const cache = new RevocationCache(retentionMs(options.longestTokenMs), capacity);
  const knowsRights = options.disabledSafeguards?.has("entry_rights") !== true;
  let floor = Number.POSITIVE_INFINITY;
  /** The highest commit number that is known. A token with a higher epoch is not trusted. */
  let highestVersion = 0;
  let highestTime = 0;
  let invalidationCount = 0;

  // Entries are kept as long by a clock that was set back: tokens may carry its later times.
  const lookAtClock = () => {
    const now = clock.now();
    highestTime = Math.max(highestTime, now);
    floor = Math.max(floor, now - reachMs);
    return now;
  };

  return {
    cache,
    get trusted() {
      return lease.holds();
    },
    get followGeneration() {
      const followGeneration = lease.holds() ? followed() : undefined;
      // Both only rise.
      return followGeneration === undefined ? undefined : followGeneration + invalidationCount;
    },
    get invalidationCount() {
      return invalidationCount;
    },
    get size() {
      return cache.size;
    },
    decidedRights: (userId) => (knowsRights ? cache.rightsDecisions.get(userId) : undefined),
    ownerChange: () => (knowsRights ? cache.owner.get("owner") : undefined),
    judge(principal) {
      lookAtClock();
      const changedAt = cache.userChangedAt.get(principal.userId);
      const judgement = cache.judge(
        principal,
        Math.max(floor, changedAt === undefined ? 0 : changedAt + clockMarginMs),
      );
      // An epoch from the future would survive every coming revocation. It belongs to a forged token, or to one that
      // another node issued a moment ago. The store decides.
      return judgement.state === "live" && principal.epoch > highestVersion
        ? { state: "unknown" }
        : judgement;
    },
    apply(event, entry) {
      cache.expire(lookAtClock());
      highestVersion = Math.max(highestVersion, entry.version);
      if (!cache.isNew(entry, highestTime)) return undefined;
      const change = cache.apply(event, entry, highestTime);
      floor = Math.max(floor, cache.evictedAt + clockMarginMs);
      return knowsRights ? change : change && dropRights(change);
    },
    completeSince(since) {
      // The log was read up to the present, and commit numbers are microseconds of the store's clock.
      highestVersion = Math.max(highestVersion, Math.floor(lookAtClock() * 1_000));
      const start = since + clockMarginMs;
      if (floor !== Number.POSITIVE_INFINITY && start <= floor) return;
      const known = floor === Number.POSITIVE_INFINITY ? cache.evictedAt + clockMarginMs : floor;
      floor = Math.max(known, start);
      invalidationCount += 1;
    },
    invalidate() {
      invalidationCount += 1;
    },
  };
}

function dropRights(event: SecurityEvent): SecurityEvent {
  if (event.kind !== "user_changed") return event;
  const { rights: _, ...change } = event;
  return change;
}
