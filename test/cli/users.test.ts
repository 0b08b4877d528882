import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";
import { command } from "./command-in-process.ts";

interface Described {
  readonly id: string;
  readonly username: string | null;
  readonly name: string;
  readonly local_only: boolean;
  readonly is_admin: boolean;
  readonly group_ids: readonly string[];
}

let folder: TemporaryFolder;
const env: Record<string, string> = { GATEHOUSE_PUBLIC_URL: "https://gate.example.org" };
beforeAll(async () => {
  folder = temporaryFolder();
  env.GATEHOUSE_DATA = path.join(folder.path, "data");
  await run("users", "add", "Olivia", "--username", " OLIVIA ", "--owner", "--password-stdin");
});
afterAll(() => folder.remove());

const run = (...args: readonly string[]) => command(args, env);
async function done<T = Described>(...args: readonly string[]): Promise<T> {
  const { code, stdout, stderr } = await run(...args, "--json");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as T;
}
const refused = async (...args: readonly string[]) => {
  const { code, stdout, stderr } = await run(...args, "--json");
  expect(stdout).toBe("");
  return { code, error: (JSON.parse(stderr) as { error: { code: string } }).error.code };
};

const adding = (login: string) =>
  ["users", "add", login, "--username", `${login}${round}`, "--password-stdin"] as const;
async function madeGroup(name: string): Promise<{ readonly id: string }> {
  const file = path.join(folder.path, "policy.json");
  writeFileSync(file, "{}");
  return await done("groups", "create", name, "--policy-file", file);
}

let paula: Described;
let round = 0;
beforeEach(async () => {
  round += 1;
  paula = await done("users", "add", "Paula", "--username", `paula${round}`, "--password-stdin");
});

