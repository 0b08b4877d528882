import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { Session } from "../../../src/auth/model.ts";
import { indexKeys, recordKeys } from "../../../src/auth/record-keys.ts";
import { judgeGeneration } from "../../../src/auth/sessions/rotation-rule.ts";
import { readRecord, type Store } from "../../../src/auth/store.ts";
import { createRefreshTokens } from "../../../src/auth/tokens/refresh-tokens.ts";
import { createSealing } from "../../../src/auth/tokens/sealing.ts";
import { openRedisStore } from "../../../src/store/redis/redis-store.ts";
import { abroad, home, startAuthority, type TestAuthority } from "../../support/authority.ts";
import { handClock } from "../../support/hand-clock.ts";
import { type InterposedStore, interposedEmbeddedStore } from "../../support/interposed-store.ts";
import { startRedis } from "../../support/redis-server.ts";
import { refusal } from "../../support/refusal.ts";

const clientId = "https://app.example/";
const minute = 60_000;
const day = 86_400_000;

let node: TestAuthority;
let store: InterposedStore;
let userId: string;
let closeStore: () => Promise<void>;

beforeAll(async () => {
  const clock = handClock();
  ({ store, close: closeStore } = await interposedEmbeddedStore(clock));
  node = await startAuthority({ store, clock });
  userId = (await node.user("ada")).user.id;
});
afterAll(async () => {
  await node.stop();
  await closeStore();
});

const refresh = (refreshToken: string, more: object = {}, on = node) =>
  on.authority.sessions.refresh({ refreshToken, clientId, peer: home, ...more });
const stored = async (sessionId: string, from: Store = store) =>
  (await readRecord(from, recordKeys.session(sessionId)))?.value;

const refreshTokenOf = (sessionId: string, generation: number) =>
  createRefreshTokens(createSealing(node.secret)).issue(sessionId, generation);

async function rotated(refreshToken: string): Promise<string> {
  const next = (await refresh(refreshToken)).refreshToken;
  if (next === undefined) throw new Error("the session did not rotate");
  return next;
}

