import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { commands } from "../../protocol/commands/index.ts";
import type { Policy } from "../../protocol/policy.ts";
import type { User } from "../../src/auth/model.ts";
import { isOpenToNarrowed } from "../../src/auth/permissions/narrowed-tokens.ts";
import { refusal } from "../support/refusal.ts";
import { type Entered, type SocketGateway, startSocketGateway } from "../support/socket-gateway.ts";

let gateway: SocketGateway;
let owner: User;
let asOwner: Entered;
beforeAll(async () => {
  gateway = await startSocketGateway();
  owner = await gateway.owner();
  asOwner = await gateway.enter(owner);
});
afterAll(() => gateway?.stop());

const policy: Policy = {
  entities: { domains: { light: { read: true } } },
  topics: { patterns: { "home/#": true } },
  commands: { namespaces: { "gatehouse/users": true } },
};
let tokens = 0;

async function makeToken(given: Policy | undefined, as = asOwner): Promise<string> {
  tokens += 1;
  const fields = { lifespan: 1, client_name: `token ${tokens}`, ...(given && { policy: given }) };
  const { result } = await as.client.call("auth/long_lived_access_token", fields);
  return result as string;
}

async function enterWith(token: string) {
  const client = await gateway.connect();
  expect(await client.authenticate(token)).toMatchObject({ type: "auth_ok" });
  const principal = await gateway.principal(token);
  return { client, principal, permissions: await gateway.authority.permissions.of(principal) };
}

describe("a long-lived token with a policy", () => {
  it("may do what the policy says, of what its user may do", async () => {
    const { permissions, client } = await enterWith(await makeToken(policy));
    expect(permissions.mayUseEntity("light.hall", "read")).toBe(true);
    expect(permissions.mayUseEntity("light.hall", "control")).toBe(false);
    expect(permissions.mayUseEntity("lock.front", "read")).toBe(false);
    expect([permissions.mayUseTopic("home/a", "edit"), permissions.mayUseTopic("away", "read")]).toEqual([
      true,
      false,
    ]);
    expect(permissions.isAdmin).toBe(false);
    expect(await client.call("auth/current_user")).toMatchObject({ result: { id: owner.id } });
    expect(await client.call("gatehouse/users/list")).toMatchObject({ success: true });
    expect(await client.call("config/auth/list")).toMatchObject({ error: { code: "unauthorized" } });
    const other = await enterWith(await makeToken(undefined));
    expect(other.permissions.isAdmin).toBe(true);
  });

  it("follows the rights of its user", async () => {
    const { user } = await gateway.user("petra");
    const entered = await gateway.enter(user);
    const { principal } = await enterWith(await makeToken(policy, entered));
    const watch = await gateway.authority.permissions.watch(principal, () => undefined);
    expect([
      watch.permissions.mayUseTopic("home/a", "read"),
      watch.permissions.mayUseTopic("home/a", "control"),
    ]).toEqual([true, false]);
    await gateway.authority.users.update(user.id, { groupIds: [] });
    expect(watch.permissions.mayUseTopic("home/a", "read")).toBe(false);
    watch.end();
  });

  it("makes no token, login or signed path that is not narrowed, even if its policy grants everything", async () => {
    const { client } = await enterWith(await makeToken({ entities: true, topics: true, commands: true }));
    const closed = Object.entries(commands).filter(
      ([type, { guard }]) => guard === "user" && !isOpenToNarrowed(type),
    );
    expect(closed.map(([type]) => type)).toContain("auth/long_lived_access_token");
    for (const [type] of closed)
      expect([type, await client.call(type)]).toMatchObject([type, { error: { code: "unauthorized" } }]);
    expect(await client.call("config/auth/list")).toMatchObject({ success: true });
    // Such a token is no administrator's: it gives nobody more than it has, and touches no administrator.
    expect(await client.call("config/auth/update", { user_id: owner.id, name: "Mine" })).toMatchObject({
      error: { code: "unauthorized" },
    });
  });

  it("is shown with its policy, and explained with it", async () => {
    const { principal, client } = await enterWith(await makeToken(policy));
    const { sessionId: session_id } = principal;
    const { result } = await asOwner.client.call("auth/refresh_tokens");
    const shown = (result as readonly { readonly id: string; readonly policy?: Policy }[]).find(
      ({ id }) => id === session_id,
    );
    expect(shown?.policy).toEqual(policy);
    const ask = async (entity_id: string, who = client, fields: object = {}) =>
      (await who.call("gatehouse/permissions/explain", { resource: { entity_id }, ...fields })).result;
    expect(await ask("light.hall")).toMatchObject({ session_id, allowed: true });
    expect(await ask("lock.front")).toMatchObject({ session_id, allowed: false });
    expect(await ask("lock.front", asOwner.client, { session_id })).toMatchObject({
      session_id,
      allowed: false,
    });
    expect(await ask("lock.front", asOwner.client, { user_id: owner.id })).toMatchObject({
      session_id: null,
      allowed: true,
    });
  });

  it("has a small policy", async () => {
    const many = Object.fromEntries(
      Array.from({ length: 60 }, (_, n) => [`light.number_${n}`, true] as const),
    );
    const fields = { lifespan: 1, client_name: "large", policy: { entities: { entity_ids: many } } };
    expect(await asOwner.client.call("auth/long_lived_access_token", fields)).toMatchObject({
      error: { code: "invalid_policy" },
    });
  });
});

describe("a token of a system user", () => {
  it("has its policy after each refresh, on every node", async () => {
    const { systemUsers, sessions } = gateway.authority;
    const made = await systemUsers.create({ name: "publisher", groupIds: ["system-admin"], policy });
    expect(
      await refusal(
        systemUsers.issueToken(made.user.id, { topics: { patterns: { ["a/".repeat(16)]: true } } }),
      ),
    ).toBe("invalid_policy");
    const grant = await sessions.refresh({
      refreshToken: made.refreshToken,
      peer: { address: "192.168.1.20" },
    });
    expect(grant.principal.policy).toBe(JSON.stringify(policy));
    const other = await gateway.another();
    const principal = await other.principal(grant.accessToken);
    const permissions = await other.authority.permissions.of(principal);
    expect([permissions.isAdmin, permissions.mayUseTopic("home/a", "control")]).toEqual([false, true]);
    expect(permissions.mayUseTopic("away", "control")).toBe(false);
    const whole = await systemUsers.issueToken(made.user.id);
    expect(whole.session.policy).toBeUndefined();
  });
});

describe("gatehouse/permissions/explain", () => {
  it("tells everybody about themself, and administrators about anybody", async () => {
    const { user } = await gateway.user("paul");
    const { client, sessionId } = await gateway.enter(user);
    const explain = async (who: Entered["client"], fields: object = {}) =>
      await who.call("gatehouse/permissions/explain", {
        resource: { topic: "home/a" },
        verb: "control",
        ...fields,
      });
    expect(await explain(client)).toMatchObject({
      result: { user_id: user.id, session_id: sessionId, allowed: false },
    });
    expect(await explain(asOwner.client, { user_id: user.id })).toMatchObject({ result: { allowed: false } });
    expect(await explain(asOwner.client, { session_id: sessionId })).toMatchObject({
      result: { allowed: false },
    });
    expect(await explain(asOwner.client, { user_id: "nobody" })).toMatchObject({
      error: { code: "not_found" },
    });
    for (const fields of [{ user_id: owner.id }, { session_id: asOwner.sessionId }, { user_id: "nobody" }])
      expect(await explain(client, fields)).toMatchObject({ error: { code: "unauthorized" } });
  });
});
