import type { Clock } from "../clock.ts";
import type { LogEvent, Principal, RevocationCause } from "../model.ts";
import type { LogEntry, LogPosition } from "../store.ts";
import type { FeedTrust } from "./feed-trust.ts";
import { logEventOf } from "./log-events.ts";
import type { Cut, Judgement, RevocationView } from "./revocation.ts";

/** A token's time and an entry's come from different clocks; this much they may differ. */
export const clockMarginMs = 60_000;
/** On top of the longest access token: how far back the view remembers. */
const reachMarginMs = 5 * 60_000;

interface UserCut {
  readonly epoch: number;
  readonly spare: string | null;
  readonly cause: RevocationCause;
}

interface Memory {
  readonly seen: Fading<LogPosition, true>;
  readonly sessions: Fading<string, RevocationCause>;
  readonly users: Fading<string, UserCut>;
  /** When the user changed last, ms. */
  readonly changes: Fading<string, number>;
}

/** What an entry means, when it is news. */
export interface News {
  readonly cut: Cut;
  readonly revocationId: string | undefined;
}

export interface GrowingView extends RevocationView {
  /** Takes one entry in, before anybody is told of it. Undefined for what was seen before, or means nothing here. */
  take(entry: LogEntry): News | undefined;
  /** The feed starts, or starts over after a gap: older entries than `since` (ms) were not delivered. */
  reachesBackTo(since: number): void;
  /** What is remembered, for metrics and tests. */
  readonly size: number;
}

/**
 * The maps that the hot path looks into. Bounded by time: everything is forgotten once no ordinary access token can
 * be older, and what is older than that is "unknown" for ever after (the floor never falls, whatever the clock does).
 */
export function createRevocationView(options: {
  readonly clock: Clock;
  readonly longestTokenMs: number;
  readonly trust: FeedTrust;
}): GrowingView {
  const { clock, trust } = options;
  const reachMs = options.longestTokenMs + reachMarginMs;
  const keptMs = reachMs + 2 * clockMarginMs;
  const memory: Memory = {
    seen: new Fading(keptMs),
    sessions: new Fading(keptMs),
    users: new Fading(keptMs),
    changes: new Fading(keptMs),
  };
  const { seen, sessions, users, changes } = memory;
  let floor = Number.POSITIVE_INFINITY;
  let latest = 0;
  let gaps = 0;

  // A clock that was set back does not shorten what is remembered: tokens may carry its later times.
  const lookAtClock = () => {
    const now = clock.now();
    latest = Math.max(latest, now);
    floor = Math.max(floor, now - reachMs);
    return now;
  };

  return {
    get trusted() {
      return trust.holds();
    },
    get gaps() {
      return gaps;
    },
    get size() {
      return seen.size + sessions.size + users.size + changes.size;
    },
    judge(principal) {
      lookAtClock();
      const changedAt = changes.get(principal.userId);
      return judgeBy(principal, {
        session: sessions.get(principal.sessionId),
        user: users.get(principal.userId),
        doubtUntil: Math.max(floor, changedAt === undefined ? 0 : changedAt + clockMarginMs),
      });
    },
    take(entry) {
      const now = lookAtClock();
      for (const map of [seen, sessions, users, changes]) map.forget(now);
      if (seen.get(entry.position)) return undefined;
      seen.set(entry.position, true, latest);
      const event = logEventOf(entry.event);
      const cut = event && remember(memory, event, entry, latest);
      if (event === undefined || cut === undefined) return undefined;
      return { cut, revocationId: "revocationId" in event ? event.revocationId : undefined };
    },
    reachesBackTo(since) {
      lookAtClock();
      const start = since + clockMarginMs;
      if (floor !== Number.POSITIVE_INFINITY && start <= floor) return;
      floor = floor === Number.POSITIVE_INFINITY ? start : Math.max(floor, start);
      gaps += 1;
    },
  };
}

/** Takes an event in; what it cuts, when it cuts anything that was not cut before. */
function remember(
  { sessions, users, changes }: Memory,
  event: LogEvent,
  entry: LogEntry,
  now: number,
): Cut | undefined {
  switch (event.type) {
    case "sessions_revoked": {
      const fresh = event.sessionIds.filter((id) => sessions.get(id) === undefined);
      for (const id of fresh) sessions.set(id, event.cause, now);
      return fresh.length === 0 ? undefined : { kind: "sessions", sessionIds: fresh, cause: event.cause };
    }
    case "user_revoked": {
      const known = users.get(event.userId);
      if (known !== undefined && known.epoch >= entry.version) return undefined;
      const { userId, spare, cause } = event;
      users.set(userId, { epoch: entry.version, spare, cause }, now);
      return { kind: "user", userId, epoch: entry.version, spare, cause };
    }
    case "user_changed":
      // Nobody holds a token from before the user was there.
      if (event.change !== "added")
        changes.set(event.userId, Math.max(entry.at, changes.get(event.userId) ?? 0), now);
      return { kind: "user_changed", userId: event.userId, change: event.change };
    case "session_changed":
      return { kind: "session_changed", sessionId: event.sessionId };
    case "keyring_changed":
      return undefined;
  }
}

/** `doubtUntil`: a token that was made before this time cannot be judged from memory. */
function judgeBy(
  principal: Principal,
  known: {
    readonly session: RevocationCause | undefined;
    readonly user: UserCut | undefined;
    readonly doubtUntil: number;
  },
): Judgement {
  const { session, user } = known;
  if (session !== undefined) return { state: "dead", cause: session };
  if (user !== undefined && principal.userEpoch < user.epoch && principal.sessionId !== user.spare)
    return { state: "dead", cause: user.cause };
  return principal.tokenIssuedAt <= known.doubtUntil ? { state: "unknown" } : { state: "live" };
}

/** A map that forgets entries `keptMs` after they were last set; oldest first, so forgetting looks at nothing else. */
class Fading<Key, Value> {
  readonly #keptMs: number;
  readonly #entries = new Map<Key, { readonly value: Value; readonly setAt: number }>();

  constructor(keptMs: number) {
    this.#keptMs = keptMs;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: Key): Value | undefined {
    return this.#entries.get(key)?.value;
  }

  set(key: Key, value: Value, now: number): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, setAt: now });
  }

  forget(now: number): void {
    for (const [key, entry] of this.#entries) {
      if (entry.setAt + this.#keptMs > now) return;
      this.#entries.delete(key);
    }
  }
}