describe("a refresh of a session that rotates", () => {
  it("gives a new access token and the next refresh token", async () => {
    const { session, refreshToken } = await node.open(userId);
    node.clock.advance(minute);
    const grant = await refresh(refreshToken, { peer: abroad });
    expect(grant.refreshToken).not.toBe(refreshToken);
    expect(grant.session).toMatchObject({
      generation: 2,
      rotatedAt: node.clock.now(),
      lastUsedAt: node.clock.now(),
      lastUsedIp: abroad.address,
      expiresAt: node.clock.now() + 90 * day,
    });
    expect(grant.principal.tokenExpiresAt).toBe(node.clock.now() + 30 * minute);
    expect(await node.principal(grant.accessToken)).toMatchObject({ sessionId: session.id, userId });
  });

  it("works for a client that lost the response, at any later time and repeatedly, and with a response that arrives late", async () => {
    const { session, refreshToken } = await node.open(userId);
    const late = await rotated(refreshToken);
    node.clock.advance(30 * day);
    const again = await rotated(refreshToken);
    node.clock.advance(30 * day);
    expect(new Set([late, again, await rotated(refreshToken)]).size).toBe(3);
    expect(await stored(session.id)).toMatchObject({ generation: 4, lastUsedAt: node.clock.now() });
    node.clock.advance(minute);
    expect(await refusal(refresh(late))).toBe("accepted");
  });

  it("ends the session when two successors of one token are used, in either order", async () => {
    for (const victimFirst of [true, false]) {
      const { session, refreshToken: shared } = await node.open(userId);
      const victims = await rotated(shared);
      node.clock.advance(minute);
      const thiefs = await rotated(shared);
      node.clock.advance(25 * minute);
      const [one, other] = victimFirst ? [victims, thiefs] : [thiefs, victims];
      const next = await rotated(one);
      node.clock.advance(minute);
      expect(await refusal(refresh(other))).toBe("token_reused");
      expect(await refusal(refresh(next))).toBe("invalid_grant");
      expect(await stored(session.id)).toMatchObject({ revokedCause: "token_reused" });
    }
  });

  it("detects a second holder from another address at the second use, although each use follows at once", async () => {
    const { refreshToken: shared } = await node.open(userId);
    const victims = await rotated(shared);
    const { refreshToken: thiefs } = await refresh(shared, { peer: abroad });
    await rotated(victims);
    expect(await refusal(refresh(thiefs ?? "", { peer: abroad }))).toBe("token_reused");
  });

  it("accepts an invalidated token as a tab's from the address of the last rotation only", async () => {
    const { refreshToken } = await node.open(userId);
    await rotated(await rotated(refreshToken));
    expect(await refusal(refresh(refreshToken, { peer: abroad }))).toBe("token_reused");
  });

  it("compares IPv6 addresses by /64, because tabs may use several of them", async () => {
    const [one, other] = [{ address: "2001:db8::1:1" }, { address: "2001:db8::2:2" }];
    const { refreshToken } = await node.open(userId);
    const { refreshToken: next } = await refresh(refreshToken, { peer: one });
    expect((await refresh(refreshToken, { peer: other })).refreshToken).toBe(next);
  });

  it("reads a session record of an earlier version, which knows the newest token only", async () => {
    const { session, refreshToken } = await node.open(userId);
    const third = await rotated(await rotated(refreshToken));
    const { usedGeneration: _, firstSuccessor: __, ...before } = (await stored(session.id)) ?? {};
    const restore = () => store.commit({ put: [{ key: recordKeys.session(session.id), value: before }] });
    node.clock.advance(minute);
    for (const good of [third, refreshTokenOf(session.id, 2)]) {
      await restore();
      expect(await refusal(refresh(good))).toBe("accepted");
    }
    await restore();
    expect(await refusal(refresh(refreshToken))).toBe("token_reused");
  });

  it("accepts tabs that are two generations apart within ten seconds as one client", async () => {
    const { refreshToken } = await node.open(userId);
    const third = await rotated(await rotated(refreshToken));
    node.clock.advance(10_000);
    expect(await rotated(refreshToken)).toBe(third);
  });

  it("ends the session when a token two generations behind is used later", async () => {
    const { session, accessToken, refreshToken } = await node.open(userId);
    const third = await rotated(await rotated(refreshToken));
    node.clock.advance(10_001);
    expect(await refusal(refresh(refreshToken))).toBe("token_reused");
    expect(await refusal(refresh(third))).toBe("invalid_grant");
    expect(await refusal(refresh(refreshToken))).toBe("invalid_grant");
    expect(await node.authority.authentication.authenticate(accessToken, home)).toMatchObject({
      ok: false,
      close: "token_reused",
    });
    expect(await stored(session.id)).toMatchObject({ revokedCause: "token_reused" });
  });

  it("ends the session when a thief and a victim continue with one token, whoever was first", async () => {
    const { refreshToken: shared } = await node.open(userId);
    const ahead = await rotated(await rotated(shared));
    node.clock.advance(31 * minute);
    expect(await refusal(refresh(shared))).toBe("token_reused");
    expect(await refusal(refresh(ahead))).toBe("invalid_grant");
  });

  it("moves forward to a token that is ahead of a store that went back in time", async () => {
    const { session, refreshToken } = await node.open(userId);
    const before = await stored(session.id);
    let newest = refreshToken;
    for (let step = 0; step < 4; step += 1) newest = await rotated(newest);
    if (before === undefined) throw new Error("no session");
    await store.commit({ put: [{ key: recordKeys.session(session.id), value: before }] });
    const grant = await refresh(newest);
    expect(grant.session.generation).toBe(6);
    node.clock.advance(minute);
    expect(await refusal(refresh(refreshToken))).toBe("token_reused");
  });
});

describe("a refresh of a session that keeps its token", () => {
  it("issues access tokens and never another refresh token", async () => {
    const { session, refreshToken } = await node.open(userId, { rotates: false });
    for (let use = 0; use < 3; use += 1) {
      node.clock.advance(30 * minute);
      const grant = await refresh(refreshToken);
      expect(grant.refreshToken).toBeUndefined();
      expect(grant.session).toMatchObject({ generation: 1, lastUsedAt: node.clock.now() });
    }
    expect(await stored(session.id)).toMatchObject({ expiresAt: node.clock.now() + 90 * day });
  });
});

describe("a refresh", () => {
  it("by a clock that is behind does not shorten the expiry", async () => {
    const { session, refreshToken } = await node.open(userId);
    const now = node.clock.now();
    node.clock.setWall(now - 200 * day);
    const { session: used } = await refresh(refreshToken);
    node.clock.setWall(now);
    expect(used.expiresAt).toBe(session.expiresAt);
    expect(await stored(session.id)).toMatchObject({ expiresAt: session.expiresAt });
  });
});

