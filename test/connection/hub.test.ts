import { describe, expect, it } from "vitest";

import type { CloseName } from "../../protocol/close-codes.ts";
import { AuthError } from "../../src/auth/errors.ts";
import type { Principal, Rights, User } from "../../src/auth/model.ts";
import type { VersionedUser } from "../../src/auth/users/users.ts";
import type { HubMember } from "../../src/connection/hub.ts";
import { createTimerWheel } from "../../src/connection/timer-wheel.ts";
import { handClock } from "../support/hand-clock.ts";
import { principalOf, userOf } from "../support/people.ts";
import { testHub } from "../support/test-hub.ts";

interface TestMember extends HubMember {
  readonly cuts: CloseName[];
  rereads: number;
}

function setUp(read: (userId: string) => Promise<VersionedUser | undefined> = async () => undefined) {
  const clock = handClock();
  const wheel = createTimerWheel({ clock, onError: () => undefined });
  const changes: string[] = [];
  const hub = testHub({
    users: { read },
    limits: { socketsPerSession: 3, socketsPerUser: 4 },
    wheel,
    onEvent: (event) => {
      if (event.kind === "user_changed") changes.push(`${event.userId} ${event.change}`);
    },
  });
  let joined = 0;
  const join = (principal: Partial<Principal>, address = "192.168.1.7"): TestMember => {
    joined += 1;
    const member: TestMember = {
      principal: principalOf(principal),
      peer: { address },
      number: joined,
      since: 0,
      cuts: [],
      rereads: 0,
      cut(close) {
        const first = member.cuts.length === 0;
        member.cuts.push(close);
        if (first) hub.remove(member);
        return first;
      },
      endChanged() {
        member.rereads += 1;
      },
    };
    hub.add(member);
    return member;
  };
  return { hub, join, changes, clock, wheel };
}

