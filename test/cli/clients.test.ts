import { readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";

import { type RunningGateway, startNode } from "../support/gateway.ts";
import { sendForm } from "../support/registered-app.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";
import { command } from "./command-in-process.ts";

let folder: TemporaryFolder;
let gateway: Omit<RunningGateway, "owner" | "ownerPassword">;
const env: Record<string, string> = { GATEHOUSE_SECRET: "a secret that the tests' gateways share" };
const inFolder = (name: string) => path.join(folder.path, name);
const run = (...args: string[]) => command(["clients", ...args], env);
beforeAll(async () => {
  folder = temporaryFolder();
  env.GATEHOUSE_DATA = inFolder("data");
  await command(["users", "add", "Olivia", "--username", "olivia", "--owner", "--password-stdin"], env);
  gateway = await startNode({ data: inFolder("data") });
});
afterAll(async () => {
  await gateway?.stop();
  folder.remove();
});

it("registers a client whose secret is in a new file alone, renews it, and removes it, beside a running gateway", async () => {
  const file = inFolder("grafana.secret");
  const callback = "https://grafana.example/login";
  const added = await run(
    "add",
    "grafana",
    "--redirect-uri",
    callback,
    "--scope",
    "openid",
    "api",
    "--secret-file",
    file,
  );
  expect(added).toEqual({ code: 0, stdout: `registered grafana; its secret is in ${file}\n`, stderr: "" });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const secret = readFileSync(file, "utf8").trim();
  const authenticates = async (given: string) => {
    const fields = { response_type: "code", redirect_uri: callback };
    return (await sendForm(`${gateway.url}/auth/par`, fields, ["grafana", given])).status;
  };
  expect(await authenticates(secret)).toBe(201);
  const listed = await run("list");
  expect(listed.stdout).toMatch(
    /^CLIENT ID +NAME +AUTHENTICATES +GRANT TYPES +SCOPES +FROM\ngrafana +grafana +client_secret /,
  );
  expect(JSON.stringify(await run("list", "--json"))).not.toContain(secret);

  const renewed = inFolder("new.secret");
  expect(await run("new-secret", "grafana", "--secret-file", renewed)).toMatchObject({ code: 0 });
  expect([await authenticates(secret), await authenticates(readFileSync(renewed, "utf8").trim())]).toEqual([
    401, 201,
  ]);
  expect(await run("remove", "grafana")).toMatchObject({
    code: 0,
    stdout: "removed grafana; its sessions ended\n",
  });
  expect(await authenticates(readFileSync(renewed, "utf8").trim())).toBe(401);
});

it("says what is wrong", async () => {
  writeFileSync(inFolder("keys.json"), "[]");
  const failing: [args: string[], says: RegExp][] = [
    [["add", "a", "--redirect-uri", "/callback"], /A redirect URI is not an absolute URL/],
    [
      ["add", "a", "--redirect-uri", "https://a.example/", "--keys-file", inFolder("keys.json")],
      /is no JWKS/,
    ],
    [["add", "a", "--redirect-uri", "https://a.example/", "--keys-file", inFolder("nothing")], /cannot read/],
    [["add", "a", "--grant-type", "password"], /there is no grant type password/],
    [
      ["add", "a", "--grant-type", "client_credentials", "--secret-file", inFolder("x")],
      /needs a client that authenticates, and a system user/,
    ],
    [["remove", "nobody"], /There is no such client \(not_found\)/],
    [["new-secret", "nobody", "--secret-file", inFolder("y")], /There is no such client \(not_found\)/],
  ];
  for (const [args, says] of failing) {
    const { code, stderr } = await run(...args);
    expect([args, code === 0, stderr]).toEqual([args, false, expect.stringMatching(says)]);
  }
  // A file that was not needed is not left behind.
  expect(() => statSync(inFolder("x"))).toThrow("ENOENT");
});
