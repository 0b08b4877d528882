import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";

import { createMemoryTokenStore, GatewayClient } from "../../src/client/index.ts";
import { setUpOwner, sharedIssuer, startNode } from "../support/gateway.ts";
import { patiently } from "../support/patiently.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { proofScrypt, rememberedScrypt } from "../support/scram-client.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { command } from "./command-in-process.ts";

/** pyca/bcrypt's test vector, and passlib's. */
const bcrypt = {
  password: "Kk4DQuMMfZL9o",
  hash: "$2b$04$cVWp4XaNU8a4v1uMRum2SO026BWLIoQMD/TXg5uZV.0P.uO8m3YEm",
} as const;
const pbkdf2 = {
  password: "password",
  hash: "$pbkdf2-sha256$6400$0ZrzXitFSGltTQnBWOsdAw$Y11AchqV4b0sUisdZd0Xr97KWoymNE0LNNrnEgY4H9M",
} as const;
const argon2 = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

const folder = temporaryFolder();
afterAll(() => folder.remove());
const fileOf = (name: string, text: string) => {
  const file = path.join(folder.path, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
};

interface HomeAssistantUser {
  readonly id: string;
  readonly name: string | null;
  readonly username?: string;
  readonly more?: object;
}

/** What Home Assistant has in `.storage`, with everything that is not read around it. */
function homeAssistant(name: string, users: readonly HomeAssistantUser[], logins: readonly string[]): string {
  const stored = (key: string, data: object) =>
    fileOf(`${name}/.storage/${key}`, JSON.stringify({ version: 1, minor_version: 1, key, data }));
  stored("auth_provider.homeassistant", {
    users: logins.map((username) => ({
      username,
      password: Buffer.from(bcrypt.hash).toString("base64"),
    })),
  });
  const secret = { token: "canary-token", jwt_key: "canary-key" };
  stored("auth", {
    users: users.map(({ id, name: shown, more }) => ({
      id,
      group_ids: ["system-users"],
      is_owner: false,
      is_active: true,
      name: shown,
      system_generated: false,
      local_only: false,
      ...more,
    })),
    groups: [{ id: "system-admin", name: "Administrators" }],
    credentials: users.flatMap(({ id, username }) => [
      {
        id: `c${id}`,
        user_id: id,
        auth_provider_type: "trusted_networks",
        auth_provider_id: null,
        data: { user: id },
      },
      ...(username === undefined
        ? []
        : [
            {
              id,
              user_id: id,
              auth_provider_type: "homeassistant",
              auth_provider_id: null,
              data: { username },
            },
          ]),
    ]),
    refresh_tokens: [{ id: "t", user_id: "1", ...secret }],
  });
  return path.join(folder.path, name);
}

const idOf = (digit: string) => digit.repeat(32);

describe("gatehouse users import", () => {
  const into = (name: string) => ({ GATEHOUSE_DATA: path.join(folder.path, name) });

  it("takes over a Home Assistant, owner included, into an installation that does not exist yet", async () => {
    const at = homeAssistant(
      "ha",
      [
        {
          id: idOf("a"),
          name: "Olga",
          username: "olga",
          more: { is_owner: true, group_ids: ["system-admin"] },
        },
        { id: idOf("b"), name: "Bert", username: "Bert ", more: { is_active: false, local_only: true } },
        { id: idOf("c"), name: "Content", more: { system_generated: true, group_ids: ["system-read-only"] } },
        { id: idOf("d"), name: null, username: "dora" },
        { id: idOf("e"), name: "Wall tablet" },
      ],
      ["olga", "Bert ", "dora", "forgotten"],
    );
    fileOf("ha/.storage/auth_module.totp", "{}");
    const env = into("from-ha");
    expect(await command(["users", "import", at, "--dry-run"], env)).toEqual({
      code: 0,
      stdout: expect.stringContaining("4 users can be imported; nothing was written"),
      stderr: "There is no installation yet: the import creates it.\n",
    });
    expect(existsSync(env.GATEHOUSE_DATA)).toBe(false);
    const { code, stdout, stderr } = await command(["users", "import", at], env);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const line of [
      "imported 4 users",
      "user Content: is of the system",
      "user Wall tablet: has no login name",
      "login forgotten: has no user",
      "auth_module.totp: second factors are not imported",
    ])
      expect(stdout).toContain(line);
    const listed = JSON.parse((await command(["users", "list", "--json"], env)).stdout);
    const of = (username: string | null) =>
      listed.find((each: { username: unknown }) => each.username === username);
    expect(of("olga")).toMatchObject({ id: idOf("a"), is_owner: true, group_ids: ["system-admin"] });
    expect(of("bert")).toMatchObject({ id: idOf("b"), state: "deactivated", local_only: true });
    expect(of("dora")).toMatchObject({ id: idOf("d"), name: "dora", state: "active" });
    expect(of(null)).toMatchObject({ id: idOf("e"), name: "Wall tablet" });
    expect((await command(["users", "imported"], env)).stdout).toMatch(/ - +bert +bcrypt cost=4/);
    const rest = await command(["users", "import", at, "--skip-existing"], env);
    expect(rest.stdout).toContain("note: user Olga: is here already");
    expect(rest.stdout).not.toContain("is not the owner here");

    const again = await command(["users", "import", at], env);
    expect(again).toMatchObject({ code: 2, stdout: "" });
    expect(again.stderr).toContain("nothing was imported\nuser Olga: a user with this id exists");

    expect((await command(["users", "imported", "--remove", "dora"], env)).stdout).toContain("removed 1");
    for (const user of ["dora", "Wall tablet"])
      expect(await command(["users", "imported", "--remove", user], env)).toMatchObject({
        code: 1,
        stdout: "",
        stderr: expect.stringContaining(`${user} has no imported hash`),
      });
    expect((await command(["users", "imported", "--remove"], env)).stdout).toContain("removed 2");
    expect((await command(["users", "imported"], env)).stdout).toContain("no password is an imported hash");
  });

  it("lists and removes the hashes of every provider, or of one", async () => {
    const providers = JSON.stringify([{ type: "homeassistant" }, { type: "homeassistant", id: "staff" }]);
    const env = { ...into("providers"), GATEHOUSE_AUTH_PROVIDERS: providers };
    await command(["users", "add", "Olga", "--username", "olga", "--owner", "--password-stdin"], env);
    const csv = (name: string) => fileOf(`${name}.csv`, `username,password_hash\n${name},${bcrypt.hash}\n`);
    for (const name of ["one", "two"]) {
      await command(["users", "import", csv(name)], env);
      await command(["users", "import", csv(`${name}-staff`), "--provider", "staff"], env);
    }
    const imported = async (...args: string[]) =>
      await command(["users", "imported", ...args, "--json"], env);
    const names = async (...args: string[]) =>
      (JSON.parse((await imported(...args)).stdout) as { readonly username: string }[])
        .map(({ username }) => username)
        .sort();
    expect(await names()).toEqual(["one", "one-staff", "two", "two-staff"]);
    expect(await names("--provider", "staff")).toEqual(["one-staff", "two-staff"]);
    expect((await command(["users", "imported"], env)).stdout).toMatch(/ staff +one-staff +bcrypt/);
    expect(await imported("--remove", "one-staff")).toMatchObject({ code: 0 });
    expect(await names()).toEqual(["one", "two", "two-staff"]);
    expect(JSON.parse((await imported("--remove", "--provider", "staff")).stdout)).toEqual({ removed: 1 });
    expect(await names()).toEqual(["one", "two"]);
    expect(JSON.parse((await imported("--remove")).stdout)).toEqual({ removed: 2 });
  });

  it("does a dry run without an installation only as an import would, and leaves no file", async () => {
    const olga = { id: idOf("a"), name: "Olga", username: "olga", more: { is_owner: true } };
    const at = homeAssistant(
      "ha-owner",
      [{ ...olga, more: { is_owner: true, group_ids: ["none"] } }],
      ["olga"],
    );
    const env = into("dry");
    const temporary = path.join(folder.path, "temporary");
    mkdirSync(temporary);
    vi.stubEnv("TMPDIR", temporary);
    onTestFinished(() => void vi.unstubAllEnvs());
    const dryRun = (file: string) => command(["users", "import", file, "--dry-run"], env);
    expect(await dryRun(at)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("user Olga: unknown group: none"),
    });
    expect(readdirSync(temporary)).toEqual([]);
    expect(existsSync(env.GATEHOUSE_DATA)).toBe(false);
    const noOwner = fileOf("no-owner.csv", `username,password_hash\ngood,${bcrypt.hash}\n`);
    expect(await dryRun(noOwner)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("there is no store"),
    });
    fileOf("dry/secret.key", "a secret whose store is lost, 32 characters");
    expect(await dryRun(at)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("is missing, beside"),
    });
  });

  it("reports everything that is wrong, with the entry, and writes nothing", async () => {
    const env = into("refusing");
    await command(["users", "add", "Olga", "--username", "olga", "--owner", "--password-stdin"], env);
    const lines = [
      "username,password_hash,name,groups,active,local_only",
      `good,${bcrypt.hash},Good,,,`,
      `olga,${bcrypt.hash},,,,`,
      `weak,"$argon2id$v=19$m=9999999,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",,,,`,
      "plain,canary-password,,,,",
      `short,${bcrypt.hash}`,
      `grouped,"${argon2}","Name, with ""quotes""",no such group,yes,`,
      `stranger,${bcrypt.hash},,nobodys,,`,
      "",
    ];
    const file = fileOf("users.csv", lines.join("\r\n"));
    const refused = await command(["users", "import", file], env);
    expect(refused).toMatchObject({ code: 2, stdout: "" });
    for (const line of [
      "line 3: Username already exists",
      "line 4: argon2id m=9999999 t=1 p=1 needs more than 256 MiB for each check",
      "line 5: not a known encoding",
      "line 6: has 2 columns, and the first line has 6",
      "line 7: active and local_only are true or false",
      "line 8: unknown group: nobodys",
    ])
      expect(refused.stderr).toContain(line);
    expect(refused.stderr).not.toContain("canary");
    expect(refused.stderr).not.toContain("line 2");
    const told = [...refused.stderr.matchAll(/line (\d+):/g)].map(([, line]) => Number(line));
    expect(told).toEqual(told.toSorted((one, other) => one - other));
    expect(JSON.parse((await command(["users", "list", "--json"], env)).stdout)).toHaveLength(1);

    const good = fileOf("good.csv", lines.slice(0, 2).join("\n"));
    const dry = await command(["users", "import", good, "--dry-run"], env);
    expect(dry).toMatchObject({ code: 0, stdout: "1 user can be imported; nothing was written\n" });
    expect(JSON.parse((await command(["users", "list", "--json"], env)).stdout)).toHaveLength(1);
    expect((await command(["users", "import", good, "--group", "admin"], env)).code).toBe(0);
    expect((await command(["users", "list"], env)).stdout).toMatch(/good +Good +admin/);
  });

  it.each([
    ["no JSON", "[", "the file is no JSON"],
    ["JSON of another shape", "[1]", "entry 1: is no object"],
    ["JSON of hashes alone", '["$2b$12$canary"]', "entry 1: is no object"],
    ["no array", "[]{}", "the file is no JSON"],
    [
      "a field that is unknown",
      '[{"username":"x","password":"canary"}]',
      'entry 1: unknown field "password"; the fields are username,',
    ],
    ["a field whose name may be a hash", `[{"$2b$04$canary":"x"}]`, "entry 1: unknown field; the fields are"],
    ["a CSV without a head", "a,b\n1,2\n", "in small letters and separated by commas"],
    [
      "a CSV with a column that is unknown",
      "username,password_hash,email\nx,y,canary\n",
      'line 1: unknown field "email"; the fields are username,',
    ],
    ["a CSV whose quotes do not match", 'username,password_hash\n"x,y\n', "line 2 is no CSV"],
    ["a CSV with one long cell", `username,password_hash\n"${"x".repeat(12 * 2 ** 20)}`, "line 2 is no CSV"],
    ["a CSV with a column of another name", "username,hash\na,b\n", `unknown field "hash"`],
    ["a CSV with a column twice", "username,password_hash,username\na,b,c\n", "names a column twice"],
  ])("refuses %s in one line", async (_, text, reason) => {
    const env = into("refusing");
    const { code, stderr } = await command(["users", "import", fileOf("odd", text)], env);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(reason) });
    expect(stderr).not.toContain("canary");
  });

  it("says how people with more costs than may be in use are imported", async () => {
    const users = [4, 5, 6, 7, 8].map((cost) => ({
      username: `n${cost}`,
      password_hash: bcrypt.hash.replace("$04$", `$0${cost}$`),
    }));
    const file = fileOf("costs.json", JSON.stringify(users));
    const { stderr } = await command(["users", "import", file], into("refusing"));
    expect(stderr).toMatch(/at most 4 are in use at a time\nImport people with some of the costs first/);
    expect(stderr).toContain("`gatehouse users imported --remove`");
  });

  it("refuses a folder and a file that are not there, and one that is not of Home Assistant", async () => {
    const env = into("refusing");
    const refusal = async (file: string, ...more: string[]) =>
      (await command(["users", "import", file, ...more], env)).stderr;
    expect(await refusal(path.join(folder.path, "none"))).toContain("(ENOENT)");
    expect(await refusal(folder.path)).toContain("there is no .storage/auth_provider.homeassistant");
    expect(await refusal(fileOf("x/auth_provider.homeassistant", "{}"))).toContain(
      "no file of Home Assistant's",
    );
  });
});

