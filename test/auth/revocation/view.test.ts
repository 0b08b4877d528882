import fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { LogEvent, Principal, RevocationCause } from "../../../src/auth/model.ts";
import { logEventOf } from "../../../src/auth/revocation/log-events.ts";
import { createRevocationView, type MutableRevocationView } from "../../../src/auth/revocation/view.ts";
import type { LogEntry } from "../../../src/auth/store.ts";
import { handClock } from "../../support/hand-clock.ts";

const minute = 60_000;
const longestTokenMs = 30 * minute;

const followed = () => 0;
const lease = { holds: () => true };

function take(view: MutableRevocationView, taken: LogEntry) {
  const event = logEventOf(taken.event);
  return event && view.apply(event, taken);
}

function viewAt(start = 1_000_000_000_000) {
  const clock = handClock(start);
  const view = createRevocationView({ clock, longestTokenMs, lease, followed });
  view.completeSince(clock.now() - 60 * minute);
  return { clock, view };
}

let positions = 0;
function entry(event: LogEvent | Record<string, string>, version: number, at: number): LogEntry {
  positions += 1;
  return { position: String(positions), at, version, event: { ...event } };
}

const revoked = (sessionIds: readonly string[], cause: RevocationCause = "session_revoked"): LogEvent => ({
  type: "sessions_revoked",
  userId: "ada",
  sessionIds,
  cause,
  revocationId: "r",
});
const raised = (except: string | null = null, cause: RevocationCause = "password_changed"): LogEvent => ({
  type: "user_revoked",
  userId: "ada",
  cause,
  revocationId: "r",
  except,
});
const changed: LogEvent = { type: "user_changed", userId: "ada", change: "updated" };

function principal(more: Partial<Principal>): Principal {
  return {
    userId: "ada",
    sessionId: "s1",
    epoch: 0,
    keyId: "key",
    sessionType: "normal",
    clientId: null,
    assurance: 1,
    amr: [],
    authenticatedAt: 0,
    tokenIssuedAt: 0,
    tokenExpiresAt: 0,
    sessionExpiresAt: null,
    localOnly: false,
    judgedBy: null,
    scope: null,
    policy: null,
    isForOtherAudience: false,
    ...more,
  };
}

