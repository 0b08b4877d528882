import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";

import { type RunningGateway, startNode } from "../support/gateway.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";
import { command } from "./command-in-process.ts";

let folder: TemporaryFolder;
let gateway: Omit<RunningGateway, "owner" | "ownerPassword">;
const env: Record<string, string> = { GATEHOUSE_SECRET: "a secret that the tests' gateways share" };
const run = (...args: string[]) => command(["groups", ...args], env);
const users = (...args: string[]) => command(["users", ...args, "--password-stdin"], env);

async function issueToken(user: string, name: string): Promise<void> {
  const issued = await command(["tokens", "issue", "--user", user, "--name", name, "--days", "1"], env);
  expect(issued).toMatchObject({ code: 0, stderr: "" });
}

function policyFile(name: string, policy: unknown): string {
  const file = path.join(folder.path, name);
  writeFileSync(file, typeof policy === "string" ? policy : JSON.stringify(policy));
  return file;
}

beforeAll(async () => {
  folder = temporaryFolder();
  env.GATEHOUSE_DATA = path.join(folder.path, "data");
  await users("add", "Olivia", "--username", "olivia", "--owner");
  await users("add", "Petra", "--username", "petra");
  gateway = await startNode({ data: path.join(folder.path, "data") });
});
afterAll(async () => {
  await gateway?.stop();
  folder.remove();
});

it("manages groups beside a running gateway, which confirms each change", async () => {
  const lights = policyFile("lights.json", { entities: { domains: { light: true } } });
  const created = await run("create", "Guests", "--policy-file", lights, "--json");
  const group = JSON.parse(created.stdout) as { readonly id: string; readonly version: number };
  expect(group).toMatchObject({ name: "Guests", system_generated: false, policy: { entities: {} } });
  expect((await run("list")).stdout).toMatch(
    new RegExp(
      `^ID +NAME +VERSION +SECOND FACTOR\nsystem-admin +Administrators +system +-\n[^]*${group.id} +Guests +${group.version} +-\n$`,
    ),
  );

  expect(await run("add-member", group.id, "petra")).toMatchObject({
    code: 0,
    stdout: "petra is in Users, Guests\n",
  });
  expect((await run("show", group.id)).stdout).toContain("Petra");

  const changed = await run("update", group.id, "--name", "Visitors", "--json");
  expect(JSON.parse(changed.stdout)).toMatchObject({
    name: "Visitors",
    revocation: { effective: "all", nodes: { applied: 1, pending: 0, fenced: 0 } },
  });
  const stale = ["--at-version", String(group.version)];
  expect(await run("update", group.id, "--name", "Guests", ...stale)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("(conflict)"),
  });
  expect(await run("remove-member", group.id, "petra")).toMatchObject({
    code: 0,
    stdout: "petra is not in Visitors any more\n",
  });
  expect(await run("delete", group.id, ...stale)).toMatchObject({ code: 1 });
  expect(await run("delete", group.id)).toMatchObject({
    code: 0,
    stdout: `deleted Visitors (${group.id})\n`,
  });
  expect(await run("show", group.id)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("(not_found)"),
  });
});

it("says that only the owner approves, in an explanation and for a policy that gives it to others", async () => {
  const doors = policyFile("doors.json", { commands: { namespaces: { "gatehouse/approvals": true } } });
  const created = await run("create", "Doors", "--policy-file", doors);
  expect(created.stdout).toContain("\ngatehouse/approvals gives nothing now: only the owner approves.");
  expect((await run("update", "Doors", "--policy-file", doors)).stdout).toContain("gives nothing now");
  await run("add-member", "Doors", "petra");
  const asked = ["permissions", "explain", "--user", "petra", "--command", "gatehouse/approvals/list"];
  const { stdout } = await command(asked, env);
  expect(stdout).toMatch(/guard +- +- +deny\n[\s\S]*may not send gatehouse\/approvals\/list\n$/);
  const delegating = { ...env, GATEHOUSE_APPROVALS_BY: "administrators" };
  expect((await command(asked, delegating)).stdout).toContain("\nmay send gatehouse/approvals/list\n");
  expect(
    (await command(["groups", "update", "Doors", "--policy-file", doors], delegating)).stdout,
  ).not.toContain("nothing");
  expect(await run("delete", "Doors")).toMatchObject({ code: 0 });
});

it("takes a group by id, short name or own name, unless the name stands for several", async () => {
  const nothing = policyFile("nothing.json", {});
  const made = async (name: string) =>
    JSON.parse((await run("create", name, "--policy-file", nothing, "--json")).stdout) as {
      readonly id: string;
    };
  const cooks = await made("Cooks");
  const token = path.join(folder.path, "oven.token");
  const service = ["add", "oven", "--token-file", token, "--group", "Cooks", "--group", "read-only"];
  expect((await command(["system-users", ...service], env)).stdout).toContain("groups: Cooks, Read Only;");
  expect((await run("add-member", "users", "oven")).stdout).toContain("Users");
  expect((await run("show", "Cooks")).stdout).toContain("oven");
  const others = await made("Cooks");
  const ambiguous = await run("delete", "Cooks");
  expect(ambiguous.code).toBe(2);
  for (const { id } of [cooks, others]) expect(ambiguous.stderr).toContain(id);
  const users2 = await made("users");
  expect(await run("show", "users")).toMatchObject({ code: 2, stderr: expect.stringContaining(users2.id) });
  const hiding = await made("system-users");
  expect((await run("show", "system-users")).stdout).toContain("Users (system-users)");
  for (const { id } of [cooks, others, users2, hiding])
    expect(await run("delete", id)).toMatchObject({ code: 0 });
});

