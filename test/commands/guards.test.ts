import { describe, expect, it } from "vitest";

import { AuthError } from "../../src/auth/errors.ts";
import type { Principal, User } from "../../src/auth/model.ts";
import { createCallerPermissions, standingOf } from "../../src/auth/permissions/caller-permissions.ts";
import { noResources } from "../../src/auth/permissions/entity-rules.ts";
import { createGroupTable } from "../../src/auth/permissions/group-table.ts";
import { defineCommand } from "../../src/commands/guarded-command.ts";
import { admitted, connectionRig, settled } from "../support/connection-rig.ts";
import { principalOf, userOf } from "../support/people.ts";

const ownerOnly = "config/auth_provider/homeassistant/admin_change_password";

function setUp(current: () => Promise<User | undefined>) {
  const done: string[] = [];
  const view = {
    trusted: true,
    followGeneration: 0,
    invalidationCount: 0,
    decidedRights: () => undefined,
    ownerChange: () => undefined,
    judge: () => ({ state: "live" }) as const,
  };
  const authentication = {
    authenticate: () => admitted(principalOf()),
    recheck: () => undefined,
    review: async () => [undefined],
  };
  const callers = createCallerPermissions({
    groups: createGroupTable(),
    resources: { ...noResources, revision: 0 },
  });
  const authority = {
    users: { current },
    permissions: {
      of: async (principal: Principal) => callers.of(standingOf(await current()), principal),
    },
  };
  const rig = connectionRig(
    { authentication, revocation: { view } },
    {
      commands: [
        defineCommand("config/auth/list", authority, () => {
          done.push("list");
          return [];
        }),
        defineCommand(ownerOnly, authority, () => {
          done.push("password");
          return null;
        }),
      ],
    },
  );
  const client = rig.connect();
  client.say({ type: "auth", access_token: "t" });
  client.heard();
  const ask = async (message: object) => {
    client.say(message);
    await settled();
    return client.heard();
  };
  return { rig, view, client, ask, done };
}

const list = { id: 1, type: "config/auth/list" };
const password = { id: 2, type: ownerOnly, user_id: "u2", password: "quite a new password" };

describe("guards", () => {
  it("come before the schema: who may not ask reads nothing of what is wrong with the message", async () => {
    const wrong = { id: 1, type: "config/auth/list", extra: 1 };
    const plain = setUp(async () => userOf());
    expect(await plain.ask(wrong)).toMatchObject([{ error: { code: "unauthorized" } }]);
    const admin = setUp(async () => userOf({ groupIds: ["system-admin"] }));
    expect(await admin.ask(wrong)).toMatchObject([
      { error: { code: "invalid_format", message: "extra keys not allowed" } },
    ]);
    expect([plain.done, admin.done]).toEqual([[], []]);
  });

  it.each([
    ["a plain user", userOf(), []],
    ["an administrator", userOf({ groupIds: ["system-admin"] }), ["list"]],
    ["an administrator who is not active", userOf({ groupIds: ["system-admin"], state: "deactivated" }), []],
    ["the owner, in whatever group", userOf({ isOwner: true, groupIds: [] }), ["list", "password"]],
    ["nobody", undefined, []],
  ])("let %s do what the table says", async (_, user, expected) => {
    const { ask, done } = setUp(async () => user);
    await ask(list);
    await ask(password);
    expect(done).toEqual(expected);
  });

  it("let nothing begin on a socket that was suspended while the user was looked up", async () => {
    let found: (user: User) => void = () => undefined;
    const { rig, view, client, ask, done } = setUp(() => new Promise((resolve) => (found = resolve)));
    await ask(list);
    view.trusted = false;
    found(userOf({ isOwner: true }));
    await settled();
    expect([done, client.heard()]).toEqual([[], []]);
    view.trusted = true;
    rig.wind(200);
    await settled();
    expect(done).toEqual([]);
    expect(client.heard()).toMatchObject([{ id: 1, error: { code: "unavailable" } }]);
  });

  it("answer unauthorized, and say unavailable when they cannot know", async () => {
    const { ask } = setUp(async () => userOf());
    expect(await ask(list)).toMatchObject([{ error: { code: "unauthorized", message: "Unauthorized" } }]);
    const away = setUp(() => Promise.reject(new AuthError("unavailable")));
    expect(await away.ask(list)).toMatchObject([{ error: { code: "unavailable" } }]);
    expect(away.done).toEqual([]);
  });

  it("let nothing begin for a session that was cut off while they looked", async () => {
    let found: (user: User) => void = () => undefined;
    const { rig, client, done } = setUp(
      () =>
        new Promise((resolve) => {
          found = resolve;
        }),
    );
    client.say(list);
    rig.connections.hub.apply({
      kind: "sessions",
      userId: "u1",
      sessionIds: ["s1"],
      cause: "session_revoked",
    });
    found(userOf({ isOwner: true }));
    await settled();
    expect([done, client.heard()]).toEqual([[], []]);
  });

  it("ask anew for every command", async () => {
    let user = userOf({ groupIds: ["system-admin"] });
    const { ask, done } = setUp(async () => user);
    await ask(list);
    user = userOf();
    await ask({ ...list, id: 2 });
    expect(done).toEqual(["list"]);
  });
});
