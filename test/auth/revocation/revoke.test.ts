import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { AuthError } from "../../../src/auth/errors.ts";
import { newId } from "../../../src/auth/ids.ts";
import { indexKeys, recordKeys } from "../../../src/auth/record-keys.ts";
import type { SecurityEvent } from "../../../src/auth/revocation/security-events.ts";
import { sessionPut } from "../../../src/auth/sessions/session-record.ts";
import { type LogEntry, readRecord } from "../../../src/auth/store.ts";
import { home, startAuthority, type TestAuthority } from "../../support/authority.ts";
import { handClock } from "../../support/hand-clock.ts";
import { type InterposedStore, interposedEmbeddedStore } from "../../support/interposed-store.ts";
import { refusal } from "../../support/refusal.ts";

let node: TestAuthority;
let store: InterposedStore;
let closeStore: () => Promise<void>;

beforeAll(async () => {
  const clock = handClock();
  ({ store, close: closeStore } = await interposedEmbeddedStore(clock));
  node = await startAuthority({ store, clock });
});
afterAll(async () => {
  await node.stop();
  await closeStore();
});

let made = 0;
const someone = async () => {
  made += 1;
  return (await node.user(`user${made}`)).user.id;
};
const revocation = () => node.authority.revocation;
const isLive = async (sessionId: string) => (await node.authority.sessions.get(sessionId)) !== undefined;
const refresh = (refreshToken: string) =>
  node.authority.sessions.refresh({ refreshToken, clientId: "https://app.example/", peer: home });

/** Listens like a hub: returns that it closed one socket for each event. */
async function heard<Result>(work: () => Promise<Result>) {
  const cuts: SecurityEvent[] = [];
  const undo = revocation().onSecurityEvent((cut) => {
    cuts.push(cut);
    return 1;
  });
  const result = await work();
  undo();
  return { cuts, result };
}

/** Creates many sessions without the cost of opening each. */
async function openMany(userId: string, count: number): Promise<readonly string[]> {
  const { session } = await node.open(userId);
  const ids = Array.from({ length: count - 1 }, newId);
  for (let start = 0; start < ids.length; start += 200) {
    const some = ids.slice(start, start + 200);
    await store.commit({
      put: some.map((id) => sessionPut({ ...session, id })),
      link: some.map((member) => ({ index: indexKeys.sessionsOf(userId), member })),
    });
  }
  return [session.id, ...ids];
}

