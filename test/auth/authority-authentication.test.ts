import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Verdict } from "../../src/auth/authentication.ts";
import { AuthError } from "../../src/auth/errors.ts";
import type { Peer } from "../../src/auth/model.ts";
import { recordKeys } from "../../src/auth/record-keys.ts";
import { createRefreshTokens } from "../../src/auth/tokens/refresh-tokens.ts";
import { createSealing } from "../../src/auth/tokens/sealing.ts";
import { abroad, home, startAuthority, type TestAuthority } from "../support/authority.ts";
import { handClock } from "../support/hand-clock.ts";
import { type InterposedStore, interposedEmbeddedStore } from "../support/interposed-store.ts";
import { refusal } from "../support/refusal.ts";
import { within } from "../support/within.ts";

const minute = 60_000;
const hour = 60 * minute;
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
const longLived = async (userId: string) => {
  made += 1;
  const name = `token ${made}`;
  return node.authority.sessions.openLongLived({ userId, clientName: name, clientIcon: null, days: 3650 });
};
const authenticate = (token: string, peer: Peer = home, on = node) =>
  on.authority.authentication.authenticate(token, peer);

function now(verdict: Verdict | Promise<Verdict>): Verdict {
  if (verdict instanceof Promise) throw new Error("the verdict took a look-up");
  return verdict;
}

const wrong = "Invalid access token or password";

describe("an access token", () => {
  it("gives its principal synchronously, without a store call", async () => {
    const userId = await someone();
    const { session, accessToken } = await node.open(userId);
    Object.assign(store.calls, { get: 0, commit: 0 });
    const verdict = now(authenticate(accessToken));
    expect(store.calls).toEqual({ get: 0, commit: 0 });
    expect(verdict).toMatchObject({
      ok: true,
      principal: {
        userId,
        sessionId: session.id,
        sessionType: "normal",
        clientId: "https://app.example/",
        assurance: 1,
        amr: ["pwd"],
        localOnly: false,
        sessionExpiresAt: session.expiresAt,
      },
    });
  });

  it("is refused with the same message for every reason", async () => {
    const userId = await someone();
    const { session, accessToken, refreshToken } = await node.open(userId);
    const [header = "", payload = "", signature = ""] = accessToken.split(".");
    const other = await startAuthority({ secret: Buffer.alloc(32, 9), clock: node.clock });
    const stranger = (await other.user("stranger")).user.id;
    const foreign = (await other.open(stranger)).accessToken;
    await other.stop();
    const tokens = [
      ...["", "x", "a.b.c", `${header}.${payload}.`, `${header}..${signature}`, "x".repeat(9000), "\0\0\0"],
      ...[refreshToken, createRefreshTokens(createSealing(node.secret)).issue(session.id, 9), foreign],
      `${header}.${payload.slice(0, -2)}AA.${signature}`,
    ];
    for (const token of tokens)
      expect(now(authenticate(token)), token).toMatchObject({
        ok: false,
        close: "auth_invalid",
        message: wrong,
      });
    node.clock.advance(30 * minute + 10_000);
    expect(now(authenticate(accessToken))).toMatchObject({
      ok: false,
      close: "token_expired",
      message: wrong,
    });
    const fresh = await node.open(userId);
    await node.authority.revocation.revoke({ kind: "user", userId }, "session_revoked");
    expect(now(authenticate(fresh.accessToken))).toMatchObject({
      ok: false,
      close: "session_revoked",
      message: wrong,
    });
  });

  it("of a node whose clock is ahead is answered with unavailable, because it is genuine", async () => {
    const userId = await someone();
    const here = node.clock.now();
    node.clock.setWall(here + 10 * minute);
    const { accessToken } = await node.open(userId);
    node.clock.setWall(here);
    expect(() => authenticate(accessToken)).toThrow(expect.objectContaining({ code: "unavailable" }));
    node.clock.setWall(here + 10 * minute);
    expect(now(authenticate(accessToken))).toMatchObject({ ok: true });
  });

  it("of a local-only user is accepted from local addresses only, with Home Assistant's message elsewhere", async () => {
    const userId = await someone();
    await node.authority.users.update(userId, { localOnly: true });
    const { accessToken } = await node.open(userId);
    for (const address of ["127.0.0.1", "192.168.1.2", "fe80::1", "::1"])
      expect(await authenticate(accessToken, { address })).toMatchObject({ ok: true });
    for (const address of [abroad.address, "2001:db8::1", "", "not an address", null])
      expect(await authenticate(accessToken, { address })).toMatchObject({
        ok: false,
        close: "address_not_allowed",
        message: "User cannot authenticate remotely",
      });
  });

  it("follows its user's local-only setting, whatever it says itself", async () => {
    const userId = await someone();
    const { accessToken } = await node.open(userId);
    expect(now(authenticate(accessToken, abroad))).toMatchObject({ ok: true });
    await node.authority.users.update(userId, { localOnly: true });
    expect(await authenticate(accessToken, abroad)).toMatchObject({ close: "address_not_allowed" });
    expect(await authenticate(accessToken, home)).toMatchObject({ ok: true, principal: { localOnly: true } });
    await node.authority.users.update(userId, { localOnly: false });
    expect(await authenticate(accessToken, abroad)).toMatchObject({ ok: true });
  });
});