describe("a refresh is refused", () => {
  it("for a token that was not issued here", async () => {
    const { session, refreshToken } = await node.open(userId);
    const foreign = createRefreshTokens(createSealing(randomBytes(32))).issue(session.id, 1);
    const flipped = refreshToken.slice(0, -1) + (refreshToken.endsWith("A") ? "E" : "A");
    for (const token of ["", "x", "ghr_", foreign, flipped, `${refreshToken}A`, "\0".repeat(54)])
      expect(await refusal(refresh(token)), token).toBe("invalid_grant");
    expect(await refusal(refresh(refreshToken))).toBe("accepted");
  });

  it("for another client, and the right client can still refresh", async () => {
    const { refreshToken } = await node.open(userId);
    for (const other of ["https://evil.example/", null, undefined, ""])
      expect(await refusal(refresh(refreshToken, { clientId: other }))).toBe("invalid_client");
    expect(await refusal(refresh(refreshToken))).toBe("accepted");
    const without = await node.open(userId, { clientId: null });
    expect(await refusal(refresh(without.refreshToken))).toBe("invalid_client");
    expect(await refusal(refresh(without.refreshToken, { clientId: undefined }))).toBe("accepted");
  });

  it("in band for any other session than the socket's own", async () => {
    const [own, other] = [await node.open(userId), await node.open(userId)];
    const inBand = { clientId: undefined, sessionId: own.session.id };
    expect(await refusal(refresh(other.refreshToken, inBand))).toBe("invalid_grant");
    expect(await refusal(refresh(own.refreshToken, inBand))).toBe("accepted");
    expect(await refusal(refresh(own.refreshToken, { ...inBand, clientId: "https://evil.example/" }))).toBe(
      "invalid_client",
    );
  });

  it("from a remote address for a local-only user", async () => {
    const { user } = await node.user("lola");
    const { refreshToken } = await node.open(user.id);
    await node.authority.users.update(user.id, { localOnly: true });
    const work = refresh(refreshToken, { peer: abroad });
    await expect(work).rejects.toMatchObject({
      code: "access_denied",
      publicMessage: "User cannot authenticate remotely",
    });
    const grant = await refresh(refreshToken);
    expect(await node.principal(grant.accessToken)).toMatchObject({ localOnly: true });
  });

  it("for a long-lived session, which has no refresh token", async () => {
    const { session } = await node.authority.sessions.openLongLived({
      userId,
      clientName: "no refresh",
      clientIcon: null,
      days: 10,
    });
    const token = createRefreshTokens(createSealing(node.secret)).issue(session.id, 1);
    expect(await refusal(refresh(token, { clientId: undefined }))).toBe("invalid_grant");
  });

  it("after the session's expiry, which is then committed and logged", async () => {
    const { session, refreshToken } = await node.open(userId);
    const causes: unknown[] = [];
    const stop = node.authority.revocation.onSecurityEvent((cut) => {
      causes.push(cut);
      return 0;
    });
    node.clock.advance(90 * day);
    expect(await refusal(refresh(refreshToken))).toBe("invalid_grant");
    stop();
    expect(causes).toEqual([
      { kind: "sessions", userId: session.userId, sessionIds: [session.id], cause: "session_expired" },
    ]);
    expect(await stored(session.id)).toMatchObject({ revokedCause: "session_expired" });
  });

  it("for a session that this node knows to be over, although the store went back to before its end", async () => {
    const { session, refreshToken } = await node.open(userId);
    const before = await stored(session.id);
    if (before === undefined) throw new Error("no session");
    await node.authority.revocation.revoke(
      { kind: "sessions", userId, sessionIds: [session.id] },
      "session_revoked",
    );
    await store.commit({ put: [{ key: recordKeys.session(session.id), value: before }] });
    expect(await refusal(refresh(refreshToken))).toBe("unavailable");
  });

  it("for a user who was removed", async () => {
    const { user } = await node.user("gone");
    const { refreshToken } = await node.open(user.id);
    await node.authority.users.remove(user.id);
    expect(await refusal(refresh(refreshToken))).toBe("invalid_grant");
  });
});