describe("revoking sessions", () => {
  it("ends the named ones, leaves the others, and reports what it did", async () => {
    const userId = await someone();
    const [first, second] = [await node.open(userId), await node.open(userId)];
    const target = { kind: "sessions", userId, sessionIds: [first.session.id, first.session.id] } as const;
    const { cuts, result } = await heard(() => revocation().revoke(target, "session_revoked"));
    expect(result).toMatchObject({ sessions: 1, socketsClosed: 1, effective: "all" });
    expect(cuts).toEqual([
      { kind: "sessions", userId, sessionIds: [first.session.id], cause: "session_revoked" },
    ]);
    expect([await isLive(first.session.id), await isLive(second.session.id)]).toEqual([false, true]);
    expect(await refusal(refresh(first.refreshToken))).toBe("invalid_grant");
    expect(await refusal(refresh(second.refreshToken))).toBe("accepted");
  });

  it("leaves a tombstone until the last access token has expired, and no index member", async () => {
    const userId = await someone();
    const { session } = await node.open(userId);
    await revocation().revoke({ kind: "sessions", userId, sessionIds: [session.id] }, "token_reused");
    const tombstone = () => readRecord(store, recordKeys.session(session.id));
    expect((await tombstone())?.value).toMatchObject({
      revokedAt: node.clock.now(),
      revokedCause: "token_reused",
    });
    expect(await store.list(indexKeys.sessionsOf(userId), { limit: 10 })).toEqual([]);
    node.clock.advance(session.accessTokenTtl);
    expect(await tombstone()).toBeDefined();
    node.clock.advance(2 * 3_600_000);
    expect(await tombstone()).toBeUndefined();
  });

  it("ends nothing the second time, nor for ids that never existed", async () => {
    const userId = await someone();
    const { session } = await node.open(userId);
    const target = { kind: "sessions", userId, sessionIds: [session.id, newId()] } as const;
    await revocation().revoke(target, "session_revoked");
    const { cuts, result } = await heard(() => revocation().revoke(target, "session_revoked"));
    expect(result).toMatchObject({ sessions: 0, socketsClosed: 0 });
    expect(cuts).toEqual([]);
    const none = { kind: "sessions", userId, sessionIds: [] } as const;
    expect(await revocation().revoke(none, "session_revoked")).toMatchObject({ sessions: 0 });
  });

  it("counts no session that had expired, named or not", async () => {
    const userId = await someone();
    const { session } = await node.open(userId);
    const expired = (session.expiresAt ?? 0) - node.clock.now() + 60_000;
    node.clock.advance(expired);
    const named = { kind: "sessions", userId, sessionIds: [session.id] } as const;
    expect(await revocation().revoke(named, "session_revoked")).toMatchObject({ sessions: 0 });
    const { session: other } = await node.open(userId);
    expect(other.expiresAt).not.toBeNull();
    expect(await revocation().revoke({ kind: "user", userId }, "session_revoked")).toMatchObject({
      sessions: 1,
    });
  });

  it("does not touch another user's session, whatever user id is given", async () => {
    const [ada, eve] = [await someone(), await someone()];
    const { session } = await node.open(ada);
    const target = { kind: "sessions", userId: eve, sessionIds: [session.id] } as const;
    expect(await revocation().revoke(target, "session_revoked")).toMatchObject({ sessions: 0 });
    expect(await isLive(session.id)).toBe(true);
  });

  it("wins against a refresh that never stops", async () => {
    const userId = await someone();
    const { session, refreshToken } = await node.open(userId);
    let going = true;
    let newest = refreshToken;
    const refreshing = (async () => {
      while (going) newest = (await refresh(newest)).refreshToken ?? newest;
    })();
    const ended = refusal(refreshing);
    await revocation().revoke({ kind: "sessions", userId, sessionIds: [session.id] }, "session_revoked");
    expect(await ended).toBe("invalid_grant");
    going = false;
    expect(await isLive(session.id)).toBe(false);
  });

  it("accepts a list of any length, with `also` in its last commit", async () => {
    const userId = await someone();
    const ids = await openMany(userId, 600);
    const key = recordKeys.credential(newId());
    const put = [{ key, value: { gone: true } }];
    const target = { kind: "sessions", userId, sessionIds: ids } as const;
    const { cuts, result } = await heard(() =>
      revocation().revoke(target, "credential_removed", { also: { put } }),
    );
    expect(result).toMatchObject({ sessions: 600, socketsClosed: 3 });
    expect(cuts.flatMap((cut) => (cut.kind === "sessions" ? cut.sessionIds : [])).toSorted()).toEqual(
      [...ids].sort(),
    );
    expect(await node.authority.sessions.list(userId)).toEqual([]);
    const also = await readRecord(store, key);
    const last = await readRecord(store, recordKeys.session(ids.at(-1) ?? ""));
    expect(also?.version).toBe(last?.version);
  });

  it("fails as a whole when `also` is in conflict", async () => {
    const userId = await someone();
    const { session } = await node.open(userId);
    const also = { check: [{ key: recordKeys.user(userId), version: 1 }] };
    const target = { kind: "sessions", userId, sessionIds: [session.id] } as const;
    expect(await refusal(revocation().revoke(target, "session_revoked", { also }))).toBe("conflict");
    expect(await isLive(session.id)).toBe(true);
  });

  it("ends a session whose record cannot be read", async () => {
    const userId = await someone();
    const { session } = await node.open(userId);
    await store.commit({ put: [{ key: recordKeys.session(session.id), value: { damaged: true } }] });
    expect(await refusal(node.authority.sessions.get(session.id))).toBe("unavailable");
    const target = { kind: "sessions", userId, sessionIds: [session.id] } as const;
    expect(await revocation().revoke(target, "session_revoked")).toMatchObject({ sessions: 1 });
    expect(await isLive(session.id)).toBe(false);
  });
});

