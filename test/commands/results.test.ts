import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { User } from "../../src/auth/model.ts";
import { home, ownerLogin } from "../support/authority.ts";
import type { Message } from "../support/socket-client.ts";
import { type Entered, type SocketGateway, startSocketGateway } from "../support/socket-gateway.ts";

const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const id = expect.stringMatching(/^[0-9a-f]{32}$/);
const failed = (code: string, more: object = {}) => ({
  success: false,
  error: { code, message: expect.any(String), ...more },
});
const done = (result: unknown) => ({ success: true, result });

describe("commands", () => {
  let gateway: SocketGateway;
  let owner: User;
  let admin: User;
  let plain: User;
  let asOwner: Entered;
  let asAdmin: Entered;
  let asPlain: Entered;

  const ask = (who: Entered, type: string, fields?: object): Promise<Message> =>
    who.client.call(type, fields);
  const local = (name: string) => `config/auth_provider/homeassistant/${name}`;

  beforeAll(async () => {
    gateway = await startSocketGateway();
    owner = await gateway.owner();
    ({ user: admin } = await gateway.user("adam"));
    admin = await gateway.authority.users.update(admin.id, { groupIds: ["system-admin"] });
    ({ user: plain } = await gateway.user("petra"));
    [asOwner, asAdmin, asPlain] = await Promise.all([
      gateway.enter(owner),
      gateway.enter(admin),
      gateway.enter(plain),
    ]);
  });
  afterAll(() => gateway?.stop());

  it("auth/current_user tells who one is", async () => {
    expect(await ask(asOwner, "auth/current_user")).toMatchObject(
      done({
        id: owner.id,
        name: "Olivia",
        is_owner: true,
        is_admin: true,
        credentials: [{ auth_provider_type: "homeassistant", auth_provider_id: null }],
        mfa_modules: [
          { id: "totp", name: "Authenticator app", enabled: false },
          { id: "recovery", name: "Recovery codes", enabled: false },
        ],
      }),
    );
    expect(await ask(asPlain, "auth/current_user")).toMatchObject({
      result: { id: plain.id, is_owner: false, is_admin: false },
    });
  });

  it("auth/refresh_tokens lists one's own sessions, without a secret", async () => {
    const answer = await ask(asPlain, "auth/refresh_tokens");
    expect(answer).toMatchObject(
      done([
        {
          id: asPlain.sessionId,
          client_id: "https://app.example/",
          client_name: null,
          client_icon: null,
          type: "normal",
          created_at: time,
          last_used_at: time,
          last_used_ip: home.address,
          expire_at: time,
          is_current: true,
          auth_provider_type: "homeassistant",
        },
      ]),
    );
    expect(JSON.stringify(answer)).not.toContain(asPlain.refreshToken);
  });

  it("auth/long_lived_access_token gives a token that works, once per name", async () => {
    const fields = { lifespan: 30, client_name: "dashboard", client_icon: "mdi:wall" };
    const { result: token } = await ask(asPlain, "auth/long_lived_access_token", fields);
    const device = await gateway.connect();
    expect(await device.authenticate(token as string)).toMatchObject({ type: "auth_ok" });
    expect(await device.call("auth/current_user")).toMatchObject({ result: { id: plain.id } });
    expect(await ask(asPlain, "auth/long_lived_access_token", fields)).toMatchObject(
      failed("client_name_exists"),
    );
    const { result } = await ask(asPlain, "auth/refresh_tokens");
    expect(result).toContainEqual(
      expect.objectContaining({
        type: "long_lived_access_token",
        client_id: null,
        client_name: "dashboard",
        client_icon: "mdi:wall",
        is_current: false,
      }),
    );
    device.terminate();
  });

  it("auth/sign_path signs for this session, and only plain paths", async () => {
    const { result } = await ask(asPlain, "auth/sign_path", { path: "/api/camera?id=3", expires: 60 });
    const { path } = result as { path: string };
    expect(await gateway.authority.signedPaths.verify(path)).toBe(asPlain.sessionId);
    for (const wrong of ["api", "//evil.example/x", "https://evil.example/"])
      expect(await ask(asPlain, "auth/sign_path", { path: wrong })).toMatchObject(failed("invalid_format"));
  });

  it("auth/refresh keeps the socket and takes this session's token only", async () => {
    const mine = await gateway.enter(plain);
    const other = await gateway.open(plain.id);
    expect(await ask(mine, "auth/refresh", { refresh_token: other.refreshToken })).toMatchObject(
      failed("invalid_grant"),
    );
    expect(await ask(mine, "auth/refresh", { refresh_token: "1.x.y" })).toMatchObject(
      failed("invalid_grant"),
    );
    const { result } = await ask(mine, "auth/refresh", { refresh_token: mine.refreshToken });
    expect(result).toMatchObject({
      token_type: "Bearer",
      expires_in: 1800,
      refresh_token: expect.any(String),
    });
    const again = await gateway.connect();
    const { access_token } = result as { access_token: string };
    expect(await again.authenticate(access_token)).toMatchObject({ type: "auth_ok" });
    expect(await ask(mine, "ping")).toMatchObject({ type: "pong" });
    again.terminate();
    mine.client.terminate();
  });

  it("auth/refresh_token_set_expiry switches a session's end off and on", async () => {
    const expireAt = async () => {
      const { result } = await ask(asAdmin, "auth/refresh_tokens");
      return (result as { expire_at: unknown }[])[0]?.expire_at;
    };
    const set = (enable_expiry: boolean, refresh_token_id = asAdmin.sessionId) =>
      ask(asAdmin, "auth/refresh_token_set_expiry", { refresh_token_id, enable_expiry });
    expect(await set(false)).toMatchObject(done({}));
    expect(await expireAt()).toBeNull();
    expect(await set(true)).toMatchObject(done({}));
    expect(await expireAt()).toEqual(time);
    expect(await set(true, asPlain.sessionId)).toMatchObject(failed("invalid_token_id"));
  });

  it("config/auth/* manages users", async () => {
    const { result: created } = await ask(asAdmin, "config/auth/create", {
      name: "Nora",
      group_ids: ["system-users"],
      local_only: true,
    });
    const { user } = created as { user: { id: string } };
    expect(user).toEqual({
      id,
      username: null,
      name: "Nora",
      is_owner: false,
      is_active: true,
      state: "active",
      local_only: true,
      system_generated: false,
      group_ids: ["system-users"],
      credentials: [],
    });
    expect(
      await ask(asAdmin, "config/auth/update", { user_id: user.id, name: "Nele", local_only: false }),
    ).toMatchObject(done({ user: { ...user, name: "Nele", local_only: false } }));
    const { result: list } = await ask(asAdmin, "config/auth/list");
    expect(list).toContainEqual(
      expect.objectContaining({
        id: owner.id,
        username: ownerLogin.username,
        credentials: [{ type: "homeassistant" }],
      }),
    );
    expect(list).toContainEqual(expect.objectContaining({ id: user.id, name: "Nele" }));
    expect(await ask(asAdmin, "config/auth/delete", { user_id: user.id })).toMatchObject(done(null));
    const unknown = failed("not_found", { message: "User not found" });
    expect(await ask(asAdmin, "config/auth/delete", { user_id: user.id })).toMatchObject(unknown);
    expect(await ask(asAdmin, "config/auth/update", { user_id: user.id, name: "x" })).toMatchObject(unknown);
  });

  it("config/auth/* refuses as Home Assistant does", async () => {
    expect(await ask(asAdmin, "config/auth/delete", { user_id: admin.id })).toMatchObject(
      failed("no_delete_self"),
    );
    expect(await ask(asAdmin, "config/auth/delete", { user_id: owner.id })).toMatchObject(
      failed("cannot_remove_owner"),
    );
    expect(await ask(asAdmin, "config/auth/update", { user_id: owner.id, is_active: false })).toMatchObject(
      failed("cannot_deactivate_owner"),
    );
    expect(await ask(asAdmin, "config/auth/create", { name: "x", group_ids: ["nobody"] })).toMatchObject(
      failed("invalid_group"),
    );
  });

  it("the local provider's commands manage logins, with Home Assistant's errors", async () => {
    const { result } = await ask(asAdmin, "config/auth/create", {
      name: "Lena",
      group_ids: ["system-users"],
    });
    const { id: user_id } = (result as { user: { id: string } }).user;
    const password = ownerLogin.password;
    const create = (fields: object) => ask(asAdmin, local("create"), { user_id, password, ...fields });
    const auth = { translation_domain: "auth" };
    expect(await create({ username: "Lena" })).toMatchObject(
      failed("home_assistant_error", { ...auth, translation_key: "username_not_normalized" }),
    );
    expect(await create({ username: "petra" })).toMatchObject(
      failed("home_assistant_error", { ...auth, translation_key: "username_already_exists" }),
    );
    expect(await create({ username: "lena", user_id: "0".repeat(32) })).toMatchObject(failed("not_found"));
    expect(await create({ username: "lena" })).toMatchObject(done(null));
    expect(await ask(asOwner, local("admin_change_username"), { user_id, username: "petra" })).toMatchObject(
      failed("home_assistant_error", { ...auth, translation_key: "username_already_exists" }),
    );
    expect(await ask(asOwner, local("admin_change_username"), { user_id, username: "lene" })).toMatchObject(
      done(null),
    );
    expect(
      await ask(asOwner, local("admin_change_username"), { user_id: "nobody", username: "x" }),
    ).toMatchObject(failed("user_not_found"));
    expect(
      await ask(asOwner, local("admin_change_password"), {
        user_id: "nobody",
        password: "quite a new password",
      }),
    ).toMatchObject(failed("user_not_found"));
    expect(await ask(asAdmin, local("delete"), { username: "lena" })).toMatchObject(
      failed("home_assistant_error", { ...auth, translation_key: "user_not_found" }),
    );
    expect(await ask(asAdmin, local("delete"), { username: "lene" })).toMatchObject(done(null));
    expect(
      await ask(asOwner, local("admin_change_password"), { user_id, password: "quite a new password" }),
    ).toMatchObject(failed("credentials_not_found"));
  });

  it("change_password wants the present one", async () => {
    const wrong = { current_password: "not the password", new_password: "another good password" };
    expect(await ask(asPlain, local("change_password"), wrong)).toMatchObject(
      failed("invalid_current_password"),
    );
  });

  it("lets no other administrator change the owner, or take or give a login of the owner's", async () => {
    const unauthorized = failed("unauthorized");
    for (const fields of [{ name: "Mallory" }, { local_only: true }, { group_ids: [] }])
      expect(await ask(asAdmin, "config/auth/update", { user_id: owner.id, ...fields })).toMatchObject(
        unauthorized,
      );
    const spelled = ` ${ownerLogin.username.toUpperCase()}`;
    for (const username of [ownerLogin.username, spelled])
      expect(await ask(asAdmin, local("delete"), { username })).toMatchObject(unauthorized);
    const login = { user_id: owner.id, username: "mallory", password: "a password of hers" };
    expect(await ask(asAdmin, local("create"), login)).toMatchObject(unauthorized);
    expect((await gateway.authority.users.read(owner.id))?.user).toMatchObject({
      name: owner.name,
      localOnly: false,
      groupIds: owner.groupIds,
    });
    expect(await gateway.authority.localLogins.usernameOf(owner.id)).toBe(ownerLogin.username);
    const same = { user_id: owner.id, name: "Olivia" };
    expect(await ask(asOwner, "config/auth/update", same)).toMatchObject({ success: true });
  });

  it("admin commands are for administrators, owner commands for the owner", async () => {
    const user_id = plain.id;
    const forAdmins: readonly [string, object][] = [
      ["config/auth/list", {}],
      ["config/auth/create", { name: "x" }],
      ["config/auth/update", { user_id, group_ids: ["system-admin"] }],
      ["config/auth/delete", { user_id: admin.id }],
      [local("create"), { user_id, username: "x", password: "x" }],
      [local("delete"), { username: "adam" }],
    ];
    const forOwner: readonly [string, object][] = [
      [local("admin_change_password"), { user_id: owner.id, password: "quite a new password" }],
      [local("admin_change_username"), { user_id: owner.id, username: "x" }],
    ];
    const unauthorized = failed("unauthorized", { message: "Unauthorized" });
    for (const [type, fields] of [...forAdmins, ...forOwner])
      expect([type, await ask(asPlain, type, fields)]).toMatchObject([type, unauthorized]);
    for (const [type, fields] of forOwner)
      expect([type, await ask(asAdmin, type, fields)]).toMatchObject([type, unauthorized]);
    expect(await ask(asPlain, "auth/current_user")).toMatchObject({ result: { is_admin: false } });
  });

  it("a demoted administrator is refused by the next command on the same socket", async () => {
    const { user } = await gateway.user("dora");
    await gateway.authority.users.update(user.id, { groupIds: ["system-admin"] });
    const entered = await gateway.enter(user);
    expect(await ask(entered, "config/auth/list")).toMatchObject({ success: true });
    await gateway.authority.users.update(user.id, { groupIds: ["system-users"] });
    expect(await ask(entered, "config/auth/list")).toMatchObject(failed("unauthorized"));
    entered.client.terminate();
  });

  it("user events reach administrators who asked for them, until they unsubscribe", async () => {
    const watching = await gateway.enter(admin);
    const { id: all } = await ask(watching, "subscribe_events");
    const { id: added } = await ask(watching, "subscribe_events", { event_type: "user_added" });
    expect(await ask(watching, "unsubscribe_events", { subscription: all })).toMatchObject(done(null));
    expect(await ask(watching, "unsubscribe_events", { subscription: all })).toMatchObject(
      failed("not_found", { message: "Subscription not found." }),
    );
    const { result } = await ask(asAdmin, "config/auth/create", { name: "Eva" });
    const { id: user_id } = (result as { user: { id: string } }).user;
    const event = await watching.client.find(({ type }) => type === "event", "the event");
    expect(event).toEqual({
      id: added,
      type: "event",
      event: {
        event_type: "user_added",
        data: { user_id },
        origin: "LOCAL",
        time_fired: time,
        context: { id, parent_id: null, user_id: null },
      },
    });
    watching.client.terminate();
  });

  it("user events stop for who is no administrator any more", async () => {
    const { user } = await gateway.user("emil");
    await gateway.authority.users.update(user.id, { groupIds: ["system-admin"] });
    const demoted = await gateway.enter(user);
    const watching = await gateway.enter(admin);
    await Promise.all([ask(demoted, "subscribe_events"), ask(watching, "subscribe_events")]);
    await gateway.authority.users.update(user.id, { groupIds: ["system-users"] });
    await ask(asAdmin, "config/auth/create", { name: "Fritz" });
    const isAdded = ({ event }: Message) => (event as { event_type?: string })?.event_type === "user_added";
    await watching.client.find(isAdded, "the administrator's event");
    // Subscribers are told in the order in which they subscribed: by now the demoted one would have its event.
    await ask(demoted, "ping");
    expect(demoted.client.received.filter((message) => isAdded(message as Message))).toEqual([]);
    expect(watching.client.received.filter((message) => isAdded(message as Message))).toHaveLength(1);
    for (const { client } of [demoted, watching]) client.terminate();
  });

  it("who is no administrator subscribes to what Home Assistant leaves open, and to nothing else", async () => {
    expect(await ask(asPlain, "subscribe_events", { event_type: "state_changed" })).toMatchObject(done(null));
    for (const fields of [
      {},
      { event_type: "*" },
      { event_type: "user_added" },
      { event_type: "call_service" },
    ])
      expect(await ask(asPlain, "subscribe_events", fields)).toMatchObject(failed("unauthorized"));
  });

  it("bounds the subscriptions of one socket", async () => {
    const { client } = await gateway.enter(plain);
    for (let count = 0; count < 256; count += 1)
      await client.call("subscribe_events", { event_type: "state_changed" });
    expect(await client.call("subscribe_events", { event_type: "state_changed" })).toMatchObject(
      failed("not_allowed"),
    );
    client.terminate();
  });
});
