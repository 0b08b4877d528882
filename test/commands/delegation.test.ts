import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { type CommandType, commands } from "../../protocol/commands/index.ts";
import type { Policy } from "../../protocol/policy.ts";
import type { User, UserState } from "../../src/auth/model.ts";
import { delegableCommands, isDelegableNamespace } from "../../src/auth/permissions/delegation.ts";
import { limitsOf } from "../../src/commands/delegates.ts";
import type { SocketSession } from "../../src/connection/session.ts";
import { eventually } from "../support/eventually.ts";
import { principalOf } from "../support/people.ts";
import { type Entered, type SocketGateway, startSocketGateway } from "../support/socket-gateway.ts";

let gateway: SocketGateway;
let owner: User;
let admin: User;
let asAdmin: Entered;
beforeAll(async () => {
  gateway = await startSocketGateway({ authority: { approvals: { approvers: "administrators" } } });
  owner = await gateway.owner();
  ({ user: admin } = await gateway.user("adam"));
  admin = await gateway.authority.users.update(admin.id, { groupIds: ["system-admin"] });
  asAdmin = await gateway.enter(admin);
});
afterAll(() => gateway?.stop());

const namespaces = [
  "config/auth",
  "gatehouse/users",
  "gatehouse/approvals",
  "gatehouse/groups",
  "gatehouse/revoke",
  "gatehouse/resources",
];
const allCommands: Policy = {
  commands: { namespaces: Object.fromEntries(namespaces.map((name) => [name, true] as const)) },
};

/** What only administrators may do, whatever a policy says. A new command must be here, or be one that is given. */
const notDelegable: readonly CommandType[] = [
  "fire_event",
  "config/auth_provider/homeassistant/create",
  "config/auth_provider/homeassistant/delete",
  "config/auth_provider/homeassistant/admin_change_password",
  "config/auth_provider/homeassistant/admin_change_username",
  "gatehouse/credentials/list",
  "gatehouse/credentials/remove",
  "gatehouse/password/reset/create",
  "gatehouse/password/reset/cancel",
  "gatehouse/mfa/list",
  "gatehouse/mfa/reset",
  "gatehouse/mfa/demands/list",
  "gatehouse/mfa/demands/set",
  "gatehouse/owner/transfer",
  "gatehouse/throttles/list",
  "gatehouse/throttles/lift",
  "gatehouse/clients/list",
  "gatehouse/clients/register",
  "gatehouse/clients/update",
  "gatehouse/clients/new_secret",
  "gatehouse/clients/remove",
];

async function makeGroup(policy: Policy) {
  return (await gateway.authority.groups.create({ name: "Made", policy })).group;
}

async function makeUser(groupIds: readonly string[], state: UserState = "active", localOnly = false) {
  return await gateway.authority.users.create({ name: "Made", groupIds, state, localOnly });
}

/** A user whose groups are one with all commands that can be given, and these. */
async function makeDelegate(policies: readonly Policy[], localOnly = false) {
  const groups = await Promise.all([allCommands, ...policies].map(makeGroup));
  const user = await makeUser(
    groups.map(({ id }) => id),
    "active",
    localOnly,
  );
  return { user, groups, ...(await gateway.enter(user)) };
}