describe("a token that is older than the view", () => {
  it("costs one look-up, shared by concurrent callers, and none after that", async () => {
    const { accessToken, session } = await longLived(await someone());
    expect(now(authenticate(accessToken))).toMatchObject({ ok: true });
    node.clock.advance(hour);
    store.calls.get = 0;
    const verdicts = await Promise.all(Array.from({ length: 50 }, () => authenticate(accessToken)));
    for (const verdict of verdicts)
      expect(verdict).toMatchObject({ ok: true, principal: { sessionId: session.id } });
    await authenticate(accessToken);
    expect(store.calls.get).toBe(1);
  });

  it("is looked up again if the log has an event of its session or user", async () => {
    const userId = await someone();
    const { accessToken, session } = await longLived(userId);
    const spectator = await longLived(userId);
    node.clock.advance(hour);
    await authenticate(accessToken);
    const changes: readonly (() => Promise<unknown>)[] = [
      () => node.authority.users.update(userId, { name: "new name" }),
      () =>
        node.authority.revocation.revoke(
          { kind: "user", userId, except: spectator.session.id },
          "password_changed",
        ),
    ];
    for (const [place, change] of changes.entries()) {
      await change();
      store.calls.get = 0;
      await authenticate(accessToken);
      await authenticate(spectator.accessToken);
      // The view itself knows the bump. The spared session is looked up again.
      expect(store.calls.get).toBe(place === 0 ? 2 : 1);
    }
    expect(await node.authority.sessions.get(session.id)).toBeUndefined();
  });

  it("stays refused after the view has forgotten the cause", async () => {
    const userId = await someone();
    const [robot, other] = [await longLived(userId), await longLived(userId)];
    await node.authority.revocation.revoke(
      { kind: "sessions", userId, sessionIds: [robot.session.id] },
      "token_reused",
    );
    node.clock.advance(3 * hour);
    await someone();
    // The token lives ten years. The tombstone of its session does not, and the cause is lost with it.
    expect(await authenticate(robot.accessToken)).toMatchObject({ ok: false, close: "session_revoked" });
    await node.authority.users.update(userId, { isActive: false });
    node.clock.advance(3 * hour);
    await someone();
    expect(await authenticate(other.accessToken)).toMatchObject({ ok: false, close: "user_deactivated" });
    await node.authority.users.update(userId, { isActive: true });
    node.clock.advance(3 * hour);
    expect(await authenticate(other.accessToken)).toMatchObject({ ok: false, message: wrong });
  });

  it("is refused on a node that starts after the revoke", async () => {
    const userId = await someone();
    const [session, robot] = [await node.open(userId), await longLived(userId)];
    await node.authority.revocation.revoke({ kind: "user", userId }, "password_changed");
    const restarted = await node.another();
    expect(await authenticate(session.accessToken, home, restarted)).toMatchObject({
      ok: false,
      close: "password_changed",
    });
    node.clock.advance(3 * hour);
    const later = await node.another();
    expect(await authenticate(robot.accessToken, home, later)).toMatchObject({ ok: false, message: wrong });
    await restarted.stop();
    await later.stop();
  });

  it("is refused after its session's expiry, also from the cache", async () => {
    const { session, accessToken } = await longLived(await someone());
    node.clock.advance(hour);
    // The expiry was shortened without an event in the log.
    const value = { ...session, expiresAt: node.clock.now() + minute };
    await store.commit({ put: [{ key: recordKeys.session(session.id), value }] });
    expect(await authenticate(accessToken)).toMatchObject({ ok: true });
    node.clock.advance(minute);
    expect(await authenticate(accessToken)).toMatchObject({ ok: false, close: "session_expired" });
  });
});

describe("the last check", () => {
  const principalOf = (token: string) => node.principal(token);

  it("finds a revoke that came after the token was read", async () => {
    const userId = await someone();
    const { session, accessToken } = await node.open(userId);
    const principal = await principalOf(accessToken);
    const { authentication, revocation } = node.authority;
    expect(authentication.recheck(principal)).toBeUndefined();
    await revocation.revoke({ kind: "sessions", userId, sessionIds: [session.id] }, "token_reused");
    expect(authentication.recheck(principal)).toBe("token_reused");
  });

  it("finds a revoke that came while the token was looked up", async () => {
    const userId = await someone();
    const { session, accessToken } = await longLived(userId);
    node.clock.advance(hour);
    const looking = authenticate(accessToken);
    const revoking = node.authority.revocation.revoke(
      { kind: "sessions", userId, sessionIds: [session.id] },
      "session_revoked",
    );
    const verdict = await looking;
    await revoking;
    // The look-up began before the commit and may say yes; then the last check says no.
    if (verdict.ok) expect(node.authority.authentication.recheck(verdict.principal)).toBe("session_revoked");
    expect(await authenticate(accessToken)).toMatchObject({ ok: false });
  });

  it("answers unavailable if the user changed in between, and accepts a session that was looked up", async () => {
    const userId = await someone();
    const { accessToken } = await longLived(userId);
    node.clock.advance(hour);
    const principal = await principalOf(accessToken);
    const { authentication, users } = node.authority;
    expect(authentication.recheck(principal)).toBeUndefined();
    await users.update(userId, { localOnly: true });
    expect(authentication.recheck(principal)).toBe("unavailable");
    expect(authentication.recheck(await principalOf(accessToken))).toBeUndefined();
  });
});

