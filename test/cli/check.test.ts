import { existsSync } from "node:fs";
import path from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { runCommand } from "../../src/cli/program.ts";
import { startRedis } from "../support/redis-server.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";

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

  it("tells the bound of the embedded store without making it", async () => {
    expect(await guarantee()).toBeUndefined();
    expect(await guarantee("--guarantee")).toEqual({
      ...{ revocation_bound_s: 3.25, policy: "suspend", problems: [] },
      detail: "one process writes one file on its own disk",
    });
    expect((await check("--guarantee")).stdout).toContain("revocation_bound_s: 3.25");
    expect(existsSync(path.join(folder.path, "data"))).toBe(false);
  });

  it("asks Redis, names what should be set up otherwise, and writes nothing", async () => {
    const redis = await startRedis();
    expect(await guarantee("--guarantee", "--store", redis.url)).toMatchObject({
      revocation_bound_s: 3.25,
      problems: [expect.stringContaining("appendonly")],
    });
    expect(await redis.command("DBSIZE")).toBe("0");
    await redis.dispose();
    const gone = await check("--guarantee", "--store", redis.url);
    expect(gone).toMatchObject({ code: 3, stdout: "", stderr: expect.stringContaining("cannot use Redis") });
  });

  it("tells what a weaker policy gives up", async () => {
    policy = { GATEHOUSE_REVOCATION_POLICY: "serve_until_exp", GATEHOUSE_TOKENS_ACCESS_TTL_SECONDS: "900" };
    expect(await guarantee("--guarantee")).toMatchObject({
      ...{ revocation_bound_s: null, policy: "serve_until_exp" },
      problems: [expect.stringMatching(/^revocation\.policy is serve_until_exp: .* 900 s at most/)],
    });
    policy = {};
  });
});