const standing = (user: Partial<User>): VersionedUser => ({ user: userOf(user), version: 1, epoch: 1 });
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("hub", () => {
  it("says who is one too many of a session or a user, and forgets who left", () => {
    const { hub, join } = setUp();
    const first = ["s1", "s1", "s1"].map((sessionId) => join({ sessionId, userId: "u1" }));
    expect(first.map((member) => hub.isCrowded(member))).toEqual([false, false, false]);
    const fourth = join({ sessionId: "s1", userId: "u1" });
    expect(hub.isCrowded(fourth)).toBe(true);
    hub.remove(fourth);
    const other = join({ sessionId: "s2", userId: "u1" });
    expect(hub.isCrowded(other)).toBe(false);
    const fifth = join({ sessionId: "s3", userId: "u1" });
    expect(hub.isCrowded(fifth)).toBe(true);
    hub.remove(fifth);
    for (const member of first) hub.remove(member);
    const again = ["s1", "s1", "s4"].map((sessionId) => join({ sessionId, userId: "u1" }));
    expect(again.map((member) => hub.isCrowded(member))).toEqual([false, false, false]);
    expect(hub.isCrowded(join({ sessionId: "s1", userId: "u2" }))).toBe(false);
  });

  it("closes every socket of a revoked session and no other", () => {
    const { hub, join } = setUp();
    const revoked = [join({ sessionId: "s1" }), join({ sessionId: "s1" }), join({ sessionId: "s1" })];
    const other = join({ sessionId: "s2" });
    const closed = hub.apply({
      kind: "sessions",
      userId: "u1",
      sessionIds: ["s1", "nobody"],
      cause: "session_revoked",
    });
    expect(closed).toBe(3);
    expect(revoked.map(({ cuts }) => cuts)).toEqual([
      ["session_revoked"],
      ["session_revoked"],
      ["session_revoked"],
    ]);
    expect(other.cuts).toEqual([]);
    expect([hub.sockets, hub.sessions, hub.users]).toEqual([1, 1, 1]);
  });

  it("closes a user's sockets below the new epoch, but for the spared session", () => {
    const { hub, join } = setUp();
    const old = join({ userId: "u1", sessionId: "s1", epoch: 3 });
    const spared = join({ userId: "u1", sessionId: "s2", epoch: 3 });
    const newer = join({ userId: "u1", sessionId: "s3", epoch: 8 });
    const other = join({ userId: "u2", sessionId: "s4", epoch: 1 });
    const cut = { kind: "user", userId: "u1", epoch: 8, except: "s2", cause: "password_changed" } as const;
    expect(hub.apply(cut)).toBe(1);
    expect(hub.apply(cut)).toBe(0);
    expect([old, spared, newer, other].map(({ cuts }) => cuts)).toEqual([["password_changed"], [], [], []]);
  });

  it("counts a socket that was closing already as not closed by the cut", () => {
    const { hub, join } = setUp();
    const member = join({ sessionId: "s1" });
    member.cut("going_away");
    hub.add(member);
    expect(hub.apply({ kind: "sessions", userId: "u1", sessionIds: ["s1"], cause: "session_revoked" })).toBe(
      0,
    );
  });

  it("closes the remote sockets of a user who became local-only", async () => {
    const { hub, join } = setUp(async () => standing({ localOnly: true }));
    const near = join({ userId: "u1" });
    const far = join({ userId: "u1", sessionId: "s2" }, "203.0.113.9");
    hub.apply({ kind: "user_changed", userId: "u1", change: "updated" });
    await settled();
    expect([near.cuts, far.cuts]).toEqual([[], ["address_not_allowed"]]);
  });

  it("acts on the rights of an entry at once, and asks no store", async () => {
    let reads = 0;
    const { hub, join } = setUp(async () => {
      reads += 1;
      throw new AuthError("unavailable");
    });
    const near = join({ userId: "u1" });
    const far = join({ userId: "u1", sessionId: "s2" }, "203.0.113.9");
    const change = { kind: "user_changed", userId: "u1", change: "updated" } as const;
    const rights: Rights = { state: "active", localOnly: false, groupIds: [] };
    expect(hub.apply({ ...change, rights })).toBe(0);
    expect(hub.apply({ ...change, rights: { ...rights, localOnly: true } })).toBe(1);
    expect([near.cuts, far.cuts, reads]).toEqual([[], ["address_not_allowed"], 0]);
  });

  it("reads a changed user again until the store answers", async () => {
    let reads = 0;
    const { hub, join, clock, wheel } = setUp(async () => {
      reads += 1;
      if (reads < 3) throw new AuthError("unavailable");
      return standing({ localOnly: true });
    });
    const far = join({ userId: "u1" }, "203.0.113.9");
    hub.apply({ kind: "user_changed", userId: "u1", change: "updated" });
    await settled();
    clock.advance(1100);
    wheel.turn();
    await settled();
    expect([reads, far.cuts]).toEqual([2, []]);
    clock.advance(1100);
    wheel.turn();
    await settled();
    expect([reads, far.cuts]).toEqual([3, ["address_not_allowed"]]);
  });

  it("reads once more when the user changed during a read, which may have seen the state before", async () => {
    const answers: ((found: VersionedUser) => void)[] = [];
    const { hub, join } = setUp(() => new Promise((resolve) => answers.push(resolve)));
    const far = join({ userId: "u1" }, "203.0.113.9");
    hub.apply({ kind: "user_changed", userId: "u1", change: "updated" });
    hub.apply({ kind: "user_changed", userId: "u1", change: "updated" });
    expect(answers).toHaveLength(1);
    answers[0]?.(standing({ localOnly: false }));
    await settled();
    answers[1]?.(standing({ localOnly: true }));
    await settled();
    expect(far.cuts).toEqual(["address_not_allowed"]);
    expect(answers).toHaveLength(2);
  });

  it("touches no store for a changed user who is not here", async () => {
    let reads = 0;
    const { hub, changes } = setUp(async () => {
      reads += 1;
      return undefined;
    });
    hub.apply({ kind: "user_changed", userId: "u9", change: "updated" });
    hub.apply({ kind: "user_changed", userId: "u9", change: "removed" });
    await settled();
    expect(reads).toBe(0);
    expect(changes).toEqual(["u9 updated", "u9 removed"]);
  });

  it("tells a session's sockets that its end changed", () => {
    const { hub, join } = setUp();
    const member = join({ sessionId: "s1" });
    const other = join({ sessionId: "s2" });
    hub.apply({ kind: "session_changed", sessionId: "s1" });
    expect([member.rereads, other.rereads]).toEqual([1, 0]);
  });

  it("holds nothing of members that left", () => {
    const { hub, join } = setUp();
    const members = Array.from({ length: 50 }, (_, index) => join({ sessionId: `s${index % 5}` }));
    for (const member of members) hub.remove(member);
    expect([hub.sockets, hub.sessions, hub.users]).toEqual([0, 0, 0]);
  });
});
