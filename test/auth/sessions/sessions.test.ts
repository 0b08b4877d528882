import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { newId } from "../../../src/auth/ids.ts";
import type { Session, User } from "../../../src/auth/model.ts";
import { indexKeys, recordKeys } from "../../../src/auth/record-keys.ts";
import type { SecurityEvent } from "../../../src/auth/revocation/security-events.ts";
import { readRecord, type Step } from "../../../src/auth/store.ts";
import { userPut } from "../../../src/auth/users/user-record.ts";
import { home, ownerLogin, startAuthority, type TestAuthority } from "../../support/authority.ts";
import { handClock } from "../../support/hand-clock.ts";
import { type InterposedStore, interposedEmbeddedStore } from "../../support/interposed-store.ts";
import { refusal } from "../../support/refusal.ts";

const day = 86_400_000;
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
const someone = async (): Promise<User> => {
  made += 1;
  return (await node.user(`user${made}`)).user;
};
const sessions = () => node.authority.sessions;
const versionOf = async (sessionId: string) =>
  (await readRecord(store, recordKeys.session(sessionId)))?.version ?? 0;
const makesSession = (step: Step) => step.link?.some(({ index }) => index.startsWith("sessions-of")) ?? false;

describe("a session that is revoked during its own request", () => {
  const endAll = (userId: string) => () =>
    node.authority.revocation.revoke({ kind: "user", userId }, "session_revoked");

  it("gets no long-lived token, which would outlive the revocation", async () => {
    const user = await someone();
    const { session } = await node.open(user.id);
    store.beforeCommit(makesSession, endAll(user.id));
    const opening = sessions().openLongLived({
      userId: user.id,
      clientName: "robot",
      clientIcon: null,
      days: 3650,
      askedBy: session.id,
    });
    expect(await refusal(opening)).toBe("unauthorized");
    expect(await sessions().list(user.id)).toEqual([]);
  });

  it("changes no password", async () => {
    const user = await someone();
    const { accessToken } = await node.open(user.id);
    const principal = await node.principal(accessToken);
    const writes = (step: Step) => step.put?.some(({ key }) => key.startsWith("password:")) ?? false;
    store.beforeCommit(writes, endAll(user.id));
    const { password } = ownerLogin;
    const { localLogins } = node.authority;
    const change = (next: string) => localLogins.changeOwnPassword(principal, password, next, home);
    expect(await refusal(change("a thief's new password"))).toBe("unauthorized");
    const again = await node.principal((await node.open(user.id)).accessToken);
    await localLogins.changeOwnPassword(again, password, "the owner's new password", home);
  });
});

describe("opening a session", () => {
  it("stores user, credential, client, address and expiry", async () => {
    const user = await someone();
    const { session, accessToken, principal } = await node.open(user.id, {
      clientName: "Kitchen",
    });
    const now = node.clock.now();
    const [credential] = await node.authority.credentials.list(user.id);
    expect(session).toMatchObject({
      userId: user.id,
      type: "normal",
      clientId: "https://app.example/",
      clientName: "Kitchen",
      credentialId: credential?.id,
      providerType: "homeassistant",
      createdAt: now,
      lastUsedAt: now,
      lastUsedIp: home.address,
      expiresAt: now + 90 * day,
      generation: 1,
      amr: ["pwd"],
    });
    expect(principal.tokenExpiresAt).toBe(now + 1_800_000);
    expect(await node.principal(accessToken)).toMatchObject({ sessionId: session.id, epoch: 0 });
    expect(await sessions().get(session.id)).toEqual(session);
  });

  it("gives a system user a session that does not expire", async () => {
    const user: User = {
      id: newId(),
      name: "Supervisor",
      isOwner: false,
      state: "active",
      systemGenerated: true,
      localOnly: false,
      groupIds: ["system-admin"],
      createdAt: node.clock.now(),
    };
    await store.commit({ put: [userPut(user)] });
    const { session } = await node.open(user.id, { clientId: null, credential: null });
    expect(session).toMatchObject({ type: "system", expiresAt: null });
  });

  it("fails if the user, the epoch or a record that it was decided on changed meanwhile", async () => {
    const user = await someone();
    const { authority } = node;
    const evidence = recordKeys.code("evidence");
    await store.commit({ put: [{ key: evidence, value: {} }] });
    const version = (await readRecord(store, evidence))?.version ?? 0;
    const changes: readonly (() => Promise<unknown>)[] = [
      () => authority.users.update(user.id, { name: `${made} again` }),
      () => authority.revocation.revoke({ kind: "user", userId: user.id }, "session_revoked"),
      () => store.commit({ put: [{ key: evidence, value: { changed: true } }] }),
    ];
    for (const change of changes) {
      store.beforeCommit(makesSession, change);
      const also = { check: [{ key: evidence, version }] };
      expect(await refusal(node.open(user.id, { also }))).toBe("conflict");
    }
    expect(await sessions().list(user.id)).toEqual([]);
  });

  it("commits `also` in the same step, and passes it the session's id", async () => {
    const user = await someone();
    const key = recordKeys.code("used");
    const { session } = await node.open(user.id, {
      also: (sessionId) => ({ put: [{ key, value: { used_by: sessionId } }] }),
    });
    const record = await readRecord(store, key);
    expect(record?.value).toEqual({ used_by: session.id });
    expect(record?.version).toBe(await versionOf(session.id));
  });

  it("removes collected sessions from the index, also for a user who never lists them", async () => {
    const user = await someone();
    const index = indexKeys.sessionsOf(user.id);
    for (let count = 0; count < 30; count += 1) await node.open(user.id);
    node.clock.advance(91 * day);
    // Each login looks at a random part of the index. 90 of them leave ten in less than one of a million runs.
    for (let count = 0; count < 90; count += 1) await node.open(user.id);
    // 90 that are live, and few of the 30 that were collected.
    expect((await store.list(index, { limit: 200 })).length).toBeLessThan(100);
    expect(await sessions().list(user.id)).toHaveLength(90);
    expect(await store.list(index, { limit: 200 })).toHaveLength(90);
  });
});