it("explains what users and tokens may do, rule by rule", async () => {
  const explain = (...args: string[]) => command(["permissions", "explain", ...args], env);
  const asked = await explain("--user", "petra", "--topic", "home/kitchen", "--verb", "control");
  expect(asked).toMatchObject({ code: 0 });
  expect(asked.stdout).toMatch(
    /^RULE +GROUP +PART +VERDICT\nuser +- +- +pass\nowner +- +- +pass\ngroup +system-users +all +pass\ntoken_scope +- +- +pass\nmay not control home\/kitchen\n$/,
  );
  const lock = policyFile("lock.json", { entities: { domains: { lock: true } } });
  const issued = await command(
    ["tokens", "issue", "--user", "petra", "--name", "lock", "--policy-file", lock, "--json"],
    env,
  );
  const { session_id } = JSON.parse(issued.stdout) as { readonly session_id: string };
  const answerTo = async (entity: string) =>
    JSON.parse((await explain("--session", session_id, "--entity", entity, "--json")).stdout) as object;
  expect(await answerTo("lock.front")).toMatchObject({ session_id, allowed: true });
  expect(await answerTo("light.hall")).toMatchObject({ session_id, allowed: false });
  for (const args of [
    ["--user", "petra"],
    ["--topic", "a"],
    ["--user", "petra", "--topic", "a", "--verb", "delete"],
  ])
    expect(await explain(...args)).toMatchObject({ code: 2 });
  expect(await explain("--session", "nobody", "--topic", "a")).toMatchObject({ code: 1 });
});

it.each([
  ["no file", ["create", "Guests", "--policy-file", "/nowhere"], 2, "cannot read"],
  ["a group of the system", ["update", "system-users", "--name", "Everybody"], 1, "(not_allowed)"],
  ["nothing to change", ["update", "system-users"], 2, "--name or --policy-file"],
  ["a version that is none", ["delete", "system-users", "--at-version", "x"], 2, "not a version"],
  ["nobody", ["add-member", "system-users", "nobody"], 1, "user_not_found"],
])("refuses %s", async (_, args, code, text) => {
  expect(await run(...args)).toMatchObject({ code, stdout: "", stderr: expect.stringContaining(text) });
});

it("refuses a file that is no policy", async () => {
  const create = (policy: unknown) =>
    run("create", "Guests", "--policy-file", policyFile("wrong.json", policy));
  for (const [text, reason] of [
    ["{", "cannot be read as JSON: not JSON"],
    ['{"entities": true, "entities": false}', "duplicate key"],
    ['{"topics": {"patterns": {"__proto__": true}}}', "poisoned key"],
    ['{"topics": {"patterns": {"\\ud800": true}}}', "lone surrogate"],
    ['{"\\u0065ntities": 1e999}', "number"],
    [`{"topics": ${"[".repeat(100)}`, "nested too deeply"],
  ])
    expect(await create(text)).toMatchObject({ code: 2, stderr: expect.stringContaining(reason ?? "") });
  expect(await create({ entities: false })).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("is no policy: entities: must be an object."),
  });
  expect(await create({ topics: { patterns: { "$events/#": true } } })).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("begins with $"),
  });
  for (const topic of ["home/+", "#", "$events/x", "home//x"])
    expect(await command(["permissions", "explain", "--user", "petra", "--topic", topic], env)).toMatchObject(
      {
        code: 1,
        stderr: expect.stringContaining("(invalid_format)"),
      },
    );
  expect(await create({ commands: true })).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("(invalid_policy)"),
  });
});

it("creates a group that gives nothing, which may still demand a second factor", async () => {
  const created = await run("create", "Careful", "--json");
  expect(JSON.parse(created.stdout)).toMatchObject({ name: "Careful", policy: {} });
  expect(await run("second-factor", "Careful", "on")).toMatchObject({ code: 0 });
  await users("add", "Nora", "--username", "nora");
  await issueToken("nora", "before");
  expect((await run("add-member", "Careful", "nora")).stdout).toBe(
    "nora is in Users, Careful; 1 session without a second factor ended\n",
  );
  expect(await run("delete", "Careful")).toMatchObject({ code: 0 });
});

it("demands a second factor of a group's members, and resets those of a user", async () => {
  for (const name of ["one", "two"]) await issueToken("nora", name);
  const demanded = await run("second-factor", "users", "on", "--json");
  const answer = { group_id: "system-users", demanded: true, sessions_ended: expect.any(Number) };
  expect(JSON.parse(demanded.stdout)).toEqual(answer);
  expect(JSON.parse(demanded.stdout).sessions_ended).toBeGreaterThanOrEqual(2);
  expect(await gateway.authority.secondFactors.demandingGroups()).toEqual(["system-users"]);
  expect((await run("list")).stdout).toMatch(/^system-users +Users +system +demanded$/m);
  expect((await run("show", "users")).stdout).toContain("\nmembers must have a second factor\n");
  expect((await command(["users", "factors", "petra"], env)).stdout).toMatch(
    /^totp +Authenticator app +no$/m,
  );
  expect((await run("second-factor", "users", "off")).stdout).toBe(
    "members of users need no second factor because of it\n",
  );
  expect(await run("second-factor", "nobody", "on")).toMatchObject({ code: 1 });
  expect((await command(["users", "reset-factors", "petra"], env)).stdout).toBe("petra had none of them\n");
});
