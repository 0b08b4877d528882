import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { RegisteredClient } from "../../../src/auth/clients/client-record.ts";
import type { Principal, User } from "../../../src/auth/model.ts";
import { deviceGrantType } from "../../../src/auth/oauth/device-record.ts";
import { hashed, recordKeys } from "../../../src/auth/record-keys.ts";
import { abroad, startAuthority, type TestAuthority } from "../../support/authority.ts";
import { refusal } from "../../support/refusal.ts";

const nothing = { scope: null, resource: null };
const registration = {
  id: "tv",
  name: "Television",
  authMethod: "none",
  jwks: null,
  redirectUris: [],
  grantTypes: [deviceGrantType, "refresh_token"],
  scopes: ["openid", "api"],
  resources: [],
  userId: null,
  requiresPushedRequests: false,
  logoutUri: null,
  rotates: true,
} as const;

let node: TestAuthority;
let other: TestAuthority;
let tv: RegisteredClient;
let user: User;
let hanna: Principal;

beforeEach(async () => {
  node = await startAuthority();
  other = await node.another();
  await node.owner();
  ({ client: tv } = await node.authority.clients.register(registration));
  ({ user } = await node.user("hanna"));
  hanna = (await node.open(user.id)).principal;
});
afterEach(() => node.stop());

const devices = (at = node) => at.authority.devices;
const start = () => devices().begin(tv, nothing, abroad);
const poll = (deviceCode: string, client = tv, at = node) =>
  devices(at).redeem({ deviceCode, client, peer: abroad, polls: true });

describe("a decision", () => {
  it("that was approved logs in one of many that ask at once, on two nodes", async () => {
    const { deviceCode, userCode } = await start();
    await devices().approve(userCode, hanna);
    const answers = await Promise.allSettled(
      Array.from({ length: 20 }, (_, place) => poll(deviceCode, tv, place % 2 === 0 ? node : other)),
    );
    expect(answers.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await refusal(poll(deviceCode))).toBe("invalid_grant");
  });
  it("lets the device in also if the session that approved is used at that moment", async () => {
    const { refreshToken, principal } = await node.open(user.id, { rotates: true });
    const { deviceCode, userCode } = await start();
    await devices().approve(userCode, principal);
    const refresh = node.authority.sessions.refresh({
      refreshToken,
      clientId: principal.clientId,
      peer: abroad,
    });
    const [{ session }] = await Promise.all([poll(deviceCode), refresh]);
    expect(session).toMatchObject({ clientId: "tv", userId: user.id });
  });
  it("is made once, also by many at once", async () => {
    const { deviceCode, userCode } = await start();
    const answers = await Promise.allSettled([
      devices().approve(userCode, hanna),
      devices(other).approve(userCode, hanna),
      devices(other).refuse(userCode, hanna),
      poll(deviceCode),
    ]);
    expect(answers.slice(0, 3).filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await refusal(devices().approve(userCode, hanna))).toBe("not_found");
    expect(await refusal(devices().refuse(userCode, hanna))).toBe("not_found");
    expect(await refusal(devices().find(userCode, hanna))).toBe("not_found");
  });
  it.each([
    ["has scopes", { scope: "api" }],
    ["belongs to a registered client", { clientId: "tv" }],
  ])("is not made on a session that %s", async (_, more) => {
    const { principal } = await node.open(user.id, more);
    const { deviceCode, userCode } = await start();
    expect(await refusal(devices().approve(userCode, principal))).toBe("insufficient_scope");
    expect(await refusal(devices().refuse(userCode, principal))).toBe("insufficient_scope");
    expect(await refusal(poll(deviceCode))).toBe("authorization_pending");
  });
  it("is not made on a device whose client was removed", async () => {
    const { userCode } = await start();
    await node.authority.clients.remove("tv");
    expect(await refusal(devices().find(userCode, hanna))).toBe("not_found");
    expect(await refusal(devices().approve(userCode, hanna))).toBe("not_found");
    expect(await refusal(devices(other).refuse(userCode, hanna))).toBe("not_found");
  });
  it("is told again to who waits, on every node, once another one has the session", async () => {
    const { deviceCode, userCode } = await start();
    let told = 0;
    const stop = devices().watch(deviceCode, () => {
      told += 1;
    });
    await devices().approve(userCode, hanna);
    // It began to listen, and the approval.
    await vi.waitFor(() => expect(told).toBe(2));
    const look = () => devices().redeem({ client: tv, deviceCode, peer: abroad, polls: false });
    const outcomes = await Promise.allSettled([look(), look(), look()]);
    const failures = outcomes.flatMap((each) => (each.status === "rejected" ? [each.reason.code] : []));
    expect(failures).toEqual(["invalid_grant", "invalid_grant"]);
    await vi.waitFor(() => expect(told).toBe(3));
    stop();
  });
  it("needs a session that is still live", async () => {
    const { deviceCode, userCode } = await start();
    await node.authority.revocation.revoke(
      { kind: "sessions", userId: user.id, sessionIds: [hanna.sessionId] },
      "session_revoked",
    );
    expect(await refusal(devices().approve(userCode, hanna))).toBe("unauthorized");
    expect(await refusal(poll(deviceCode))).toBe("authorization_pending");
  });
  it.each([
    [
      "the user's sessions were ended",
      () => node.authority.revocation.revoke({ kind: "user", userId: user.id }, "session_revoked"),
      "expired_token",
    ],
    [
      "the client's sessions were ended",
      () => node.authority.revocation.revoke({ kind: "client", clientId: "tv" }, "session_revoked"),
      "expired_token",
    ],
    [
      "the session that approved was ended",
      () =>
        node.authority.revocation.revoke(
          { kind: "sessions", userId: user.id, sessionIds: [hanna.sessionId] },
          "session_revoked",
        ),
      "expired_token",
    ],
    [
      "all sessions were ended",
      () => node.authority.revocation.revoke({ kind: "all" }, "session_revoked"),
      "expired_token",
    ],
    [
      "the password was changed",
      () => node.authority.localLogins.setPassword(user.id, "another good password"),
      "expired_token",
    ],
    ["the login was removed", () => node.authority.localLogins.remove("hanna"), "expired_token"],
    ["the user was removed", () => node.authority.users.remove(user.id), "expired_token"],
    [
      "the user was deactivated",
      () => node.authority.users.update(user.id, { state: "deactivated" }),
      "access_denied",
    ],
    [
      "the user may only log in at home",
      () => node.authority.users.update(user.id, { localOnly: true }),
      "access_denied",
    ],
  ] as const)("does not hold any more once %s", async (_what, end, code) => {
    const { deviceCode, userCode } = await start();
    await devices().approve(userCode, hanna);
    await end();
    expect(await refusal(poll(deviceCode))).toBe(code);
  });
});