describe("a change between the read and the commit of a refresh", () => {
  const writesSession = (sessionId: string) => (step: Parameters<Store["commit"]>[0]) =>
    step.check?.some(({ key }) => key === recordKeys.session(sessionId)) ?? false;

  it("wins if it revokes the session", async () => {
    const { session, refreshToken } = await node.open(userId);
    store.beforeCommit(writesSession(session.id), () =>
      node.authority.revocation.revoke(
        { kind: "sessions", userId, sessionIds: [session.id] },
        "session_revoked",
      ),
    );
    expect(await refusal(refresh(refreshToken))).toBe("invalid_grant");
  });

  it("wins if it revokes all sessions of the user", async () => {
    const { user } = await node.user("nora");
    const { session, refreshToken } = await node.open(user.id);
    store.beforeCommit(writesSession(session.id), () =>
      node.authority.revocation.revoke({ kind: "user", userId: user.id }, "session_revoked"),
    );
    expect(await refusal(refresh(refreshToken))).toBe("invalid_grant");
  });

  it("wins if it makes the user local-only", async () => {
    const { user } = await node.user("otto");
    const { session, refreshToken } = await node.open(user.id);
    store.beforeCommit(writesSession(session.id), () =>
      node.authority.users.update(user.id, { localOnly: true }),
    );
    expect(await refusal(refresh(refreshToken, { peer: abroad }))).toBe("access_denied");
  });
});

describe("a refresh in band, on this node's last snapshot", () => {
  const inBand = (session: Session, refreshToken: string, on = node) =>
    refresh(refreshToken, { sessionId: session.id, clientId: undefined }, on);

  it("is one commit from the second on", async () => {
    const { session, refreshToken } = await node.open(userId);
    let newest = refreshToken;
    for (const [get, generation] of [
      [2, 2],
      [0, 3],
      [0, 4],
    ]) {
      Object.assign(store.calls, { get: 0, commit: 0 });
      const grant = await inBand(session, newest);
      newest = grant.refreshToken ?? "";
      expect(grant.session.generation).toBe(generation);
      expect(store.calls).toEqual({ get, commit: 1 });
    }
    expect(await stored(session.id)).toMatchObject({ generation: 4 });
  });

  it("continues from another node's change of the session", async () => {
    const other = await node.another();
    const { session, refreshToken } = await node.open(userId);
    const second = (await inBand(session, refreshToken)).refreshToken ?? "";
    const third = (await inBand(session, second, other)).refreshToken ?? "";
    const grant = await inBand(session, third);
    expect(grant.session.generation).toBe(4);
    await other.stop();
  });

  it("refuses nobody because of a stale snapshot: an extended expiry, a reactivated user, a second tab", async () => {
    const { user } = await node.user("emmy");
    const other = await node.another();
    const { session, refreshToken } = await node.open(user.id, { rotates: false });
    await inBand(session, refreshToken);
    node.clock.advance(89 * day);
    await inBand(session, refreshToken, other);
    node.clock.advance(2 * day);
    expect(await refusal(inBand(session, refreshToken))).toBe("accepted");

    await node.authority.users.update(user.id, { localOnly: true });
    const fromHome = { sessionId: session.id, clientId: undefined };
    await refresh(refreshToken, fromHome);
    expect(await refusal(refresh(refreshToken, { ...fromHome, peer: abroad }))).toBe("access_denied");
    await node.authority.users.update(user.id, { localOnly: false });
    expect(await refusal(refresh(refreshToken, { ...fromHome, peer: abroad }))).toBe("accepted");

    const turning = await node.open(user.id);
    const second = (await inBand(turning.session, turning.refreshToken)).refreshToken ?? "";
    const third = (await inBand(turning.session, second)).refreshToken ?? "";
    node.clock.advance(minute);
    await inBand(turning.session, third, other);
    expect(await refusal(inBand(turning.session, turning.refreshToken))).toBe("accepted");
    await other.stop();
  });

  it("is refused after a revoke on another node, of the session or of all the user's", async () => {
    const { user } = await node.user("lise");
    const other = await node.another();
    const [one, two] = [await node.open(user.id), await node.open(user.id)];
    const next = [await inBand(one.session, one.refreshToken), await inBand(two.session, two.refreshToken)];
    const { revocation } = other.authority;
    await revocation.revoke(
      { kind: "sessions", userId: user.id, sessionIds: [one.session.id] },
      "session_revoked",
    );
    expect(await refusal(inBand(one.session, next[0]?.refreshToken ?? ""))).toBe("invalid_grant");
    await revocation.revoke({ kind: "user", userId: user.id }, "session_revoked");
    expect(await refusal(inBand(two.session, next[1]?.refreshToken ?? ""))).toBe("invalid_grant");
    await other.stop();
  });

  it("ends the session when a token two generations behind is used later", async () => {
    const { session, refreshToken } = await node.open(userId);
    const second = (await inBand(session, refreshToken)).refreshToken ?? "";
    await inBand(session, second);
    node.clock.advance(10_001);
    expect(await refusal(inBand(session, refreshToken))).toBe("token_reused");
    expect(await stored(session.id)).toMatchObject({ revokedCause: "token_reused" });
  });
});

