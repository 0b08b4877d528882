import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { SessionGrant } from "../../protocol/flow.ts";
import { AuthError } from "../../src/auth/errors.ts";
import { indexKeys } from "../../src/auth/record-keys.ts";
import { openSessionForCode } from "../../src/auth/sessions/code-exchange.ts";
import type { Step } from "../../src/auth/store.ts";
import { createAccessTokens } from "../../src/auth/tokens/access-tokens.ts";
import { createKeyring } from "../../src/auth/tokens/keyring.ts";
import { createSealing } from "../../src/auth/tokens/sealing.ts";
import { home, ownerLogin, startAuthority, type TestAuthority } from "../support/authority.ts";
import { handClock } from "../support/hand-clock.ts";
import { type InterposedStore, interposedEmbeddedStore } from "../support/interposed-store.ts";
import { openProviders } from "../support/people.ts";
import { refusal } from "../support/refusal.ts";

const clientId = "https://app.example/";
const nextPassword = "another horse, another battery";
let node: TestAuthority;
let store: InterposedStore;
let closeStore: () => Promise<void>;

beforeAll(async () => {
  const clock = handClock();
  ({ store, close: closeStore } = await interposedEmbeddedStore(clock));
  node = await startAuthority({ store, clock });
  await node.owner();
});
afterAll(async () => {
  await node.stop();
  await closeStore();
});

/** The attacker has the installation's secret and a copy of its store. */
async function forged(userId: string, sessionId: string, epoch: number): Promise<string> {
  const sealing = createSealing(node.secret);
  const keyring = await createKeyring({ store, sealing, clock: node.clock, longestTokenMs: 1_800_000 });
  const { issuer, audience } = { issuer: () => "https://gatehouse.test", audience: () => "gatehouse" };
  const tokens = createAccessTokens({
    keyring,
    clock: node.clock,
    issuer,
    audience,
    providers: openProviders,
  });
  const user = (await node.authority.users.list()).find(({ id }) => id === userId);
  const session = await node.authority.sessions.get(sessionId);
  if (user === undefined || session === undefined) throw new Error("nobody to forge");
  return (await tokens.mint(session, user, epoch)).token;
}

describe("a forged token whose epoch is above every revocation to come", () => {
  it("is still revoked with its session and its user, also on a node that starts later", async () => {
    const { userId } = await someone();
    const { session } = await node.open(userId);
    const token = await forged(userId, session.id, 2 ** 52);
    expect(await node.authority.authentication.authenticate(token, home)).toMatchObject({ ok: true });
    await node.authority.revocation.revoke({ kind: "user", userId }, "session_revoked");
    expect(await node.authority.authentication.authenticate(token, home)).toMatchObject({ ok: false });
    const later = await node.another();
    expect(await later.authority.authentication.authenticate(token, home)).toMatchObject({ ok: false });
  });

  it("gives its socket an epoch that the next revocation ends", async () => {
    const { userId } = await someone();
    const { session } = await node.open(userId);
    const principal = await node.principal(await forged(userId, session.id, 2 ** 52));
    expect(principal.epoch).toBeLessThan(2 ** 52);
    await node.authority.revocation.revoke({ kind: "all" }, "session_revoked");
    expect(node.authority.authentication.recheck(principal)).toBe("session_revoked");
  });
});

let made = 0;
const someone = async () => {
  made += 1;
  const username = `user${made}`;
  return { username, userId: (await node.user(username)).user.id };
};
const opensFor = (userId: string) => (step: Step) =>
  step.link?.some(({ index }) => index === indexKeys.sessionsOf(userId)) ?? false;

async function logIn(username: string, password: string = ownerLogin.password) {
  const { logins } = node.authority;
  const { step, flowSecret } = await logins.start(
    {
      handler: ["homeassistant", null],
      purpose: "session",
      clientId,
      clientName: null,
      redirectUri: null,
      codeChallenge: null,
    },
    home,
  );
  const answer = await logins.advance(
    { flowId: step.flow_id, flowSecret, input: { username, password } },
    home,
  );
  return answer.step;
}

