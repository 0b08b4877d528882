import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { GatewayClient } from "../../src/client/index.ts";
import { codeAt, shownIn } from "../auth/factors/factor-people.ts";
import { ownerPassword, setUpOwner, startNode } from "../support/gateway.ts";
import { atTerminal } from "../support/pseudo-terminal.ts";
import { staleTokens } from "../support/stale-session.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";
import { command } from "./command-in-process.ts";

const secret = "correct horse battery";
const owner = ["users", "add", "Olivia", "--username", "olivia", "--owner"];

describe("at a terminal", () => {
  let folder: TemporaryFolder;
  const env: Record<string, string> = {
    GATEHOUSE_PASSWORD_SCRYPT_N: "1024",
    GATEHOUSE_PASSWORD_WORKERS: "1",
  };
  beforeAll(() => {
    folder = temporaryFolder();
    env.GATEHOUSE_DATA = path.join(folder.path, "data");
  });
  afterAll(() => folder.remove());
  const names = async () => (await command(["users", "list"], env)).stdout;

  it("a new password is asked for twice and never shown", async () => {
    const differ = await atTerminal(owner, env, [
      ["New password: ", secret],
      ["Repeat password: ", "another"],
    ]);
    expect(differ.code).toBe(2);
    expect(differ.shown).toContain("the two passwords differ");
    const { shown, code } = await atTerminal(owner, env, [
      ["New password: ", secret],
      ["Repeat password: ", secret],
    ]);
    expect({ code, shown }).toEqual({ code: 0, shown: expect.stringContaining("added olivia") });
    expect(shown).not.toContain("horse");
    expect(await names()).toContain("olivia");
  });

  it("a command that needs a recent login asks for it, and goes on; without a terminal it is refused", async () => {
    const node = await startNode({});
    try {
      const { id } = await setUpOwner(node.authority);
      const { accessToken } = await staleTokens(node.authority, id);
      const token = { GATEHOUSE_ACCESS_TOKEN: accessToken };
      const fields = JSON.stringify({ lifespan: 1, client_name: "from a terminal" });
      const call = ["call", node.url, "auth/long_lived_access_token", fields];
      expect(await command(call, token)).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("recent_login_required"),
      });
      const { shown, code } = await atTerminal(call, token, [
        ["Username: ", "paula"],
        ["Password: ", "wrong horse"],
        ["Username: ", "paula"],
        ["Password: ", ownerPassword],
      ]);
      expect({ code, shown }).toEqual({ code: 0, shown: expect.stringMatching(/"ey[\w.-]+"/) });
      expect(shown).not.toContain("horse");
      expect(shown).not.toContain(accessToken);
      const { accessToken: another } = await staleTokens(node.authority, id);
      const named = await atTerminal(
        [...call.slice(0, 3), fields.replace("from", "at"), "--username", "paula"],
        { GATEHOUSE_ACCESS_TOKEN: another },
        [["Password: ", ownerPassword]],
      );
      expect(named).toEqual({ code: 0, shown: expect.stringMatching(/"ey[\w.-]+"/) });
      expect(named.shown).not.toContain("Username: ");
      const again = ["call", node.url, "auth/current_user"];
      expect(await command(again, token)).toMatchObject({
        code: 0,
        stdout: expect.stringContaining("Paula"),
      });
      expect(await command(again, {})).toMatchObject({ code: 2 });
    } finally {
      await node.stop();
    }
  });

  it("an empty password is an error", async () => {
    const { shown, code } = await atTerminal(["users", "passwd", "olivia"], env, [["New password: ", ""]]);
    expect({ code, shown }).toEqual({ code: 2, shown: expect.stringContaining("no password was entered") });
  });

  it("a removal asks for confirmation, unless --yes is given", async () => {
    for (const name of ["rosa", "paul"])
      await command(["users", "add", name, "--username", name, "--password-stdin"], env);
    const remove = ["users", "remove", "rosa"];
    const declined = await atTerminal(remove, env, [["with all logins and sessions? [y/N] ", "n"]]);
    expect(declined).toMatchObject({ code: 0, shown: expect.stringContaining("rosa was not removed") });
    expect(await names()).toContain("rosa");
    await atTerminal(remove, env, [["[y/N] ", "y"]]);
    expect(await names()).not.toContain("rosa");
    const { shown } = await atTerminal(["users", "remove", "paul", "--yes"], env, []);
    expect(shown).not.toContain("[y/N]");
    expect(await names()).not.toContain("paul");
  });

  it("a login asks for the code of a second factor", async () => {
    const node = await startNode({});
    await setUpOwner(node.authority);
    const client = new GatewayClient({ url: node.url });
    const flow = await client.login({ handler: ["homeassistant", null] });
    await flow.submit({ username: "paula", password: ownerPassword });
    const form = await client.call("auth/setup_mfa", { mfa_module_id: "totp" });
    const { code: key = "" } = shownIn(form);
    const user_input = { code: codeAt(key, Date.now()) };
    await client.call("auth/setup_mfa", { flow_id: form.flow_id, user_input });
    const args = ["login", node.url, "--username", "paula"];
    const { shown, code } = await atTerminal(args, {}, [
      ["Password: ", ownerPassword],
      ["Authenticator app, code: ", "000000"],
      ["Authenticator app, code: ", codeAt(key, Date.now() + 30_000)],
    ]);
    expect({ code, shown }).toEqual({ code: 0, shown: expect.stringContaining("access_token") });
    const recovery = await client.call("auth/setup_mfa", { mfa_module_id: "recovery" });
    await client.call("auth/setup_mfa", { flow_id: recovery.flow_id, user_input: {} });
    const chosen = await atTerminal(args, {}, [
      ["Password: ", ownerPassword],
      ["2  Recovery codes (recovery)", ""],
      ["That is none of them.", "RECOVERY codes"],
      ["Recovery codes, code: ", shownIn(recovery).codes?.split("\n")[0] ?? ""],
    ]);
    expect(chosen).toMatchObject({ code: 0, shown: expect.stringContaining("access_token") });
    client.close();
    await node.stop();
  });
});
