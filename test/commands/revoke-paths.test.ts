import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { type CloseName, closeCodes } from "../../protocol/close-codes.ts";
import type { User } from "../../src/auth/model.ts";
import { ownerLogin } from "../support/authority.ts";
import type { Message } from "../support/socket-client.ts";
import { type Entered, type SocketGateway, startSocketGateway } from "../support/socket-gateway.ts";
import { within } from "../support/within.ts";

const day = 86_400_000;
const client_id = "https://app.example/";

/** Everything that takes rights away closes the sockets that had them, with the code that says why, and no others. */
describe("revoke paths and open sockets", () => {
  let gateway: SocketGateway;
  let owner: User;
  let asOwner: Entered;
  let count = 0;
  const local = (name: string) => `config/auth_provider/homeassistant/${name}`;

  beforeAll(async () => {
    gateway = await startSocketGateway({
      addressOf: (header) => header("x-test-address"),
      // Time goes by in leaps here.
      limits: { heartbeatMs: 1000 * day },
    });
    owner = await gateway.owner();
    asOwner = await gateway.enter(owner);
  });
  afterAll(() => gateway?.stop());

  async function newUser() {
    count += 1;
    const username = `user${count}`;
    const { user } = await gateway.user(username);
    return { user, username };
  }
  const ends = async ({ client }: Entered) => {
    const { code, reason } = await within(client.closed, "the close");
    return [code, reason];
  };
  const closes = (name: CloseName) => [closeCodes[name].number, closeCodes[name].text];
  const lives = async ({ client }: Entered) =>
    expect(await client.call("ping")).toMatchObject({ type: "pong" });
  const ok = (answer: Message) => expect(answer).toMatchObject({ success: true });

  it("deleting another session closes its sockets only", async () => {
    const { user } = await newUser();
    const [mine, other] = [await gateway.enter(user), await gateway.enter(user)];
    const second = await gateway.connect();
    await second.authenticate(other.accessToken);
    ok(await mine.client.call("auth/delete_refresh_token", { refresh_token_id: other.sessionId }));
    expect(await ends(other)).toEqual(closes("session_revoked"));
    expect((await second.closed).code).toBe(closeCodes.session_revoked.number);
    await lives(mine);
  });

  it("deleting the current session answers first, then closes", async () => {
    const { user } = await newUser();
    for (const coalesce of [false, true]) {
      const mine = await gateway.enter(user);
      if (coalesce) await mine.client.call("supported_features", { features: { coalesce_messages: 1 } });
      const answer = mine.client.call("auth/delete_refresh_token", { refresh_token_id: mine.sessionId });
      expect(await answer).toMatchObject({ success: true, result: {} });
      expect(await ends(mine)).toEqual(closes("session_revoked"));
      expect(await gateway.authority.sessions.get(mine.sessionId)).toBeUndefined();
    }
  });

  it("nobody deletes another user's session, or learns of it", async () => {
    const [{ user: thief }, { user: victim }] = [await newUser(), await newUser()];
    const [mine, other] = [await gateway.enter(thief), await gateway.enter(victim)];
    const theirs = await mine.client.call("auth/delete_refresh_token", { refresh_token_id: other.sessionId });
    const nobodys = await mine.client.call("auth/delete_refresh_token", { refresh_token_id: "0".repeat(32) });
    expect(theirs).toMatchObject({ error: { code: "invalid_token_id", message: "Received invalid token" } });
    expect(theirs.error).toEqual(nobodys.error);
    await lives(other);
  });

  it("deleting all sessions answers first, then closes all, long-lived ones too", async () => {
    const { user } = await newUser();
    const [mine, other] = [await gateway.enter(user), await gateway.enter(user)];
    const { result } = await mine.client.call("auth/long_lived_access_token", {
      lifespan: 1,
      client_name: "d",
    });
    const device = await gateway.connect();
    await device.authenticate(result as string);
    expect(await mine.client.call("auth/delete_all_refresh_tokens")).toMatchObject({
      success: true,
      result: {},
    });
    expect([await ends(mine), await ends(other)]).toEqual([
      closes("session_revoked"),
      closes("session_revoked"),
    ]);
    expect((await device.closed).code).toBe(closeCodes.session_revoked.number);
    expect(await gateway.authority.sessions.list(user.id)).toEqual([]);
  });

  it("deleting all others spares the current one; a type spares the other type", async () => {
    const { user } = await newUser();
    const [mine, other] = [await gateway.enter(user), await gateway.enter(user)];
    const { result } = await mine.client.call("auth/long_lived_access_token", {
      lifespan: 1,
      client_name: "d",
    });
    const device = await gateway.connect();
    await device.authenticate(result as string);
    const fields = { token_type: "normal", delete_current_token: false };
    ok(await mine.client.call("auth/delete_all_refresh_tokens", fields));
    expect(await ends(other)).toEqual(closes("session_revoked"));
    expect(await device.call("ping")).toMatchObject({ type: "pong" });
    ok(await mine.client.call("auth/delete_all_refresh_tokens", { delete_current_token: false }));
    expect((await device.closed).code).toBe(closeCodes.session_revoked.number);
    await lives(mine);
  });

  it("deactivation closes every socket of the user, and no token gets back in", async () => {
    const { user } = await newUser();
    const [first, second] = [await gateway.enter(user), await gateway.enter(user)];
    ok(await asOwner.client.call("config/auth/update", { user_id: user.id, is_active: false }));
    expect([await ends(first), await ends(second)]).toEqual([
      closes("user_deactivated"),
      closes("user_deactivated"),
    ]);
    const back = await gateway.connect();
    expect(await back.authenticate(first.accessToken)).toMatchObject({ type: "auth_invalid" });
  });

  it("removal of the user closes every socket of the user", async () => {
    const { user } = await newUser();
    const entered = await gateway.enter(user);
    ok(await asOwner.client.call("config/auth/delete", { user_id: user.id }));
    expect(await ends(entered)).toEqual(closes("user_removed"));
  });

  it("changing one's password closes all other sessions and keeps this one", async () => {
    const { user } = await newUser();
    const [mine, other] = [await gateway.enter(user), await gateway.enter(user)];
    const passwords = { current_password: ownerLogin.password, new_password: "a quite different phrase" };
    ok(await mine.client.call(local("change_password"), passwords));
    expect(await ends(other)).toEqual(closes("password_changed"));
    await lives(mine);
  });

  it("a password set by the owner closes all sessions of the user; one's own after the answer", async () => {
    const { user } = await newUser();
    const entered = await gateway.enter(user);
    const password = "a quite different phrase";
    ok(await asOwner.client.call(local("admin_change_password"), { user_id: user.id, password }));
    expect(await ends(entered)).toEqual(closes("password_changed"));
    const second = await gateway.enter(owner);
    const fields = { user_id: owner.id, password: ownerLogin.password };
    expect(await second.client.call(local("admin_change_password"), fields)).toMatchObject({ success: true });
    expect([await ends(second), await ends(asOwner)]).toEqual([
      closes("password_changed"),
      closes("password_changed"),
    ]);
    asOwner = await gateway.enter(owner);
  });

  it("removal of the login closes the sessions that came from it", async () => {
    const { user, username } = await newUser();
    const entered = await gateway.enter(user);
    ok(await asOwner.client.call(local("delete"), { username }));
    expect(await ends(entered)).toEqual(closes("credential_removed"));
  });

  it("a reused refresh token closes the session's sockets", async () => {
    const { user } = await newUser();
    const entered = await gateway.enter(user);
    const first = entered.refreshToken;
    let current = first;
    for (let turn = 0; turn < 3; turn += 1) {
      gateway.wind(120_000);
      const { result } = await entered.client.call("auth/refresh", { refresh_token: current });
      current = (result as { refresh_token: string }).refresh_token;
    }
    gateway.wind(120_000);
    const thief = await gateway.connect();
    await thief.next();
    expect(await thief.call("auth/login/refresh", { refresh_token: first, client_id })).toMatchObject({
      error: { code: "token_reused" },
    });
    expect(await ends(entered)).toEqual(closes("token_reused"));
    thief.terminate();
  });

  it("a reused refresh token on the session's own socket is answered before the close", async () => {
    const { user } = await newUser();
    const entered = await gateway.enter(user);
    let current = entered.refreshToken;
    for (let turn = 0; turn < 3; turn += 1) {
      gateway.wind(120_000);
      const { result } = await entered.client.call("auth/refresh", { refresh_token: current });
      current = (result as { refresh_token: string }).refresh_token;
    }
    gateway.wind(120_000);
    const answer = await entered.client.call("auth/refresh", { refresh_token: entered.refreshToken });
    expect(answer).toMatchObject({ success: false, error: { code: "token_reused" } });
    expect(await ends(entered)).toEqual(closes("token_reused"));
  });

  it("becoming local-only closes the remote sockets and keeps the local ones", async () => {
    const { user } = await newUser();
    const near = await gateway.enter(user);
    const far = await gateway.enter(user, { headers: { "x-test-address": "203.0.113.9" } });
    ok(await asOwner.client.call("config/auth/update", { user_id: user.id, local_only: true }));
    expect(await ends(far)).toEqual(closes("address_not_allowed"));
    await lives(near);
    const again = await gateway.connect({ headers: { "x-test-address": "203.0.113.9" } });
    expect(await again.authenticate(far.accessToken)).toMatchObject({ type: "auth_invalid" });
    expect((await again.closed).code).toBe(closeCodes.address_not_allowed.number);
  });

  it("expiry closes at the session's end, which use elsewhere had moved", async () => {
    const { user } = await newUser();
    const idle = await gateway.enter(user);
    const used = await gateway.enter(user);
    const passDays = async (days: number) => {
      for (let hour = 0; hour < days * 24; hour += 1) {
        gateway.wind(3_600_000);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await passDays(60);
    const moved = await gateway.authority.sessions.refresh({
      refreshToken: used.refreshToken,
      clientId: client_id,
      peer: { address: "192.168.1.20" },
    });
    expect(moved.session.expiresAt).toBe(gateway.clock.now() + 90 * day);
    await passDays(31);
    expect(await ends(idle)).toEqual(closes("session_expired"));
    await lives(used);
    used.client.terminate();
  });

  it("a session whose expiry is switched off outlives it", async () => {
    const { user } = await newUser();
    const kept = await gateway.enter(user);
    const fields = { refresh_token_id: kept.sessionId, enable_expiry: false };
    ok(await kept.client.call("auth/refresh_token_set_expiry", fields));
    expect(await gateway.authority.sessions.expireIfDue(kept.sessionId)).toBeNull();
    await lives(kept);
  });
});