async function loggedIn(username: string, password?: string): Promise<SessionGrant> {
  const step = await logIn(username, password);
  if (step.type !== "create_entry" || typeof step.result === "string") throw new Error(`got a ${step.type}`);
  return step.result;
}

const liveSessions = (userId: string) => node.authority.sessions.list(userId);

describe("a login in flight", () => {
  const takings: readonly {
    name: string;
    take: (who: { userId: string; username: string }) => Promise<unknown>;
  }[] = [
    {
      name: "a new password",
      take: ({ userId }) => node.authority.localLogins.setPassword(userId, nextPassword),
    },
    {
      name: "the user's deactivation",
      take: ({ userId }) => node.authority.users.update(userId, { isActive: false }),
    },
    { name: "the user's removal", take: ({ userId }) => node.authority.users.remove(userId) },
    { name: "the login's removal", take: ({ username }) => node.authority.localLogins.remove(username) },
    {
      name: "the end of all sessions",
      take: ({ userId }) => node.authority.revocation.revoke({ kind: "user", userId }, "session_revoked"),
    },
  ];

  it.each(takings)("opens no session if $name happens between the proof and the commit", async ({ take }) => {
    const who = await someone();
    store.beforeCommit(opensFor(who.userId), () => take(who));
    const step = await logIn(who.username).catch((error: unknown) => error);
    if (!(step instanceof AuthError)) expect(step).not.toMatchObject({ type: "create_entry" });
    expect(await liveSessions(who.userId)).toEqual([]);
  });

  it("works with the new password and not with the old one after a change", async () => {
    const { userId, username } = await someone();
    const [own, other] = [await loggedIn(username), await loggedIn(username)];
    const principal = await node.principal(own.access_token);
    await node.authority.localLogins.changeOwnPassword(principal, ownerLogin.password, nextPassword, home);
    expect((await liveSessions(userId)).map(({ id }) => id)).toEqual([own.session_id]);
    expect(await node.authority.authentication.authenticate(own.access_token, home)).toMatchObject({
      ok: true,
    });
    expect(await node.authority.authentication.authenticate(other.access_token, home)).toMatchObject({
      ok: false,
      close: "password_changed",
    });
    expect(await logIn(username)).toMatchObject({ type: "form", errors: { base: "invalid_auth" } });
    expect(await loggedIn(username, nextPassword)).toMatchObject({ token_type: "Bearer" });
  });
});

function redeem(code: string, codeVerifier?: string) {
  return openSessionForCode(node.authority, {
    code,
    clientId,
    rotates: false,
    peer: home,
    codeVerifier,
  });
}

async function codeFor(username: string, codeChallenge: string | null = null): Promise<string> {
  const { logins } = node.authority;
  const { step, flowSecret } = await logins.start(
    {
      handler: ["homeassistant", null],
      purpose: "code",
      clientId,
      clientName: null,
      redirectUri: `${clientId}?auth_callback=1`,
      codeChallenge,
    },
    home,
  );
  const input = { username, password: ownerLogin.password };
  const done = await node.authority.logins.advance({ flowId: step.flow_id, flowSecret, input }, home);
  if (done.step.type !== "create_entry" || typeof done.step.result !== "string")
    throw new Error(`got a ${done.step.type}`);
  return done.step.result;
}