describe("gatehouse users", () => {
  it("promotes and demotes, but not the owner", async () => {
    const { id } = paula;
    expect(await done("users", "promote", id)).toMatchObject({
      is_admin: true,
      group_ids: ["system-admin", "system-users"],
    });
    expect(await done("users", "demote", id)).toMatchObject({ is_admin: false, group_ids: ["system-users"] });
    expect(await done("users", "demote", id, "--read-only")).toMatchObject({
      group_ids: ["system-read-only"],
    });
    expect(await refused("users", "demote", "olivia")).toEqual({ code: 2, error: "usage" });
  });

  it("gives nobody more groups than they had by demoting them", async () => {
    const { id: guests } = await madeGroup(`Guests ${round}`);
    const guest = await done(...adding("guest"), "--group", `Guests ${round}`, "--group", guests);
    expect(guest.group_ids).toEqual([guests]);
    expect(await done("users", "demote", guest.id)).toMatchObject({ group_ids: [guests] });
    await done("users", "promote", guest.id);
    expect(await done("users", "demote", guest.id)).toMatchObject({ is_admin: false, group_ids: [guests] });
    const admin = await done(...adding("admin"), "--group", "admin");
    expect(await done("users", "demote", admin.id)).toMatchObject({ group_ids: ["system-users"] });
  });

  it("says which groups a new user gets, and takes no others", async () => {
    const { stdout } = await run(...adding("plain"));
    expect(stdout).toMatch(/^added plain\d+ \([0-9a-f]{32}\), groups: Users\n$/);
    expect(await refused(...adding("gods"), "--group", "gods")).toEqual({ code: 1, error: "not_found" });
    expect(await refused(...adding("both"), "--group", "users", "--admin")).toEqual({
      code: 2,
      error: "usage",
    });
    const help = (await run("users", "add", "--help")).stdout.replaceAll(/\s+/g, " ");
    expect(help).toContain("Without --owner, --admin and --group they become a member of users");
  });

  it("adds no second owner, and says how to make somebody the owner", async () => {
    const { code, stderr } = await run(...adding("second"), "--owner");
    expect(code).toBe(1);
    expect(stderr).toContain("`gatehouse users make-owner` (onboarding_done)");
  });

  it("finds somebody without a login of this provider by name, if only one has it", async () => {
    const name = `Gus ${round}`;
    await done("users", "rename", paula.id, "--name", name);
    await done("users", "remove-login", paula.id);
    expect(await done("users", "local-only", name, "on")).toMatchObject({ id: paula.id });
    const other = await done(...adding("gus"));
    await done("users", "rename", other.id, "--name", name);
    const { code, stderr } = await run("users", "deactivate", name);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringMatching(new RegExp(`${paula.id}.*${other.id}|${other.id}.*${paula.id}`)),
    });
    expect((await run("users", "deactivate", "nobody")).stderr).toContain("`gatehouse users list`");
  });

  it("makes another user the owner, once, and back", async () => {
    const owners = async () =>
      (await done<(Described & { is_owner: boolean })[]>("users", "list")).filter((user) => user.is_owner);
    expect(await done("users", "make-owner", paula.id)).toMatchObject({ id: paula.id, is_owner: true });
    expect(await owners()).toMatchObject([{ id: paula.id }]);
    expect(await refused("users", "make-owner", paula.id)).toEqual({ code: 1, error: "not_allowed" });
    expect(await done("users", "make-owner", "olivia")).toMatchObject({ username: "olivia", is_owner: true });
    expect(await owners()).toHaveLength(1);
  });

  it("lets in from local addresses only, and from everywhere again", async () => {
    expect(await done("users", "local-only", paula.id, "on")).toMatchObject({ local_only: true });
    expect(await done("users", "local-only", paula.id, "off")).toMatchObject({ local_only: false });
  });

  it("renames the display name and the login name, or changes nothing", async () => {
    const { id } = paula;
    expect(await refused("users", "rename", id)).toEqual({ code: 2, error: "usage" });
    const both = await done("users", "rename", id, "--name", "Rosa", "--username", ` ROSA${round}ß`);
    expect(both).toMatchObject({ id, name: "Rosa", username: `rosa${round}ss` });
    const taken = await refused("users", "rename", id, "--name", "Nobody", "--username", "OLIVIA");
    expect(taken).toEqual({ code: 1, error: "username_already_exists" });
    expect(await done<Described[]>("users", "list")).toContainEqual(
      expect.objectContaining({ id, name: "Rosa" }),
    );
  });

  it("removes a login of the first provider, not one of the same name at another", async () => {
    const { id } = paula;
    const name = `twice${round}`;
    const usernameAt = async (providers: readonly object[], ...args: readonly string[]) => {
      const way = { ...env, GATEHOUSE_AUTH_PROVIDERS: JSON.stringify(providers) };
      const { stdout } = await command(["users", ...args, "--json"], way);
      return (JSON.parse(stdout) as Described).username;
    };
    const [old, first] = [{ type: "homeassistant", id: "old" }, { type: "homeassistant" }];
    const login = [id, "--username", name, "--password-stdin"];
    await done("users", "remove-login", id);
    expect(await usernameAt([old], "add-login", ...login)).toBe(name);
    expect(await usernameAt([first, old], "add-login", ...login)).toBe(name);
    expect(await usernameAt([first, old], "remove-login", id)).toBe(null);
    expect(await usernameAt([old], "rename", id, "--name", "Still there")).toBe(name);
  });

  it("removes a login and adds another one", async () => {
    const { id } = paula;
    expect(await done("users", "remove-login", id)).toMatchObject({ id, username: null });
    expect(await refused("users", "remove-login", id)).toEqual({ code: 1, error: "credentials_not_found" });
    const name = `Second${round}`;
    expect(await done("users", "add-login", id, "--username", name, "--password-stdin")).toMatchObject({
      username: name.toLowerCase(),
    });
    expect(await refused("users", "add-login", id, "--username", "third", "--password-stdin")).toEqual({
      code: 1,
      error: "credential_exists",
    });
  });

  it("finds a user by the same names in every command", async () => {
    const spelling = ` PAULA${round} `;
    await done("users", "deactivate", spelling);
    await done("users", "activate", spelling);
    await done("users", "promote", spelling);
    await done("users", "demote", spelling);
    await done("users", "local-only", spelling, "off");
    await done("users", "rename", spelling, "--name", "P");
    await done("users", "passwd", spelling, "--password-stdin");
    await done("tokens", "issue", "--user", spelling, "--name", "t");
    expect(await done<object[]>("sessions", "list", "--user", spelling)).toMatchObject([
      { user_id: paula.id },
    ]);
    expect(await done<object>("revoke", "--user", spelling)).toMatchObject({ sessions: 1 });
    expect(await done("users", "remove", spelling)).toEqual({ id: paula.id, removed: true });
  });

  it("does not guess which user is meant if a login name is another user's id", async () => {
    await done("users", "add", "Mallory", "--username", paula.id, "--password-stdin");
    expect(await refused("users", "remove", paula.id)).toEqual({ code: 2, error: "usage" });
    expect(await done("users", "deactivate", `paula${round}`)).toMatchObject({ id: paula.id });
  });
});

describe("gatehouse sessions and revoke", () => {
  it("lists sessions by their user's name, with the address of their last use", async () => {
    await done("tokens", "issue", "--user", paula.id, "--name", "dashboard");
    const { stdout } = await run("sessions", "list", "--user", paula.id);
    expect(stdout).toMatch(/^ID +USER +TYPE +CLIENT +ADDRESS +LAST USED +EXPIRES\n/);
    expect(stdout).toMatch(new RegExp(`paula${round} +long_lived_access_token +dashboard +- `));
  });

  it("reports how much was revoked, also if it was nothing, and if no gateway is left that could serve it", async () => {
    expect((await run("revoke", "--user", paula.id)).stdout).toBe("revoked 0 sessions: there was none\n");
    expect((await run("revoke", "--client", "https://nobody.example/")).stdout).toBe(
      "revoked every session of the client id https://nobody.example/, if there was any\n",
    );
    await done("tokens", "issue", "--user", paula.id, "--name", "one");
    expect((await run("revoke", "--all")).stdout).toBe("revoked every session\n");
    await done("tokens", "issue", "--user", paula.id, "--name", "two");
    expect(await done<object>("revoke", "--user", paula.id)).toMatchObject({
      sessions: 1,
      nodes: { applied: 0, pending: 0, fenced: 0 },
      effective: "all",
    });
  });
});