describe("a command of administrators", () => {
  it("is one that can be given, or one that cannot", () => {
    const ofAdministrators = Object.entries(commands)
      .filter(([, { guard }]) => guard === "admin" || guard === "owner")
      .map(([type]) => type);
    expect([...delegableCommands, ...notDelegable].sort()).toEqual(ofAdministrators.sort());
  });

  it("is not given by a namespace that contains what cannot be given", () => {
    for (const name of namespaces) expect([name, isDelegableNamespace(name)]).toEqual([name, true]);
    for (const name of [
      "gatehouse",
      "config",
      "gatehouse/clients",
      "gatehouse/owner",
      "ping",
      "gatehouse/user",
    ])
      expect([name, isDelegableNamespace(name)]).toEqual([name, false]);
  });

  it("is refused to a delegate unless it can be given, even if a stored policy gives everything", async () => {
    const { user, client } = await makeDelegate([]);
    const { id } = await makeGroup({});
    const event = { type: "group_changed", groupId: id, name: "Old", policy: { commands: true } };
    const { revocation } = gateway.authority as typeof gateway.authority & {
      readonly revocation: { commit(step: object): Promise<unknown> };
    };
    await revocation.commit({ log: [event] });
    await gateway.authority.groups.addMember({ groupId: id, userId: user.id });
    for (const type of notDelegable)
      expect([type, await client.call(type)]).toMatchObject([type, { error: { code: "unauthorized" } }]);
  });

  it("is refused to everybody else", async () => {
    const { client } = await gateway.enter(await makeUser(["system-users"]));
    for (const type of delegableCommands)
      expect([type, await client.call(type)]).toMatchObject([type, { error: { code: "unauthorized" } }]);
  });

  it("is no longer there in the moment in which the group loses it", async () => {
    const { client, groups } = await makeDelegate([]);
    const [first] = groups;
    expect(await client.call("gatehouse/users/list")).toMatchObject({ success: true });
    await gateway.authority.groups.update(first?.id ?? "", first?.version ?? 0, { policy: {} });
    expect(await client.call("gatehouse/users/list")).toMatchObject({ error: { code: "unauthorized" } });
  });
});

