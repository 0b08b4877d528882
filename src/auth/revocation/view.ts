import type { Clock } from "../clock/clock.ts";
import type { LogEvent, Principal, RevocationCause, Rights } from "../model.ts";
import type { DisabledSafeguards } from "../safeguards.ts";
import type { LogEntry } from "../store.ts";
import type { Lease } from "./lease.ts";
import type { RevocationEvent } from "./listeners.ts";
import { RevocationCache } from "./revocation-cache.ts";

/** What this node knows about what was taken away; fed by its own commits and by the log. */
export interface RevocationView {
  /** Hot path: map look-ups only. */
  judge(principal: Principal): Judgement;
  /**
   * What the log last decided on the user's rights, as far back as this node remembers. A read of the record may be older,
   * or fail: see `withoutLost`.
   */
  decidedRights(userId: string): RightsDecision | undefined;
  /**
   * False while the node cannot know (no tail, no lease, a break of the log that is not healed yet): then nobody is
   * authenticated (D10). Hot path: a few comparisons, looked at before every frame.
   */
  readonly trusted: boolean;
  /**
   * Undefined unless `trusted`, and the log is followed without a break at this moment: what the store says meanwhile may be
   * from before what this node knows, and nothing is given on its word. Between two equal numbers the store answered from
   * the log that is followed, and nothing passed unseen: only then is over what it says is over (see `consistentRead`).
   */
  readonly followGeneration: number | undefined;
  /**
   * Rises whenever something may have passed unseen: whoever was let in before, and whatever was looked up before, has
   * to be looked up again. It rises before `trusted` turns true.
   */
  readonly invalidationCount: number;
}

export type Judgement =
  | { readonly state: "live" }
  | { readonly state: "dead"; readonly cause: RevocationCause }
  /** The token is older than the view, or its user changed since: look it up in the store. */
  | { readonly state: "unknown" };

/** A decision on a user's rights. */
export interface RightsDecision {
  /** The number of the commit that made it. */
  readonly version: number;
  /** Null: the user was removed. Ids are given once, so nothing can have been decided later. */
  readonly rights: Rights | null;
}

/** A token's time and an entry's come from different clocks; this much they may differ. */
export const clockMarginMs = 60_000;
/** On top of the longest access token: how far back the view remembers. */
const reachMarginMs = 5 * 60_000;
/** A failover may be noticed, and what is remembered be wanted, this late. */
const minReachMs = 10 * 60_000;
/** Of each kind. Beyond it the oldest are looked up in the store. */
const defaultCapacity = 200_000;

export interface MutableRevocationView extends RevocationView {
  /** Takes one event in, before anybody is told of it. Undefined for what was seen before, or cuts nothing here. */
  apply(event: LogEvent, entry: LogEntry): RevocationEvent | undefined;
  /** The feed starts, or starts over after a gap: older entries than `since` (ms) were not delivered. */
  completeSince(since: number): void;
  /** Something may have passed unseen. */
  invalidate(): void;
  readonly cache: Pick<
    RevocationCache,
    "sessions" | "users" | "clients" | "everybody" | "rightsDecisions" | "loginChanges"
  >;
  /** What is remembered, for metrics and tests. */
  readonly size: number;
}

/** How far back a node has to read the log at its start, ms. */
export function logReachMs(longestTokenMs: number): number {
  return Math.max(longestTokenMs, minReachMs) + clockMarginMs;
}

/**
 * How long a node remembers what was taken away, ms: no token that is older than the view reaches back is judged from
 * memory. The log is kept for as long: a node that starts needs less of it, and one that was away for longer is told
 * `trimmed` and looks everybody up in the store.
 */
export function retentionMs(longestTokenMs: number): number {
  return viewReachMs(longestTokenMs) + 2 * clockMarginMs;
}

function viewReachMs(longestTokenMs: number): number {
  return Math.max(longestTokenMs, minReachMs) + reachMarginMs;
}

/**
 * The maps that the hot path looks into. Bounded by time: everything is forgotten once no ordinary access token can
 * be older, and what is older than that is "unknown" for ever after (the floor never falls, whatever the clock does).
 * Bounded by number too: what there is no room for raises the floor.
 */
export function createRevocationView(options: {
  readonly clock: Clock;
  readonly longestTokenMs: number;
  readonly lease: Pick<Lease, "holds">;
  /** See `LogFollower`; undefined while the log is not followed without a break. */
  readonly followed: () => number | undefined;
  readonly capacity?: number;
  readonly disabledSafeguards?: DisabledSafeguards | undefined;
}): MutableRevocationView {
  const { clock, lease, followed, capacity = defaultCapacity } = options;
  const reachMs = viewReachMs(options.longestTokenMs);
  const cache = new RevocationCache(retentionMs(options.longestTokenMs), capacity);
  const knowsRights = options.disabledSafeguards?.has("entry_rights") !== true;
  let floor = Number.POSITIVE_INFINITY;
  /** No commit after this number is known of: an entry that claims a later one is not trusted. */
  let newest = 0;
  let latest = 0;
  let invalidationCount = 0;

  // A clock that was set back does not shorten what is remembered: tokens may carry its later times.
  const lookAtClock = () => {
    const now = clock.now();
    latest = Math.max(latest, now);
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
    judge(principal) {
      lookAtClock();
      const changedAt = cache.userChangedAt.get(principal.userId);
      const judgement = cache.judge(
        principal,
        Math.max(floor, changedAt === undefined ? 0 : changedAt + clockMarginMs),
      );
      // An epoch from the future would be above every revocation to come. Only a forged token has one, or one that was
      // made elsewhere a moment ago: the store says which.
      return judgement.state === "live" && principal.epoch > newest ? { state: "unknown" } : judgement;
    },
    apply(event, entry) {
      cache.expire(lookAtClock());
      newest = Math.max(newest, entry.version);
      if (!cache.isNew(entry, latest)) return undefined;
      const cut = cache.apply(event, entry, latest);
      floor = Math.max(floor, cache.evictedAt + clockMarginMs);
      return knowsRights ? cut : cut && withoutRights(cut);
    },
    completeSince(since) {
      // The log was read up to the present, and numbers of commits are microseconds of the store's clock.
      newest = Math.max(newest, Math.floor(lookAtClock() * 1_000));
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

function withoutRights(cut: RevocationEvent): RevocationEvent {
  if (cut.kind !== "user_changed") return cut;
  const { rights: _, ...change } = cut;
  return change;
}