describe("revoking a user", () => {
  it("ends any number of sessions, and removes them", async () => {
    const userId = await someone();
    await openMany(userId, 600);
    const { cuts, result } = await heard(() =>
      revocation().revoke({ kind: "user", userId }, "session_revoked"),
    );
    expect(result).toMatchObject({ sessions: 600, socketsClosed: 1 });
    expect(cuts).toMatchObject([{ kind: "user", userId, except: null, cause: "session_revoked" }]);
    expect(await store.list(indexKeys.sessionsOf(userId), { limit: 10 })).toEqual([]);
    expect(await revocation().revoke({ kind: "user", userId }, "session_revoked")).toMatchObject({
      sessions: 0,
    });
  });

  it("ends a session that is being opened: its commit fails", async () => {
    const userId = await someone();
    store.beforeCommit(
      (step) => step.link?.some(({ index }) => index === indexKeys.sessionsOf(userId)) ?? false,
      () => revocation().revoke({ kind: "user", userId }, "password_changed"),
    );
    expect(await refusal(node.open(userId))).toBe("conflict");
    expect(await node.authority.sessions.list(userId)).toEqual([]);
  });

  it("spares one session with its tokens, until the next time", async () => {
    const userId = await someone();
    const [own, other] = [await node.open(userId), await node.open(userId)];
    const verdict = async (accessToken: string) =>
      (await node.authority.authentication.authenticate(accessToken, home)).ok;
    const target = { kind: "user", userId, except: own.session.id } as const;
    const { cuts, result } = await heard(() => revocation().revoke(target, "password_changed"));
    expect(result).toMatchObject({ sessions: 1 });
    expect(cuts).toMatchObject([{ kind: "user", except: own.session.id }]);
    expect([await verdict(own.accessToken), await verdict(other.accessToken)]).toEqual([true, false]);
    const next = await refresh(own.refreshToken);
    expect(await verdict(next.accessToken)).toBe(true);
    expect(await refusal(refresh(other.refreshToken))).toBe("invalid_grant");
    await revocation().revoke({ kind: "user", userId }, "session_revoked");
    expect([await verdict(own.accessToken), await verdict(next.accessToken)]).toEqual([false, false]);
  });

  it("does nothing if the session to spare is dead, another user's, or ended at the same moment", async () => {
    const [ada, eve] = [await someone(), await someone()];
    const [dead, hers, evil] = [await node.open(ada), await node.open(ada), await node.open(eve)];
    await revocation().revoke(
      { kind: "sessions", userId: ada, sessionIds: [dead.session.id] },
      "session_revoked",
    );
    for (const except of [evil.session.id, dead.session.id, newId()]) {
      const revoking = revocation().revoke({ kind: "user", userId: ada, except }, "password_changed");
      expect(await refusal(revoking)).toBe("unauthorized");
    }
    expect([await isLive(hers.session.id), await isLive(evil.session.id)]).toEqual([true, true]);
    const last = await node.open(ada);
    store.beforeCommit(
      (step) => step.bumpEpochs !== undefined && step.bumpEpochs.length > 0,
      () =>
        revocation().revoke(
          { kind: "sessions", userId: ada, sessionIds: [last.session.id] },
          "session_revoked",
        ),
    );
    const revoking = revocation().revoke(
      { kind: "user", userId: ada, except: last.session.id },
      "password_changed",
    );
    expect(await refusal(revoking)).toBe("unauthorized");
    expect([await isLive(last.session.id), await isLive(hers.session.id)]).toEqual([false, true]);
  });

  it("spares a session that is refreshed at the same moment, in its newest generation", async () => {
    const userId = await someone();
    const { session, refreshToken } = await node.open(userId);
    store.beforeCommit(
      (step) => step.bumpEpochs !== undefined && step.bumpEpochs.length > 0,
      () => refresh(refreshToken),
    );
    await revocation().revoke({ kind: "user", userId, except: session.id }, "password_changed");
    expect(await node.authority.sessions.get(session.id)).toMatchObject({ generation: 2 });
  });

  it("holds from its commit on, also if removing the records fails after it", async () => {
    const userId = await someone();
    const { session, refreshToken } = await node.open(userId);
    const robot = await node.authority.sessions.openLongLived({
      userId,
      clientName: "robot",
      clientIcon: null,
      days: 10,
    });
    const { list } = store;
    store.list = () => Promise.reject(new AuthError("unavailable"));
    const { cuts, result } = await heard(() =>
      revocation().revoke({ kind: "user", userId }, "session_revoked"),
    );
    store.list = list;
    expect(result).toMatchObject({ sessions: null, socketsClosed: 1 });
    expect(cuts).toHaveLength(1);
    expect(await store.list(indexKeys.sessionsOf(userId), { limit: 10 })).toHaveLength(2);
    expect(await isLive(session.id)).toBe(false);
    expect(await node.authority.sessions.list(userId)).toEqual([]);
    expect(await refusal(refresh(refreshToken))).toBe("invalid_grant");
    node.clock.advance(3 * 3_600_000);
    await someone();
    const verdict = await node.authority.authentication.authenticate(robot.accessToken, home);
    expect(verdict).toMatchObject({ ok: false });
  });

  it("bumps no epoch if `also` is in conflict", async () => {
    const userId = await someone();
    const { session } = await node.open(userId);
    const also = { check: [{ key: recordKeys.user(userId), version: 1 }] };
    const work = revocation().revoke({ kind: "user", userId }, "user_removed", { also });
    expect(await refusal(work)).toBe("conflict");
    expect(await isLive(session.id)).toBe(true);
  });
});