describe("the revocation view", () => {
  it("judges by session, then by the user's epoch", () => {
    const { clock, view } = viewAt();
    const now = clock.now();
    const token = (sessionId: string, epoch: number) =>
      view.judge(principal({ sessionId, epoch, tokenIssuedAt: now })).state;
    expect(token("s1", 0)).toBe("live");
    take(view, entry(revoked(["s1"]), 5, now));
    take(view, entry(raised(), 10, now));
    expect([token("s1", 20), token("s2", 9), token("s2", 10), token("s2", 11)]).toEqual([
      ...["dead", "dead", "live", "live"],
    ]);
  });

  it("does not trust an epoch that is newer than the log, until the log has reached it", () => {
    const { clock, view } = viewAt();
    const present = clock.now() * 1_000;
    const state = (epoch: number) => view.judge(principal({ epoch, tokenIssuedAt: clock.now() })).state;
    expect([state(present), state(present + 1), state(2 ** 52)]).toEqual(["live", "unknown", "unknown"]);
    take(view, entry(changed, present + 50, clock.now() - 60 * minute));
    expect([state(present + 50), state(present + 51)]).toEqual(["live", "unknown"]);
  });

  it("spares one session of a bump, until the next bump", () => {
    const { clock, view } = viewAt();
    const judge = (sessionId: string) =>
      view.judge(principal({ sessionId, epoch: 3, tokenIssuedAt: clock.now() }));
    take(view, entry(raised("s1"), 10, clock.now()));
    expect([judge("s1").state, judge("s2").state]).toEqual(["live", "dead"]);
    take(view, entry(raised("s2"), 20, clock.now()));
    expect(judge("s1")).toEqual({ state: "dead", cause: "password_changed" });
    // An older bump that arrives late (from another node) changes nothing.
    expect(take(view, entry(raised("s1"), 15, clock.now()))).toBeUndefined();
    expect(judge("s1").state).toBe("dead");
  });

  it("answers unknown for tokens that are older than it reaches back, also when its clock goes back", () => {
    const { clock, view } = viewAt();
    const old = clock.now() - 50 * minute;
    const judge = (tokenIssuedAt: number) => view.judge(principal({ tokenIssuedAt })).state;
    expect(judge(old)).toBe("unknown");
    expect(judge(clock.now() - 34 * minute)).toBe("live");
    const now = clock.now();
    clock.advance(60 * minute);
    expect(judge(now)).toBe("unknown");
    clock.setWall(now);
    expect(judge(now)).toBe("unknown");
  });

  it("does not reach back to the feed's first minute, whose tokens may come from a clock that is behind", () => {
    const clock = handClock();
    const view = createRevocationView({ clock, longestTokenMs, lease, followed });
    const since = clock.now() - 10 * minute;
    const judge = (at: number) => view.judge(principal({ tokenIssuedAt: at })).state;
    expect(judge(clock.now())).toBe("unknown");
    view.completeSince(since);
    expect([judge(since + minute), judge(since + minute + 1)]).toEqual(["unknown", "live"]);
  });

  it("answers unknown for tokens from before a change of their user", () => {
    const { clock, view } = viewAt();
    const before = clock.now();
    clock.advance(2 * minute);
    take(view, entry(changed, 5, clock.now()));
    const judge = (at: number, userId = "ada") => view.judge(principal({ userId, tokenIssuedAt: at })).state;
    expect(judge(before)).toBe("unknown");
    expect(judge(clock.now())).toBe("unknown");
    expect(judge(clock.now() + 61_000)).toBe("live");
    expect(judge(before, "bob")).toBe("live");
    take(view, entry({ ...changed, userId: "bob", change: "added" }, 6, clock.now()));
    expect(judge(clock.now(), "bob")).toBe("live");
  });

  it("treats an unknown event that names a user as a change of that user", () => {
    const { clock, view } = viewAt();
    const news = take(view, entry({ type: "policy_changed_in_2030", userId: "ada" }, 5, clock.now()));
    expect(news).toEqual({ kind: "user_changed", userId: "ada", change: "updated" });
    expect(view.judge(principal({ tokenIssuedAt: clock.now() })).state).toBe("unknown");
    expect(take(view, entry({ type: "nothing we know" }, 6, clock.now()))).toBeUndefined();
    expect(take(view, entry({ type: "sessions_revoked", userId: "ada" }, 7, clock.now()))).toBeDefined();
  });

  it("applies each entry once", () => {
    const { clock, view } = viewAt();
    const one = entry(changed, 5, clock.now());
    expect(take(view, one)).toBeDefined();
    expect(take(view, one)).toBeUndefined();
  });

  it("expires entries, and then answers unknown for tokens that could need them", () => {
    const { clock, view } = viewAt();
    for (let count = 0; count < 1000; count += 1) {
      take(view, entry(revoked([`s${count}`]), count + 1, clock.now()));
      clock.advance(10_000);
    }
    // 42 minutes of one revocation every 10 s, each as an entry and as a session.
    expect(view.size).toBeLessThan(520);
  });

  it("answers unknown for tokens whose revocation may have been evicted", () => {
    const clock = handClock();
    const view = createRevocationView({ clock, longestTokenMs, lease, followed, capacity: 10 });
    view.completeSince(clock.now() - 60 * minute);
    const judge = (sessionId: string, tokenIssuedAt: number) =>
      view.judge(principal({ sessionId, tokenIssuedAt })).state;
    const issued = clock.now();
    for (let count = 0; count < 20; count += 1) {
      clock.advance(1000);
      take(view, entry(revoked([`s${count}`]), count + 1, clock.now()));
    }
    expect(view.size).toBeLessThanOrEqual(20);
    expect([judge("s0", issued), judge("s19", issued)]).toEqual(["unknown", "dead"]);
    expect(judge("other", clock.now() + 2 * minute)).toBe("live");
  });

  it("does not call a newer login dead because of a repeated bump, and answers unknown", () => {
    const { clock, view } = viewAt();
    const again: LogEvent = {
      type: "user_revoked",
      userId: "ada",
      cause: "session_revoked",
      revocationId: "r",
      except: null,
      epoch: 10,
    };
    const judge = (epoch: number) => view.judge(principal({ epoch, tokenIssuedAt: clock.now() })).state;
    take(view, entry(raised(), 10, clock.now()));
    expect(judge(5)).toBe("dead");
    expect(take(view, entry(again, 90, clock.now()))).toBeUndefined();
    expect([judge(5), judge(10)]).toEqual(["unknown", "live"]);
  });

  it("remembers the last decision on a user and on a login, in any order of arrival, and a removal as the last", () => {
    const { clock, view } = viewAt();
    const rights = (isActive: boolean, version?: number): LogEvent => ({
      type: "user_changed",
      userId: "ada",
      change: "updated",
      rights: { isActive, localOnly: false, groupIds: [], version },
    });
    const login = (change: "removed" | "password", except: string | null, version?: number): LogEvent => ({
      type: "login_changed",
      userId: "ada",
      credentialId: "c",
      change,
      except,
      version,
    });
    const takeAll = (...events: readonly (readonly [event: LogEvent, version: number])[]) => {
      for (const [event, version] of events) take(view, entry(event, version, clock.now()));
      const [record, known] = [view.cache.rightsDecisions.get("ada"), view.cache.loginChanges.get("c")];
      return [record?.version, record?.rights?.state, known?.version, known?.except];
    };
    expect(takeAll([rights(false), 10], [login("password", "s1"), 11])).toEqual([
      10,
      "deactivated",
      11,
      "s1",
    ]);
    // A change of the name decides nothing.
    expect(takeAll([changed, 12])).toEqual([10, "deactivated", 11, "s1"]);
    expect(takeAll([rights(true), 20], [login("password", "s2"), 21])).toEqual([20, "active", 21, "s2"]);
    // A repeated decision keeps its original version.
    expect(takeAll([rights(false, 10), 30], [login("password", "s1", 11), 31])).toEqual([
      20,
      "active",
      21,
      "s2",
    ]);
    const removed: LogEvent = { type: "user_changed", userId: "ada", change: "removed" };
    expect(takeAll([removed, 15], [login("removed", null), 16])).toEqual([15, undefined, 16, null]);
    expect(takeAll([rights(true), 40], [login("password", "s3"), 41])).toEqual([15, undefined, 16, null]);
    clock.advance(60 * minute);
    take(view, entry({ ...changed, userId: "bob" }, 50, clock.now()));
    expect([view.cache.rightsDecisions.size, view.cache.loginChanges.size]).toEqual([0, 0]);
  });

  it("applies an entry that reuses another's position after the log went back in time", () => {
    const { clock, view } = viewAt();
    const at = { position: "7-1", at: clock.now(), version: 5 };
    expect(take(view, { ...at, event: { ...changed, mac: "one" } })).toBeDefined();
    expect(take(view, { ...at, event: { ...changed, mac: "one" } })).toBeUndefined();
    expect(take(view, { ...at, event: { ...changed, userId: "bob", mac: "two" } })).toBeDefined();
  });

  it("never calls a token live whose session or user was revoked, whenever it was issued and asked", () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("advance" as const), ms: fc.integer({ min: 0, max: 40 * minute }) }),
      fc.record({
        kind: fc.constant("wall" as const),
        ms: fc.integer({ min: -90 * minute, max: 90 * minute }),
      }),
      fc.record({ kind: fc.constant("noise" as const) }),
    );
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 12 }),
        fc.integer({ min: 0, max: 11 }),
        fc.boolean(),
        fc.integer({ min: -minute + 1000, max: 0 }),
        (steps, revokeAt, byUser, skew) => {
          const { clock, view } = viewAt();
          const issued = principal({ tokenIssuedAt: clock.now() - skew, epoch: 1 });
          let dead = false;
          for (const [place, action] of steps.entries()) {
            if (place === revokeAt) {
              take(view, entry(byUser ? raised() : revoked(["s1"]), 2, clock.now()));
              dead = true;
            }
            if (action.kind === "advance") clock.advance(action.ms);
            else if (action.kind === "wall") clock.setWall(clock.now() + action.ms);
            else take(view, entry(revoked(["other"]), 3, clock.now()));
            if (dead) expect(view.judge(issued).state).not.toBe("live");
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