describe("a device code that is used again", () => {
  const isLive = async (sessionId: string) => (await node.authority.sessions.get(sessionId)) !== undefined;

  it("ends the session that it opened, on whatever node", async () => {
    const { deviceCode, userCode } = await start();
    await devices().approve(userCode, hanna);
    const { session } = await poll(deviceCode);
    expect(await isLive(session.id)).toBe(true);
    expect(await refusal(poll(deviceCode, tv, other))).toBe("invalid_grant");
    expect(await isLive(session.id)).toBe(false);
  });
  it("ends nothing for another client, and for another socket that waits for the device", async () => {
    const { client: radio } = await node.authority.clients.register({ ...registration, id: "radio" });
    const { deviceCode, userCode } = await start();
    await devices().approve(userCode, hanna);
    const { session } = await poll(deviceCode);
    expect(await refusal(poll(deviceCode, radio))).toBe("invalid_grant");
    const looks = devices().redeem({ client: tv, deviceCode, peer: abroad, polls: false });
    expect(await refusal(looks)).toBe("invalid_grant");
    expect(await isLive(session.id)).toBe(true);
  });
});

it("whoever reads the store finds no user code by its hash", async () => {
  const { userCode } = await start();
  const typed = userCode.replace("-", "");
  const guesses = [userCode, typed].flatMap((text) => [
    text,
    hashed(text),
    ...["hex", "base64url"].map((form) =>
      createHash("sha256")
        .update(text)
        .digest(form as "hex"),
    ),
  ]);
  expect(await node.store.get(guesses.map(recordKeys.deviceUserCode))).toEqual(guesses.map(() => undefined));
  // It is there, by a key that only the gateways have.
  expect(await devices(other).find(typed.toLowerCase(), hanna)).toMatchObject({ clientId: "tv" });
});

describe("a person who guesses", () => {
  it("has as many guesses on all nodes as on one, and an administrator sees and lifts the limit", async () => {
    for (let count = 0; count < 10; count += 1)
      expect(await refusal(devices(count % 2 === 0 ? node : other).find("BCDF-GHJK", hanna))).toBe(
        "not_found",
      );
    for (const each of [node, other])
      expect(await refusal(devices(each).find("BCDF-GHJK", hanna))).toBe("rate_limited");
    const { throttles } = await node.authority.throttles.page({ after: undefined, limit: 10 });
    expect(throttles).toMatchObject([
      { kind: "user_code", userId: user.id, credential: null, attemptsLeft: 0 },
    ]);
    const { id = "" } = throttles[0] ?? {};
    expect(await node.authority.throttles.mayConcern(id, user.id)).toBe(true);
    expect(await node.authority.throttles.mayConcern(id, "0".repeat(32))).toBe(false);
    await node.authority.throttles.lift(id);
    expect(await refusal(devices().find("BCDF-GHJK", hanna))).toBe("not_found");
  });
  it("gets no more guesses by codes of devices of their own in between", async () => {
    const { userCode } = await start();
    const answers: string[] = [];
    for (let count = 0; count < 20; count += 1) {
      answers.push(await refusal(devices().find("BCDF-GHJK", hanna)));
      answers.push(await refusal(devices().find(userCode, hanna)));
    }
    expect(answers.at(-1)).toBe("rate_limited");
    expect(answers.at(-2)).toBe("rate_limited");
    node.clock.advance(600_000);
    expect(await refusal(devices().find("BCDF-GHJK", hanna))).toBe("not_found");
  });
});