describe("listeners of revocations", () => {
  it("are called before a revoke returns, once each, also if the log delivers it first or again", async () => {
    const userId = await someone();
    const { session } = await node.open(userId);
    const entries: LogEntry[] = [];
    const follower = store.follow(node.clock.now(), (some) => entries.push(...some));
    await follower.caughtUp;
    const { cuts } = await heard(async () => {
      await revocation().revoke({ kind: "sessions", userId, sessionIds: [session.id] }, "session_revoked");
      revocation().apply(entries);
    });
    await follower.stop();
    expect(cuts).toEqual([{ kind: "sessions", userId, sessionIds: [session.id], cause: "session_revoked" }]);
  });

  it("are called for this node's own revokes whether or not its feed is up to date", async () => {
    const unfed = await node.another({ fed: false });
    const userId = await someone();
    const { session, accessToken } = await node.open(userId);
    const principal = await node.principal(accessToken);
    const cuts: SecurityEvent[] = [];
    unfed.authority.revocation.onSecurityEvent((cut) => cuts.push(cut));
    const target = { kind: "sessions", userId, sessionIds: [session.id] } as const;
    const receipt = await unfed.authority.revocation.revoke(target, "session_revoked");
    expect(receipt).toMatchObject({ sessions: 1, socketsClosed: 1 });
    expect(cuts).toEqual([{ kind: "sessions", userId, sessionIds: [session.id], cause: "session_revoked" }]);
    expect(unfed.authority.revocation.view.judge(principal).state).toBe("dead");
    await unfed.stop();
  });

  it("are all called when one of them throws, and the revoke holds", async () => {
    const faults: unknown[] = [];
    const other = await startAuthority({ store, clock: node.clock, onFault: (error) => faults.push(error) });
    const userId = await someone();
    const { session } = await node.open(userId);
    const broken = new Error("a broken listener");
    let reported = 0;
    other.authority.revocation.onSecurityEvent(() => {
      throw broken;
    });
    const undo = other.authority.revocation.onSecurityEvent(() => {
      reported += 1;
      return 2;
    });
    const target = { kind: "sessions", userId, sessionIds: [session.id] } as const;
    const receipt = await other.authority.revocation.revoke(target, "session_revoked");
    expect(receipt).toMatchObject({ sessions: 1, socketsClosed: 2 });
    expect([reported, faults]).toEqual([1, [broken]]);
    undo();
    await other.authority.revocation.revoke({ kind: "user", userId }, "session_revoked");
    expect(reported).toBe(1);
    await other.stop();
  });
});
