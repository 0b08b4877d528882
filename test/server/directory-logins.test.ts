import { Attribute, Change } from "ldapts";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import type { ConfigInput } from "../../src/server/config/schema.ts";
import { ownerPassword, setUpOwner, startNode } from "../support/gateway.ts";
import { admin, type LdapServer, startLdap, suffix } from "../support/ldap-server.ts";
import { quickLogin, withoutFlow } from "../support/quick-login.ts";
import { startRedis } from "../support/redis-server.ts";

let directory: LdapServer;
const staff = `cn=staff,ou=groups,${suffix}`;
beforeAll(async () => {
  directory = await startLdap();
  const people: string[] = [];
  for (const uid of ["ada", "bob", "pending", "gone"])
    people.push(await directory.addPerson(uid, `${uid}-password`));
  await directory.add(staff, { objectClass: "groupOfNames", cn: "staff", member: people });
});
afterAll(() => directory?.dispose());

const ends: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

type Entry = Extract<NonNullable<ConfigInput["auth_providers"]>[number], { type: "ldap" }>;
const entry = (more: Partial<Entry> = {}): Entry => ({
  type: "ldap",
  url: directory.url,
  start_tls: true,
  ca_file: directory.caFile,
  search_base: `ou=people,${suffix}`,
  bind_dn: admin.dn,
  bind_password: admin.password,
  group_mapping: { [staff]: "system-admin" },
  timeout_ms: 8_000,
  ...more,
});

async function start(entries: readonly Entry[], more: ConfigInput = {}) {
  const gateway = await startNode({ auth_providers: [{ type: "homeassistant" }, ...entries], ...more });
  ends.push(() => gateway.stop());
  const owner = await setUpOwner(gateway.authority);
  const login = async (username: string, password = `${username}-password`, id: string | null = null) => {
    const done = await quickLogin(gateway.port, ["ldap", id], { username, password });
    ends.push(() => done.socket.terminate());
    return done;
  };
  return { ...gateway, owner, login };
}

describe.each(["embedded on ws", "redis on uws"])("people of a directory (%s)", (kind) => {
  const where = async (): Promise<ConfigInput> => {
    if (!kind.startsWith("redis")) return {};
    const redis = await startRedis();
    ends.push(() => redis.dispose());
    return { store: redis.url, transport: "uws" };
  };

  it("wait for approval, and have the groups that the directory says at every login", async () => {
    const { login, authority } = await start([entry()], await where());
    const first = await login("ada");
    expect(first.step).toMatchObject({ type: "progress", progress_action: "wait_for_approval" });
    const [waiting] = await authority.approvals.list();
    expect(waiting).toMatchObject({ name: "ada", provider: ["ldap", null] });
    await authority.approvals.approve(waiting?.userId ?? "");
    await first.socket.find(({ type }) => type === "auth_ok", "auth_ok");
    const groups = async () => (await authority.users.read(waiting?.userId ?? ""))?.user.groupIds;
    expect(await groups()).toEqual(["system-admin"]);
    const member = new Attribute({ type: "member", values: [`uid=ada,ou=people,${suffix}`] });
    const change = (operation: "add" | "delete") =>
      directory.asAdmin((client) => client.modify(staff, new Change({ operation, modification: member })));
    await change("delete");
    ends.push(() => change("add"));
    const { step } = await login(" ADA", "ada-password");
    expect(step).toMatchObject({ type: "create_entry" });
    expect(await groups()).toEqual([]);
  });

  it("read the same refusal, whether they are unknown, pending or deactivated", async () => {
    const { login, authority } = await start([entry()], await where());
    for (const name of ["bob", "pending", "gone"]) await login(name);
    for (const { userId, name } of await authority.approvals.list()) {
      if (name === "pending") continue;
      await authority.approvals.approve(userId);
      if (name === "gone") await authority.users.update(userId, { isActive: false });
    }
    const names = ["nobody", "bob", "pending", "gone"];
    const frames = await Promise.all(names.map((name) => login(name, "wrong")));
    const [unknown] = frames.map(({ step }) => withoutFlow(step));
    expect(unknown).toMatchObject({ type: "form", errors: { base: "invalid_auth" } });
    for (const { step } of frames) expect(withoutFlow(step)).toEqual(unknown);
    expect(withoutFlow((await login("gone")).step)).toEqual(unknown);
  });
});

it("one person at two entries is two users, and a directory that is away keeps nobody else out", async () => {
  const new_users = { activate: true };
  const { login, port } = await start([
    entry({ id: "a", new_users }),
    entry({ id: "b", new_users }),
    entry({ id: "away", url: "ldap://127.0.0.1:1" }),
  ]);
  const ids = [await login("bob", undefined, "a"), await login("bob", undefined, "b")].map(
    async ({ me }) => (await me()).id,
  );
  const [a, b] = await Promise.all(ids);
  expect(a).toEqual(expect.any(String));
  expect(a).not.toEqual(b);
  expect((await login("bob", undefined, "away")).step).toMatchObject({ code: "unavailable", retry_after: 5 });
  const input = { username: "paula", password: ownerPassword };
  const owner = await quickLogin(port, ["homeassistant", null], input);
  ends.push(() => owner.socket.terminate());
  expect(owner.step).toMatchObject({ type: "create_entry" });
});

it("guesses at one name are counted together, however it is spelled", async () => {
  const { login } = await start([entry()], { password: { tries_per_account_and_address: 3 } });
  const spellings = ["bob", " BOB", "b\u00f3b", "\uff42ob"];
  const answers: unknown[] = [];
  for (const name of spellings) {
    const { step } = await login(name, "wrong");
    answers.push(step.code ?? step.type);
  }
  expect(answers).toEqual(["form", "form", "form", "rate_limited"]);
});