describe("a long-lived token", () => {
  const issue = (userId: string, clientName: string, days = 10) =>
    sessions().openLongLived({ userId, clientName, clientIcon: "mdi:robot", days });

  it("lives for its days, as its session does", async () => {
    const user = await someone();
    const { session, accessToken } = await issue(user.id, "robot", 3650);
    expect(session).toMatchObject({
      type: "long_lived_access_token",
      clientId: null,
      credentialId: null,
      lastUsedAt: null,
      clientName: "robot",
      clientIcon: "mdi:robot",
      expiresAt: node.clock.now() + 3650 * day,
    });
    expect(await node.principal(accessToken)).toMatchObject({
      sessionType: "long_lived_access_token",
      tokenExpiresAt: node.clock.now() + 3650 * day,
    });
  });

  it("is still accepted years later, across key rotations", async () => {
    const user = await someone();
    const { accessToken, session } = await issue(user.id, "old robot", 3650);
    for (let year = 0; year < 3; year += 1) {
      node.clock.advance(365 * day);
      await node.authority.keyring.rotate({ leadMs: 0 });
    }
    expect(await node.principal(accessToken)).toMatchObject({ sessionId: session.id });
  });

  it("has a unique name among the user's live ones", async () => {
    const [ada, bob] = [await someone(), await someone()];
    const first = await issue(ada.id, "robot", 1);
    expect(await refusal(issue(ada.id, "robot"))).toBe("client_name_exists");
    expect(await refusal(issue(bob.id, "robot"))).toBe("accepted");
    node.clock.advance(day);
    expect(await refusal(issue(ada.id, "robot"))).toBe("accepted");
    const live = await sessions().list(ada.id);
    expect(live.map(({ id }) => id)).not.toContain(first.session.id);
    await node.authority.revocation.revoke(
      { kind: "sessions", userId: ada.id, sessionIds: live.map(({ id }) => id) },
      "session_revoked",
    );
    expect(await refusal(issue(ada.id, "robot"))).toBe("accepted");
  });

  it("is created once if 20 requests ask for the same name at once", async () => {
    const user = await someone();
    const answers = await Promise.all(Array.from({ length: 20 }, () => refusal(issue(user.id, "the one"))));
    expect(answers.filter((answer) => answer === "accepted")).toHaveLength(1);
    expect(new Set(answers)).toEqual(new Set(["accepted", "client_name_exists"]));
    expect(await sessions().list(user.id)).toHaveLength(1);
  });

  it("is refused for a missing or inactive user, and for an invalid lifespan or name", async () => {
    const user = await someone();
    await node.authority.users.update(user.id, { isActive: false });
    expect(await refusal(issue(user.id, "x"))).toBe("access_denied");
    expect(await refusal(issue(newId(), "x"))).toBe("access_denied");
    const active = await someone();
    for (const days of [0, -1, 1.5, 3651, Number.NaN, Number.POSITIVE_INFINITY])
      expect(await refusal(issue(active.id, "x", days))).toBe("invalid_format");
    for (const name of ["", "   ", "x".repeat(129)])
      expect(await refusal(issue(active.id, name))).toBe("invalid_format");
  });

  it("is refused if the user is deactivated between the read and the commit", async () => {
    const user = await someone();
    store.beforeCommit(makesSession, () => node.authority.users.update(user.id, { isActive: false }));
    expect(await refusal(issue(user.id, "x"))).toBe("access_denied");
  });
});

describe("the list of sessions", () => {
  it("has the user's live ones, oldest first", async () => {
    const user = await someone();
    const opened: Session[] = [];
    for (let count = 0; count < 12; count += 1) {
      node.clock.advance(1);
      opened.push((await node.open(user.id)).session);
    }
    const [revoked, ...rest] = opened;
    if (revoked === undefined) throw new Error("none opened");
    await node.authority.revocation.revoke(
      { kind: "sessions", userId: user.id, sessionIds: [revoked.id] },
      "session_revoked",
    );
    expect((await sessions().list(user.id)).map(({ id }) => id)).toEqual(rest.map(({ id }) => id));
  });
});

