import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { User } from "../../src/auth/model.ts";
import { ownerLogin } from "../support/authority.ts";
import { eventually } from "../support/eventually.ts";
import type { Message, SocketClient } from "../support/socket-client.ts";
import { type SocketGateway, startSocketGateway } from "../support/socket-gateway.ts";

/* Other commands that would give what a command with a step-up gives. */

const windowMs = 600_000;
const { password } = ownerLogin;
const refused = "recent_login_required";

let gateway: SocketGateway;
let olivia: User;
/** Of a session whose login is old. Its client cannot step up. */
let client: SocketClient;
beforeAll(async () => {
  gateway = await startSocketGateway({ authority: { recentLoginMs: windowMs } });
  olivia = await gateway.owner();
  ({ client } = await gateway.enter(olivia));
  gateway.clock.advance(windowMs + 1000);
});
afterAll(async () => {
  client?.close();
  await gateway?.stop();
});

async function send(type: string, fields: object, by: SocketClient = client): Promise<string | undefined> {
  const { success, error } = await by.call(type, fields);
  return success === true ? "done" : ((error as Message | undefined)?.code as string | undefined);
}
const admin = async (name: string) =>
  (await gateway.authority.users.create({ name, groupIds: ["system-admin"] })).id;
const ordinary = async (name: string) =>
  (await gateway.authority.users.create({ name, groupIds: ["system-users"] })).id;
const local = "config/auth_provider/homeassistant";

describe("a login that is old", () => {
  it("removes no login of its own user, by no command", async () => {
    const { user } = await gateway.user("ada");
    await gateway.authority.users.update(user.id, { groupIds: ["system-admin"] });
    const { client: hers } = await gateway.enter(user);
    gateway.clock.advance(windowMs + 1000);
    const [credential] = await gateway.authority.credentials.list(user.id);
    const own = { user_id: user.id, credential_id: credential?.id };
    expect(await send("gatehouse/credentials/remove", own, hers)).toBe(refused);
    expect(await send(`${local}/delete`, { username: "ada" }, hers)).toBe(refused);
    expect(await gateway.authority.credentials.list(user.id)).toHaveLength(1);
    const { user: other } = await gateway.user("bea");
    expect(await send(`${local}/delete`, { username: "bea" }, hers)).toBe("done");
    expect(await gateway.authority.credentials.list(other.id)).toEqual([]);
    hers.close();
  });

  it("gives nobody with rights a password that their administrator knows", async () => {
    const login = { username: "cleo", password };
    const cleo = await admin("Cleo");
    expect(await send(`${local}/create`, { user_id: cleo, ...login })).toBe(refused);
    const { user: dan } = await gateway.user("dan");
    await gateway.authority.users.update(dan.id, { groupIds: ["system-admin"] });
    expect(await send(`${local}/admin_change_password`, { user_id: dan.id, password })).toBe(refused);
    // As Home Assistant's clients do for ordinary users.
    expect(await send(`${local}/create`, { user_id: await ordinary("Cleo"), ...login })).toBe("done");
    const { user: eva } = await gateway.user("eva");
    expect(await send(`${local}/admin_change_password`, { user_id: eva.id, password })).toBe("done");
  });

  it("gives no client the rights of a system user", async () => {
    const { user } = await gateway.authority.systemUsers.create({
      name: "robot",
      groupIds: ["system-admin"],
    });
    const service = {
      client_id: "robot-client",
      auth_method: "client_secret",
      grant_types: ["client_credentials"],
      scopes: ["api"],
      user_id: user.id,
    };
    expect(await send("gatehouse/clients/register", service)).toBe(refused);
    const app = { client_id: "app", redirect_uris: ["https://app.example/back"] };
    expect(await send("gatehouse/clients/register", app)).toBe("done");
    const { client: fresh } = await gateway.enter(olivia);
    expect(await send("gatehouse/clients/register", service, fresh)).toBe("done");
    gateway.clock.advance(windowMs + 1000);
    expect(await send("gatehouse/clients/new_secret", { client_id: "robot-client" })).toBe(refused);
    const change = { client_id: "robot-client", scopes: ["api"] };
    expect(await send("gatehouse/clients/update", change)).toBe(refused);
    fresh.close();
  });

  it("lets nobody with rights in from everywhere", async () => {
    const opening = async (groupId: string) => {
      const request = { name: groupId, groupIds: [groupId], localOnly: true };
      const { id: user_id } = await gateway.authority.users.create(request);
      return await send("config/auth/update", { user_id, local_only: false });
    };
    expect(await opening("system-admin")).toBe(refused);
    expect(await opening("system-users")).toBe("done");
  });

  it("gives no rights by two changes of a user at once", async () => {
    for (let round = 0; round < 10; round += 1) {
      const user_id = await ordinary(`race ${round}`);
      await gateway.authority.users.update(user_id, { isActive: false, groupIds: [] });
      const ids = [100_000 + 2 * round, 100_001 + 2 * round];
      const changes = [{ group_ids: ["system-admin"] }, { is_active: true }];
      client.send(
        changes.map((fields, at) => ({ id: ids[at], type: "config/auth/update", user_id, ...fields })),
      );
      const answers = () =>
        (client.received as readonly Message[]).filter(({ id }) => ids.includes(Number(id)));
      await eventually("both answers", () => answers().length === 2);
      const user = await gateway.authority.users.current(user_id);
      expect(user?.state === "active" && user.groupIds.includes("system-admin")).toBe(false);
    }
  });
});

it("an approval gives no groups for which user_rights asks more", async () => {
  const split = await startSocketGateway({
    authority: { recentLoginMs: windowMs, stepUp: { approvals: "off" } },
  });
  try {
    const { client: old } = await split.enter(await split.owner());
    split.clock.advance(windowMs + 1000);
    // Nobody waits: what needs no step-up goes on to look for the user.
    const approve = (fields: object) =>
      send("gatehouse/approvals/approve", { user_id: "0".repeat(32), ...fields }, old);
    expect(await approve({ group_ids: ["system-admin"] })).toBe(refused);
    expect(await approve({ group_ids: ["system-users"] })).toBe("not_found");
    expect(await approve({})).toBe("not_found");
    // Somebody waits: neither are they given such a group before, nor by an approval that names none.
    const waiting = async (groupId: string) => {
      const user = await split.authority.users.create({
        name: "guest",
        groupIds: [groupId],
        state: "pending",
      });
      const device = { clientId: null, clientName: null, address: null };
      const login = { name: null, subject: user.id, provider: ["command_line", null] as [string, null] };
      await split.authority.approvals.wait({ userId: user.id, ...login, ...device });
      return user.id;
    };
    const user_id = await waiting("system-users");
    expect(await send("config/auth/update", { user_id, group_ids: ["system-admin"] }, old)).toBe(refused);
    expect(await send("config/auth/update", { user_id, group_ids: ["system-read-only"] }, old)).toBe("done");
    expect(await approve({ user_id: await waiting("system-admin") })).toBe(refused);
    expect(await approve({ user_id })).toBe("done");
    old.close();
  } finally {
    await split.stop();
  }
});