describe("people with imported hashes", () => {
  let redis: RedisServer;
  let node: Awaited<ReturnType<typeof startNode>>;
  const secret = "a secret that the tests' gateways share";
  const closing: GatewayClient[] = [];
  beforeAll(async () => {
    redis = await startRedis();
    const password = {
      scrypt_n: proofScrypt.N,
      scrypt_r: proofScrypt.r,
      scrypt_p: proofScrypt.p,
      workers: 1,
    };
    node = await startNode({ store: redis.url, secret, password });
    await setUpOwner(node.authority);
  });
  afterAll(async () => {
    await node?.stop();
    await redis?.dispose();
  });
  afterEach(() => {
    for (const client of closing.splice(0)) client.close();
  });

  async function imports(...usernames: readonly string[]): Promise<void> {
    const users = usernames.map((username) => ({ username, password_hash: pbkdf2.hash }));
    const file = fileOf("people.json", JSON.stringify(users));
    const env = {
      GATEHOUSE_SECRET: secret,
      GATEHOUSE_STORE: redis.url,
      GATEHOUSE_TOKENS_ISSUER: sharedIssuer,
    };
    expect(await command(["users", "import", file], env)).toMatchObject({ code: 0, stderr: "" });
  }

  async function logIn(
    username: string,
    scram: "prefer" | "require" | "never",
    password: string = pbkdf2.password,
  ) {
    const client = new GatewayClient({
      url: node.url,
      tokens: createMemoryTokenStore(),
      scrypt: rememberedScrypt,
      scram,
    });
    closing.push(client);
    const flow = await patiently(() => client.login({ handler: ["homeassistant", null] }));
    return await patiently(() => flow.submit({ username, password }));
  }

  it("log in with the SDK by themselves, and are proved from then on", async () => {
    await imports("ada", "later");
    expect(await logIn("ada", "require")).toMatchObject({ step_id: "init", send_password: true });
    expect(await logIn("ada", "prefer", "a wrong one")).toMatchObject({ errors: { base: "invalid_auth" } });
    const step = await logIn("ada", "prefer");
    expect(step).toMatchObject({ type: "create_entry" });
    expect(step).not.toHaveProperty("server_final");
    expect(await logIn("ada", "require")).toMatchObject({
      type: "create_entry",
      server_final: expect.any(String),
    });
  });

  it("log in with Home Assistant's clients, and with the command line", async () => {
    await imports("bert", "carla");
    const [client_id, redirect_uri] = ["https://app.example/", "https://app.example/in"];
    const sent = async (address: string, body: object) => {
      const answer = await fetch(address, { method: "POST", body: JSON.stringify({ client_id, ...body }) });
      return (await answer.json()) as { readonly flow_id: string };
    };
    const handler = ["homeassistant", null];
    const flow = await sent(`${node.url}/auth/login_flow`, { handler, redirect_uri });
    const step = async (password: string) =>
      await sent(`${node.url}/auth/login_flow/${flow.flow_id}`, { username: "bert", password });
    expect(await step("wrong")).toMatchObject({ errors: { base: "invalid_auth" } });
    expect(await step(pbkdf2.password)).toMatchObject({ type: "create_entry", result: expect.any(String) });
    const args = ["login", node.url, "--username", "carla", "--password-stdin"];
    expect(await command(args, {}, `${pbkdf2.password}\n`)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("access_token"),
    });
  });
});
