import { existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { runCommand } from "../../src/cli/program.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { startRedis } from "../support/redis-server.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";

/** A configuration with no option at its default, and with secrets in two of them. */
const elsewhere = {
  GATEHOUSE_SECRET: "an installation's secret, 32 characters",
  GATEHOUSE_STORE: "redis://someone:hidden@127.0.0.1:6379/3",
  GATEHOUSE_PUBLIC_URL: "https://gate.example.org",
  GATEHOUSE_TRUSTED_PROXIES: "10.0.0.0/8, ::1",
  GATEHOUSE_LOG_AUDIT: "false",
  GATEHOUSE_LIMITS_SOCKETS: "17",
};

const providers = JSON.stringify([
  { type: "homeassistant", id: "family" },
  { type: "ldap", url: "ldaps://directory.test", user_dn: "uid={username},dc=test" },
]);

describe("what gatehouse check prints", () => {
  let folder: TemporaryFolder;
  beforeEach(() => {
    folder = temporaryFolder();
  });
  afterEach(() => folder.remove());

  async function check(env: Readonly<Record<string, string>>, ...args: readonly string[]) {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const code = await runCommand(["check", ...args], { env, stdin: process.stdin, stdout, stderr });
    return { code, stdout: String(stdout.read() ?? ""), stderr: String(stderr.read() ?? "") };
  }

  it("warns of files of login providers that cannot be used", async () => {
    const plain = path.join(folder.path, "plain");
    writeFileSync(plain, "", { mode: 0o644 });
    const gone = path.join(folder.path, "gone");
    const entries = [
      { type: "command_line", command: "/bin/sh" },
      { type: "command_line", id: "plain", command: plain },
      { type: "ldap", url: "ldaps://directory.test", user_dn: "uid={username},dc=test", ca_file: gone },
      { type: "ldap", id: "b", url: "ldaps://directory.test", user_dn: "uid={username}", ca_file: plain },
    ];
    const { code, stdout } = await check({
      GATEHOUSE_DATA: folder.path,
      GATEHOUSE_AUTH_PROVIDERS: JSON.stringify(entries),
      GATEHOUSE_AUTH_MFA_MODULES: JSON.stringify([{ type: "totp" }, { type: "notify", command: gone }]),
    });
    expect(code).toBe(0);
    expect(stdout.split("\n").filter((line) => line.startsWith("# warning"))).toEqual([
      `# warning: auth_providers: entry 2 has a command that cannot be run: ${plain}`,
      `# warning: auth_providers: entry 3 has a ca_file that cannot be read: ${gone}`,
      `# warning: auth_mfa_modules: entry 2 has a command that cannot be run: ${gone}`,
    ]);
  });

  it("warns of what the configuration alone shows, without an installation, and makes none", async () => {
    const data = path.join(folder.path, "not yet");
    const { code, stdout } = await check({
      GATEHOUSE_DATA: data,
      GATEHOUSE_PUBLIC_URL: "https://gate.example.org",
      GATEHOUSE_AUTH_MFA_MODULES: '[{"type": "webauthn", "rp_id": "other.test"}]',
    });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^# warning: the second factor webauthn: /m);
    expect(existsSync(data)).toBe(false);
  });

  it.each<[string, Readonly<Record<string, string>>, readonly string[]]>([
    ["by default", {}, []],
    ["with the guarantee", {}, ["--guarantee"]],
    ["with no option at its default", elsewhere, []],
    ["with login providers", { GATEHOUSE_AUTH_PROVIDERS: providers }, []],
  ])("is a file that --config takes: %s", async (_, env, args) => {
    const file = path.join(folder.path, "gatehouse.yaml");
    const printed = await check(env, ...args);
    expect(printed).toMatchObject({ code: 0, stderr: "" });
    expect(printed.stdout).not.toMatch(/installation's secret|hidden/);
    writeFileSync(file, printed.stdout);
    const { GATEHOUSE_SECRET = "", GATEHOUSE_STORE = "" } = env;
    const secrets = { GATEHOUSE_SECRET, GATEHOUSE_STORE };
    const again = await check(secrets, "--config", file, ...args);
    expect(again).toEqual(printed);
  });

  it("shows login providers with a secret in a comment, without it", async () => {
    const entry = {
      type: "ldap",
      url: "ldaps://d.test",
      search_base: "dc=t",
      bind_dn: "cn=t",
      bind_password: "canary",
    };
    const { stdout } = await check({ GATEHOUSE_AUTH_PROVIDERS: JSON.stringify([entry]) });
    expect(stdout).toContain(
      `# auth_providers: ${JSON.stringify([{ ...entry, bind_password: "***" }])} (a secret is not written to this file`,
    );
    expect(stdout).not.toMatch(/canary|object Object/);
  });

  it("is not refused because of a token that another command takes from the environment", async () => {
    const token = { GATEHOUSE_ACCESS_TOKEN: "canary" };
    expect(await check(token)).toEqual(await check({}));
    expect((await check(token)).code).toBe(0);
  });

  it("is not refused because of the empty file that a shell has created for it", async () => {
    const file = path.join(folder.path, "gatehouse.yaml");
    writeFileSync(file, "");
    expect(await check({}, "--config", file)).toMatchObject({ code: 0, stderr: "" });
  });
});

describe("gatehouse check --guarantee", () => {
  let folder: TemporaryFolder;
  beforeEach(() => {
    folder = temporaryFolder();
  });
  afterEach(() => folder.remove());

  async function check(...args: readonly string[]) {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const env = { GATEHOUSE_DATA: path.join(folder.path, "data"), ...policy };
    const code = await runCommand(["check", ...args], { env, stdin: process.stdin, stdout, stderr });
    return { code, stdout: String(stdout.read() ?? ""), stderr: String(stderr.read() ?? "") };
  }
  let policy: Readonly<Record<string, string>> = {};
  const guarantee = async (...args: readonly string[]) =>
    (JSON.parse((await check("--json", ...args)).stdout) as { readonly guarantee?: unknown }).guarantee;

  it("prints the bound of the embedded store without creating it", async () => {
    expect(await guarantee()).toBeUndefined();
    expect(await guarantee("--guarantee")).toEqual({
      revocation_bound_s: 3.25,
      policy: "suspend",
      problems: [],
      detail: "one process writes one file on its own disk",
    });
    expect((await check("--guarantee")).stdout).toContain("revocation_bound_s: 3.25");
    expect(existsSync(path.join(folder.path, "data"))).toBe(false);
  });

  it("asks Redis, names settings to change, and writes nothing", async () => {
    const redis = await startRedis();
    expect(await guarantee("--guarantee", "--store", redis.url)).toMatchObject({
      revocation_bound_s: 3.25,
      problems: [expect.stringContaining("appendonly")],
    });
    expect(await redis.command("DBSIZE")).toBe("0");
    const proxy = await startFaultProxy({ host: "127.0.0.1", port: redis.port });
    proxy.delay(200);
    expect(await guarantee("--guarantee", "--store", `redis://127.0.0.1:${proxy.port}`)).toMatchObject({
      problems: [expect.stringContaining("appendonly"), expect.stringContaining("store_timeout_ms is 250")],
    });
    await proxy.stop();
    await redis.dispose();
    const gone = await check("--guarantee", "--store", redis.url);
    expect(gone).toMatchObject({ code: 3, stdout: "", stderr: expect.stringContaining("cannot use Redis") });
  });

  it("prints what a weaker policy gives up", async () => {
    policy = { GATEHOUSE_REVOCATION_POLICY: "serve_until_exp", GATEHOUSE_TOKENS_ACCESS_TTL_SECONDS: "900" };
    expect(await guarantee("--guarantee")).toMatchObject({
      revocation_bound_s: null,
      policy: "serve_until_exp",
      problems: [expect.stringMatching(/^revocation\.policy is serve_until_exp: .* 900 s at most/)],
    });
    policy = {};
  });
});