describe("the session of a refresh token", () => {
  it("is found by a good one until the use of a successor, and by one that is over no more", async () => {
    const user = await someone();
    const { refreshToken: first, session } = await node.open(user.id, { rotates: true });
    const { clientId } = session;
    const use = async (refreshToken: string) =>
      (await sessions().refresh({ refreshToken, clientId, peer: home })).refreshToken ?? "";
    const isGood = async (token: string) => (await sessions().findByGoodRefreshToken(token)) !== undefined;
    const second = await use(first);
    expect([await isGood(first), await isGood(second)]).toEqual([true, true]);
    const third = await use(second);
    expect([await isGood(first), await isGood(second), await isGood(third)]).toEqual([false, true, true]);
    expect(await sessions().findByRefreshToken(first)).toMatchObject({ id: session.id });
  });
  it("is found by a token of any generation while it is live, and does not change", async () => {
    const user = await someone();
    const { session, refreshToken } = await node.open(user.id);
    const before = await versionOf(session.id);
    expect(await sessions().findByRefreshToken(refreshToken)).toMatchObject({ id: session.id });
    expect(await versionOf(session.id)).toBe(before);
    expect(await sessions().findByRefreshToken("garbage")).toBeUndefined();
    expect(await sessions().findByGoodRefreshToken("garbage")).toBeUndefined();
    await node.authority.revocation.revoke({ kind: "user", userId: user.id }, "session_revoked");
    expect(await sessions().findByRefreshToken(refreshToken)).toBeUndefined();
  });
});

describe("switching a session's expiry", () => {
  const switchOf = async (accessToken: string, sessionId: string, enabled: boolean) =>
    sessions().setExpiry(await node.principal(accessToken), sessionId, enabled);

  it("switches it off, and on again from the last use, and logs it", async () => {
    const user = await someone();
    const { session, accessToken } = await node.open(user.id);
    const cuts: SecurityEvent[] = [];
    const stop = node.authority.revocation.onSecurityEvent((cut) => {
      cuts.push(cut);
      return 0;
    });
    await switchOf(accessToken, session.id, false);
    expect(await sessions().expireIfDue(session.id)).toBeNull();
    await switchOf(accessToken, session.id, false);
    node.clock.advance(60_000);
    await switchOf(accessToken, session.id, true);
    stop();
    expect(await sessions().expireIfDue(session.id)).toBe((session.lastUsedAt ?? 0) + 90 * day);
    const change = { kind: "session_changed", sessionId: session.id };
    expect(cuts).toEqual([change, change]);
  });

  it("is refused for another user's session, a dead one and one of another type", async () => {
    const [ada, eve] = [await someone(), await someone()];
    const [hers, evil] = [await node.open(ada.id), await node.open(eve.id)];
    const { session: robot } = await sessions().openLongLived({
      userId: eve.id,
      clientName: "robot",
      clientIcon: null,
      days: 1,
    });
    for (const sessionId of [hers.session.id, robot.id, newId(), ""])
      expect(await refusal(switchOf(evil.accessToken, sessionId, false))).toBe("invalid_token_id");
    expect(await sessions().get(hers.session.id)).toMatchObject({ expiresAt: hers.session.expiresAt });
    const principal = await node.principal(evil.accessToken);
    await node.authority.revocation.revoke({ kind: "user", userId: eve.id }, "session_revoked");
    expect(await refusal(sessions().setExpiry(principal, evil.session.id, false))).toBe("invalid_token_id");
  });

  it("does not restore a session that is revoked at the same moment", async () => {
    const user = await someone();
    const { session, accessToken } = await node.open(user.id);
    store.beforeCommit(
      (step) => step.put?.some(({ key }) => key === recordKeys.session(session.id)) ?? false,
      () =>
        node.authority.revocation.revoke(
          { kind: "sessions", userId: user.id, sessionIds: [session.id] },
          "session_revoked",
        ),
    );
    expect(await refusal(switchOf(accessToken, session.id, false))).toBe("invalid_token_id");
    expect(await sessions().get(session.id)).toBeUndefined();
  });
});

describe("ending a session at its expiry", () => {
  it("returns the expiry while it is not reached, and revokes the session once it is", async () => {
    const user = await someone();
    const { session } = await node.open(user.id);
    expect(await sessions().expireIfDue(session.id)).toBe(session.expiresAt);
    node.clock.advance(90 * day);
    const cuts: SecurityEvent[] = [];
    const stop = node.authority.revocation.onSecurityEvent((cut) => {
      cuts.push(cut);
      return 1;
    });
    expect(await sessions().expireIfDue(session.id)).toBeUndefined();
    expect(await sessions().expireIfDue(session.id)).toBeUndefined();
    stop();
    expect(cuts).toEqual([
      { kind: "sessions", userId: session.userId, sessionIds: [session.id], cause: "session_expired" },
    ]);
    expect(await sessions().expireIfDue(newId())).toBeUndefined();
  });
});