describe("a delegate", () => {
  const lights: Policy = { entities: { domains: { light: true } } };

  it("gives what they have, and not more", async () => {
    const { client } = await makeDelegate([lights]);
    const [less, more] = [
      await makeGroup({ entities: { entity_ids: { "light.hall": true } } }),
      await makeGroup({ entities: { domains: { lock: true } } }),
    ];
    const { id: user_id } = await makeUser([]);
    const ask = async (type: string, fields: object) => {
      const { success, error } = await client.call(type, fields);
      return success === true ? "done" : (error as { readonly code: string }).code;
    };
    for (const [group_ids, expected] of [
      [[less.id], "done"],
      [[more.id], "unauthorized"],
      [["system-users"], "unauthorized"],
      [["system-admin"], "unauthorized"],
    ] as const) {
      expect(await ask("config/auth/create", { name: "New", group_ids })).toBe(expected);
      expect(await ask("config/auth/update", { user_id, group_ids })).toBe(expected);
      expect(await ask("gatehouse/groups/members/add", { group_id: group_ids[0], user_id })).toBe(expected);
    }
    const create = (policy: Policy) => ask("gatehouse/groups/create", { name: "New", policy });
    expect(await create(lights)).toBe("done");
    expect(await create({ topics: { all: { read: true } } })).toBe("unauthorized");
    const { version } = more;
    const change = { group_id: more.id, version };
    expect(await ask("gatehouse/groups/update", { ...change, policy: {} })).toBe("unauthorized");
    expect(await ask("gatehouse/groups/update", { ...change, name: "Mine" })).toBe("unauthorized");
    expect(await ask("gatehouse/groups/delete", change)).toBe("unauthorized");
    expect(await ask("gatehouse/groups/delete", { group_id: less.id, version: less.version })).toBe("done");
  });

  it("does nothing to administrators, the owner and services", async () => {
    const { client } = await makeDelegate([]);
    const { user: service } = await gateway.authority.systemUsers.create({ name: "backup" });
    const sleeping = await makeUser(["system-admin"], "deactivated");
    for (const { id: user_id } of [admin, owner, service, sleeping]) {
      const tries: readonly (readonly [CommandType, object])[] = [
        ["config/auth/update", { user_id, name: "Mine" }],
        ["config/auth/update", { user_id, group_ids: [] }],
        ["config/auth/update", { user_id, is_active: false }],
        ["config/auth/update", { user_id, is_active: true }],
        ["config/auth/delete", { user_id }],
        ["gatehouse/users/sessions", { user_id }],
        ["gatehouse/groups/members/remove", { group_id: "system-admin", user_id }],
        ["gatehouse/groups/members/add", { group_id: "system-read-only", user_id }],
        ["gatehouse/revoke", { target: { user_id } }],
      ];
      for (const [type, fields] of tries)
        expect([type, fields, (await client.call(type, fields)).success]).toEqual([type, fields, false]);
    }
    for (const target of [
      { session_id: asAdmin.sessionId },
      { all: true },
      { client_id: "https://app.example/" },
    ])
      expect(await client.call("gatehouse/revoke", { target })).toMatchObject({ success: false });
    expect(await asAdmin.client.call("ping")).toMatchObject({ type: "pong" });
  });

  it("wakes nobody who may do more, and lets nobody in from farther away", async () => {
    const { client } = await makeDelegate([lights], true);
    const sleeping = await makeUser(["system-users"], "deactivated");
    const local = await makeUser([], "active", true);
    const update = (user_id: string, fields: object) =>
      client.call("config/auth/update", { user_id, ...fields });
    expect(await update(sleeping.id, { is_active: true })).toMatchObject({ error: { code: "unauthorized" } });
    expect(await update(local.id, { local_only: false })).toMatchObject({ error: { code: "unauthorized" } });
    expect(await client.call("config/auth/create", { name: "New" })).toMatchObject({
      error: { code: "unauthorized" },
    });
    expect(await client.call("config/auth/create", { name: "New", local_only: true })).toMatchObject({
      success: true,
    });
  });

  it("approves into the groups of the configuration or into what they have, and makes nobody an administrator", async () => {
    const { client } = await makeDelegate([lights]);
    const { approvals } = gateway.authority;
    const waiting = async (groupIds: readonly string[]) => {
      const { id } = await makeUser(groupIds, "pending");
      const device = { clientId: null, clientName: null, address: null };
      await approvals.wait({
        userId: id,
        name: null,
        subject: id,
        provider: ["command_line", null],
        ...device,
      });
      return id;
    };
    const approve = async (user_id: string, group_ids?: readonly string[]) =>
      (await client.call("gatehouse/approvals/approve", { user_id, ...(group_ids && { group_ids }) }))
        .success;
    expect(await approve(await waiting(["system-users"]))).toBe(true);
    expect(await approve(await waiting([]), ["system-users"])).toBe(false);
    expect(await approve(await waiting([]), [(await makeGroup(lights)).id])).toBe(true);
    expect(await approve(await waiting(["system-admin"]))).toBe(false);
    const user_id = await waiting(["system-users"]);
    expect((await client.call("config/auth/update", { user_id, is_active: true })).success).toBe(false);
    expect((await client.call("gatehouse/approvals/refuse", { user_id })).success).toBe(true);
  });

  it("hears of those who wait if it may approve, and of nothing else that administrators hear", async () => {
    const { client } = await makeDelegate([lights]);
    const other = await makeGroup({ commands: { namespaces: { "config/auth": true } } });
    const { client: without } = await gateway.enter(await makeUser([other.id]));
    const listen = (of: typeof client, event_type: string) => of.call("subscribe_events", { event_type });
    expect(await listen(without, "approval_requested")).toMatchObject({ error: { code: "unauthorized" } });
    for (const event_type of ["user_added", "*"])
      expect(await listen(client, event_type)).toMatchObject({ error: { code: "unauthorized" } });
    expect(await listen(client, "approval_requested")).toMatchObject({ success: true });
    const { id } = await makeUser([], "pending");
    await gateway.authority.approvals.wait({
      userId: id,
      name: null,
      subject: id,
      provider: ["command_line", null],
      clientId: null,
      clientName: null,
      address: null,
    });
    expect(await client.find(({ type }) => type === "event", "the event")).toMatchObject({
      event: { event_type: "approval_requested", data: { user_id: id } },
    });
  });

  it("does nothing after the answer that took its rights, also with commands that were sent before", async () => {
    const groups = [];
    for (let n = 0; n < 24; n += 1) groups.push(await makeGroup(lights));
    for (const take of ["member", "deactivated"] as const) {
      const { client, user, groups: own } = await makeDelegate([lights]);
      const friend = await makeUser([]);
      const ids = new Set(groups.map((_, at) => 1_001 + at));
      for (const [at, { id: group_id }] of groups.entries())
        client.send({ id: 1_001 + at, type: "gatehouse/groups/members/add", group_id, user_id: friend.id });
      const answered = () =>
        (client.received.flat() as { id?: number; type?: string }[]).filter(
          ({ id = 0, type }) => type === "result" && ids.has(id),
        ).length;
      await eventually("the first answer", () => answered() > 0);
      const { users, groups: changed } = gateway.authority;
      if (take === "member") await changed.removeMember({ groupId: own[0]?.id ?? "", userId: user.id });
      else await users.update(user.id, { state: "deactivated" });
      const after = (await users.read(friend.id))?.user.groupIds;
      if (take === "member") await eventually("all answers", () => answered() === ids.size);
      else await client.closed;
      // Whatever was under way has read, and would commit before this.
      await makeUser([]);
      expect([take, (await users.read(friend.id))?.user.groupIds]).toEqual([take, after]);
    }
  });

  it("commits nothing by the rights that this node still knows while the store has others already", async () => {
    const { user, groups } = await makeDelegate([lights]);
    const { authority } = gateway;
    const session = { principal: principalOf({ userId: user.id }), live: true } as SocketSession;
    const type = "gatehouse/groups/members/add";
    await limitsOf(authority, session, type);
    // The commit that takes the group is on disk, and its entry of the log is not applied yet.
    const read: typeof authority.users.read = async (id) => {
      const found = await authority.users.read(id);
      const groupIds =
        found?.user.groupIds.filter((each) => !groups.some((group) => group.id === each)) ?? [];
      return found && { ...found, version: found.version + 1, user: { ...found.user, groupIds } };
    };
    const ahead = { ...authority, users: { ...authority.users, read } };
    await expect(limitsOf(ahead, session, type)).rejects.toMatchObject({ code: "unauthorized" });
  });

  it("lets no token with a policy give logins or passwords, whoever holds it", async () => {
    const owner = await gateway.owner();
    const dormant = await makeUser(["system-admin"], "active");
    const { accessToken } = await gateway.authority.sessions.openLongLived({
      userId: owner.id,
      clientName: "narrow",
      clientIcon: null,
      days: 1,
      policy: { commands: { namespaces: { "config/auth_provider": true } } },
    });
    const socket = await gateway.connect();
    expect(await socket.authenticate(accessToken)).toMatchObject({ type: "auth_ok" });
    const login = { user_id: dormant.id, username: "dormant", password: "a long new password" };
    for (const [type, fields] of [
      ["config/auth_provider/homeassistant/create", login],
      [
        "config/auth_provider/homeassistant/admin_change_password",
        { user_id: dormant.id, password: "another long one" },
      ],
      ["config/auth_provider/homeassistant/delete", { username: "dormant" }],
      ["gatehouse/credentials/list", { user_id: dormant.id }],
    ] as const)
      expect([type, await socket.call(type, fields)]).toMatchObject([
        type,
        { error: { code: "unauthorized" } },
      ]);
    socket.close();
  });

  it("leaves users who wait for approval to those who may approve", async () => {
    const group = await makeGroup({ commands: { namespaces: { "config/auth": true } } });
    const { client } = await gateway.enter(await makeUser([group.id]));
    const { id: user_id } = await makeUser([], "pending");
    for (const [type, fields] of [
      ["config/auth/update", { user_id, name: "Mine" }],
      ["config/auth/update", { user_id, is_active: true }],
      ["config/auth/delete", { user_id }],
      ["gatehouse/approvals/list", {}],
    ] as const)
      expect([type, await client.call(type, fields)]).toMatchObject([
        type,
        { error: { code: "unauthorized" } },
      ]);
    expect(
      await client.call("config/auth/update", { user_id: (await makeUser([])).id, name: "New" }),
    ).toMatchObject({
      success: true,
    });
  });

  it("learns of nobody above them in which groups they are", async () => {
    const { client } = await makeDelegate([]);
    for (const group_id of ["system-admin", "system-users"])
      for (const verb of ["add", "remove"] as const)
        expect([
          verb,
          group_id,
          await client.call(`gatehouse/groups/members/${verb}`, { group_id, user_id: admin.id }),
        ]).toMatchObject([verb, group_id, { error: { code: "unauthorized" } }]);
  });

  it("may send what a group gives alone, as an explanation says", async () => {
    for (const type of [
      "gatehouse/approvals/list",
      "gatehouse/approvals/refuse",
      "gatehouse/resources/remove",
    ] as const) {
      const policy: Policy = { entities: true, commands: { namespaces: { [type]: true } } };
      const user = await makeUser([(await makeGroup(policy)).id]);
      const { client } = await gateway.enter(user);
      const fields = {
        "gatehouse/approvals/list": {},
        "gatehouse/approvals/refuse": { user_id: "nobody" },
        "gatehouse/resources/remove": { entity_ids: ["light.none"] },
      }[type];
      const answer = await client.call(type, fields);
      expect([type, (answer.error as { readonly code?: string } | null)?.code ?? "none"]).toEqual([
        type,
        type === "gatehouse/approvals/refuse" ? "not_found" : "none",
      ]);
      const question = { user_id: user.id, resource: { command: type } };
      expect(await asAdmin.client.call("gatehouse/permissions/explain", question)).toMatchObject({
        result: { allowed: true },
      });
    }
  });

  it("lifts no demand of a second factor", async () => {
    const { secondFactors, users } = gateway.authority;
    const careful = await makeGroup({});
    const helped = await makeUser([careful.id]);
    const { client } = await makeDelegate([]);
    const ask = async (type: string, fields: object) => {
      const { success, error } = await client.call(type, fields);
      return success === true ? "done" : (error as { readonly code: string }).code;
    };
    const member = { group_id: careful.id, user_id: helped.id };
    expect(await ask("gatehouse/groups/members/remove", member)).toBe("done");
    expect(await ask("gatehouse/groups/members/add", member)).toBe("done");
    await secondFactors.demand(careful.id, true);
    expect(await ask("gatehouse/groups/members/remove", member)).toBe("unauthorized");
    expect(await ask("config/auth/update", { user_id: helped.id, group_ids: [] })).toBe("unauthorized");
    const { version } = careful;
    expect(await ask("gatehouse/groups/delete", { group_id: careful.id, version })).toBe("unauthorized");
    expect((await users.read(helped.id))?.user.groupIds).toContain(careful.id);
    expect(await secondFactors.demandingGroups()).toContain(careful.id);
    expect(await ask("config/auth/update", { user_id: helped.id, name: "Renamed" })).toBe("done");
    expect(await ask("config/auth/delete", { user_id: helped.id })).toBe("done");
  });

  it("registers entities only with every right on all of them", async () => {
    const fields = { entities: [{ entity_id: "lock.front", device_id: "lamp" }] };
    const { client } = await makeDelegate([{ entities: { device_ids: { lamp: true } } }]);
    for (const [type, given] of [
      ["gatehouse/resources/set", fields],
      ["gatehouse/resources/remove", { entity_ids: ["lock.front"] }],
    ] as const)
      expect(await client.call(type, given)).toMatchObject({ error: { code: "unauthorized" } });
    const service = await makeDelegate([{ entities: true }]);
    expect(await service.client.call("gatehouse/resources/set", { ...fields, wait: true })).toMatchObject({
      result: { effective: "all" },
    });
    expect(await service.client.call("gatehouse/resources/list", { kind: "entities" })).toMatchObject({
      result: { entities: [{ entity_id: "lock.front", device_id: "lamp" }], cursor: null },
    });
  });

  it("does not change somebody who becomes an administrator at that moment", async () => {
    const { client } = await makeDelegate([]);
    const target = await makeUser([]);
    const [, done] = await Promise.all([
      gateway.authority.users.update(target.id, { groupIds: ["system-admin"] }),
      client.call("config/auth/update", { user_id: target.id, group_ids: [] }),
    ]);
    const { user } = (await gateway.authority.users.read(target.id)) ?? {};
    // Whoever was first: an administrator is not unmade by a delegate.
    expect(user?.groupIds).toEqual(["system-admin"]);
    expect(["unauthorized", undefined]).toContain(
      (done.error as { readonly code?: string } | undefined)?.code,
    );
  });
});