describe("an authorization code", () => {
  it("opens nothing after a password change, nor after a revocation of all sessions", async () => {
    const { userId, username } = await someone();
    const before = await codeFor(username);
    await node.authority.revocation.revoke({ kind: "user", userId }, "session_revoked");
    expect(await refusal(redeem(before))).toBe("invalid_code");
    const early = await codeFor(username);
    await node.authority.localLogins.setPassword(userId, nextPassword);
    expect(await refusal(redeem(early))).toBe("invalid_code");
    expect(await liveSessions(userId)).toEqual([]);
  });

  it("opens nothing for a login that was removed meanwhile", async () => {
    const { userId, username } = await someone();
    const code = await codeFor(username);
    await node.authority.localLogins.remove(username);
    expect(await refusal(redeem(code))).toBe("invalid_code");
    expect(await liveSessions(userId)).toEqual([]);
  });

  it("opens nothing if its login is removed between the read and the commit", async () => {
    const { userId, username } = await someone();
    const code = await codeFor(username);
    store.beforeCommit(opensFor(userId), () => node.authority.localLogins.remove(username));
    expect(await refusal(redeem(code))).toBe("invalid_code");
    expect(await liveSessions(userId)).toEqual([]);
  });

  it("opens one session for 50 concurrent redemptions, and then ends it: a code used twice is not trusted", async () => {
    const { userId, username } = await someone();
    const code = await codeFor(username);
    const answers = await Promise.all(Array.from({ length: 50 }, () => refusal(redeem(code))));
    expect(answers.filter((answer) => answer === "accepted")).toHaveLength(1);
    expect(new Set(answers)).toEqual(new Set(["accepted", "invalid_code"]));
    expect(await liveSessions(userId)).toEqual([]);
  });

  it("ends the session that it opened, with its tokens, if it is used a second time", async () => {
    const { userId, username } = await someone();
    const code = await codeFor(username);
    const { accessToken, refreshToken } = await redeem(code);
    expect(await refusal(redeem(code))).toBe("invalid_code");
    expect(await liveSessions(userId)).toEqual([]);
    expect(await node.authority.authentication.authenticate(accessToken, home)).toMatchObject({
      ok: false,
      close: "token_reused",
    });
    const refreshing = node.authority.sessions.refresh({ refreshToken, clientId, peer: home });
    expect(await refusal(refreshing)).toBe("invalid_grant");
  });

  it("is useless to somebody who intercepted it without the verifier", async () => {
    const { userId, username } = await someone();
    const verifier = "v".repeat(43);
    const code = await codeFor(username, createHash("sha256").update(verifier).digest("base64url"));
    expect(await refusal(redeem(code))).toBe("invalid_code");
    expect(await refusal(redeem(code, "w".repeat(43)))).toBe("invalid_code");
    expect(await refusal(redeem(code, verifier))).toBe("accepted");
    expect(await liveSessions(userId)).toHaveLength(1);
  });
});

describe("authority over a session", () => {
  it("is not given by a token of a removed user, whatever is requested with it", async () => {
    const { userId, username } = await someone();
    const own = await loggedIn(username);
    const principal = await node.principal(own.access_token);
    await node.authority.users.remove(userId);
    const { sessions, localLogins } = node.authority;
    const days = { userId, clientName: "back door", clientIcon: null, days: 3650 };
    expect(await refusal(sessions.openLongLived(days))).toBe("access_denied");
    expect(await refusal(sessions.setExpiry(principal, own.session_id, false))).toBe("invalid_token_id");
    expect(
      await refusal(localLogins.changeOwnPassword(principal, ownerLogin.password, nextPassword, home)),
    ).toBe("credentials_not_found");
    const refreshing = sessions.refresh({ refreshToken: own.refresh_token, clientId, peer: home });
    expect(await refusal(refreshing)).toBe("invalid_grant");
  });

  it("survives a restart: revoked sessions stay revoked, live ones stay live", async () => {
    const { userId, username } = await someone();
    const [kept, ended] = [await loggedIn(username), await loggedIn(username)];
    await node.authority.revocation.revoke(
      { kind: "sessions", userId, sessionIds: [ended.session_id] },
      "session_revoked",
    );
    const restarted = await node.another();
    const verdict = (token: string) => restarted.authority.authentication.authenticate(token, home);
    expect(await verdict(kept.access_token)).toMatchObject({ ok: true });
    expect(await verdict(ended.access_token)).toMatchObject({ ok: false, close: "session_revoked" });
    const refreshWith = (refreshToken: string) =>
      refusal(restarted.authority.sessions.refresh({ refreshToken, clientId, peer: home }));
    expect(await refreshWith(kept.refresh_token)).toBe("accepted");
    expect(await refreshWith(ended.refresh_token)).toBe("invalid_grant");
    await restarted.stop();
  });
});