describe("the cost of a refresh", () => {
  it("is one read and one commit on a node that has seen the session", async () => {
    const { refreshToken } = await node.open(userId);
    const second = await rotated(refreshToken);
    Object.assign(store.calls, { get: 0, commit: 0 });
    await rotated(second);
    expect(store.calls).toEqual({ get: 1, commit: 1 });
  });

  it("is no write if nothing changed within some seconds", async () => {
    const { session, refreshToken } = await node.open(userId, { rotates: false });
    const version = async () => (await readRecord(store, recordKeys.session(session.id)))?.version;
    const before = await version();
    node.clock.advance(9_999);
    await refresh(refreshToken);
    expect(await version()).toBe(before);
    node.clock.advance(1);
    await refresh(refreshToken);
    expect(await version()).toBeGreaterThan(before ?? 0);
  });
});

/** 50 at once on two nodes: the session moves by one generation, all get the same token, none is refused. */
async function race(first: TestAuthority, from: Store, rotates: boolean) {
  const second = await first.another();
  const { user } = await first.user(`race-${randomBytes(4).toString("hex")}`);
  const { session, refreshToken } = await first.open(user.id, { rotates });
  const grants = await Promise.all(
    Array.from({ length: 50 }, (_, place) => refresh(refreshToken, {}, place % 2 === 0 ? first : second)),
  );
  expect(await stored(session.id, from)).toMatchObject({ generation: rotates ? 2 : 1 });
  expect(new Set(grants.map((grant) => grant.refreshToken)).size).toBe(1);
  for (const { accessToken } of grants.slice(0, 3)) await first.principal(accessToken);
  const [next] = grants;
  expect(await refusal(refresh(next?.refreshToken ?? refreshToken, {}, second))).toBe("accepted");
  expect(await from.list(indexKeys.sessionsOf(user.id), { limit: 10 })).toEqual([session.id]);
  await second.stop();
}

describe("50 refreshes of one token at once from two nodes", () => {
  it("make one generation on the embedded store", async () => {
    await race(node, store, true);
    await race(node, store, false);
  });

  it("make one generation on Redis", async () => {
    const redis = await startRedis();
    const shared = await openRedisStore({ url: redis.url });
    const first = await startAuthority({ store: shared, clock: realTime() });
    await race(first, shared, true);
    await race(first, shared, false);
    await first.stop();
    await shared.close();
    await redis.dispose();
  });
});

/** Redis has its own clock. */
function realTime() {
  return handClock(Date.now());
}

describe("the rule of generations", () => {
  const rotatedAt = 50_000;
  /** 4 was used last, and 6 and 7 were issued for it. 5 was issued together with 4. */
  const session: Session = {
    id: "",
    userId: "",
    type: "normal",
    clientId: null,
    clientName: null,
    clientIcon: null,
    credentialId: null,
    providerType: null,
    createdAt: 0,
    lastUsedAt: 0,
    lastUsedIp: home.address,
    expiresAt: null,
    accessTokenTtl: 1,
    rotates: true,
    assurance: 1,
    amr: [],
    authenticatedAt: 0,
    generation: 7,
    usedGeneration: 4,
    firstSuccessor: 6,
    rotatedAt,
  };
  const judged = (generation: number, age: number, peer = home) => {
    const verdict = judgeGeneration(session, { generation, peer, now: rotatedAt + age });
    if (verdict.kind !== "current") return verdict.kind;
    const { generation: newest, usedGeneration, firstSuccessor } = verdict.session;
    return [usedGeneration, firstSuccessor, newest];
  };

  it("confirms a successor, keeps the last used token valid, and recognises tabs", () => {
    const verdicts = [8, 7, 6, 5, 4, 3].map((generation) =>
      [10_000, 10_001].map((age) => judged(generation, age)),
    );
    const again = [4, 6, 8];
    expect(verdicts).toEqual([
      [
        [8, 9, 9],
        [8, 9, 9],
      ],
      [
        [7, 8, 8],
        [7, 8, 8],
      ],
      [
        [6, 8, 8],
        [6, 8, 8],
      ],
      ["behind", "reused"],
      ["behind", again],
      ["behind", "reused"],
    ]);
    expect([5, 4, 3].map((generation) => judged(generation, 0, abroad))).toEqual([
      ...["reused", again, "reused"],
    ]);
  });

  it("does not accept a tab if a clock puts the rotation far ahead", () => {
    expect([-10_000, -10_001].map((age) => judged(5, age))).toEqual(["behind", "reused"]);
  });
});