describe("a node that cannot know what was revoked", () => {
  it("answers unavailable, never auth_invalid, to a good token, before its feed has caught up and without a feed", async () => {
    const { accessToken } = await node.open(await someone());
    const unfed = await node.another({ fed: false });
    const ask = async () => authenticate(accessToken, home, unfed);
    expect(await refusal(ask())).toBe("unavailable");
    const lookedAt = node.clock.monotonic();
    const follower = {
      following: true,
      followGeneration: 0,
      readAgeMs: () => node.clock.monotonic() - lookedAt,
      restart: () => undefined,
    };
    unfed.authority.revocation.setFeed({ since: node.clock.now() - hour, follower });
    // The groups are read first.
    expect(await refusal(ask())).toBe("unavailable");
    await unfed.authority.revocation.lease.beat();
    expect(await refusal(ask())).toBe("accepted");
    node.clock.advance(3_000);
    expect(await refusal(ask())).toBe("unavailable");
    expect(unfed.authority.authentication.recheck(await node.principal(accessToken))).toBe("unavailable");
    // A token that was not issued here is refused whatever the log says.
    expect(now(authenticate("garbage", home, unfed))).toMatchObject({ close: "auth_invalid" });
    await unfed.stop();
  });

  it("says unavailable if the look-up fails, and retries the next time", async () => {
    const { accessToken } = await longLived(await someone());
    node.clock.advance(hour);
    const { get } = store;
    store.get = () => Promise.reject(new AuthError("unavailable"));
    expect(await refusal(Promise.resolve(authenticate(accessToken)))).toBe("unavailable");
    store.get = get;
    expect(await authenticate(accessToken)).toMatchObject({ ok: true });
  });

  it("looks everything up again after a gap in its log", async () => {
    const robot = await longLived(await someone());
    node.clock.advance(2 * hour);
    const other = await node.another();
    const { accessToken } = await node.open(await someone());
    const ask = async () => {
      store.calls.get = 0;
      expect(await authenticate(accessToken, home, other)).toMatchObject({ ok: true });
      expect(await authenticate(robot.accessToken, home, other)).toMatchObject({ ok: true });
      return store.calls.get;
    };
    node.clock.advance(10 * minute);
    expect([await ask(), await ask()]).toEqual([1, 0]);
    // Entries of the last ten minutes were not delivered, so neither memory nor cache can be trusted.
    const follower = { following: true, followGeneration: 0, readAgeMs: () => 0, restart: () => undefined };
    other.authority.revocation.setFeed({ since: node.clock.now(), follower });
    expect([await ask(), await ask()]).toEqual([2, 0]);
    await other.stop();
  });
});

describe("two nodes", () => {
  it("refuse on one what was revoked on the other, as soon as the log delivers it", async () => {
    const other = await node.another();
    const userId = await someone();
    const { session, accessToken } = await node.open(userId);
    const principal = now(authenticate(accessToken, home, other));
    const heard = new Promise<unknown>((resolve) => {
      other.authority.revocation.onSecurityEvent((cut) => {
        if (cut.kind === "sessions") resolve(cut);
        return 0;
      });
    });
    await node.authority.revocation.revoke(
      { kind: "sessions", userId, sessionIds: [session.id] },
      "session_revoked",
    );
    expect(await within(heard, "the cut on the other node")).toMatchObject({ sessionIds: [session.id] });
    expect(principal.ok && other.authority.authentication.recheck(principal.principal)).toBe(
      "session_revoked",
    );
    expect(now(authenticate(accessToken, home, other))).toMatchObject({ close: "session_revoked" });
    await other.stop();
  });

  it("accept each other's tokens across a rotation of the keys", async () => {
    const other = await node.another();
    const userId = await someone();
    await node.authority.keyring.rotate({ leadMs: minute });
    const published = async () => {
      while (other.authority.keyring.list().length < node.authority.keyring.list().length)
        await new Promise((resolve) => setImmediate(resolve));
    };
    await within(published(), "the new key on the other node");
    node.clock.advance(minute);
    const { accessToken } = await node.open(userId);
    expect(now(authenticate(accessToken, home, other))).toMatchObject({ ok: true });
    await other.stop();
  });
});
