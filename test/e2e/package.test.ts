import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";

const root = path.resolve(import.meta.dirname, "../..");

// What `npm pack` makes of the built tree, unpacked into a project of somebody else's.
describe("the published package", { timeout: 60_000 }, () => {
  let project: TemporaryFolder;
  let files: string[];

  /** Both streams: what a compiler complains of is on standard output. */
  const run = (command: string, args: readonly string[]): string => {
    const { stdout, stderr } = spawnSync(command, args, { cwd: project.path, encoding: "utf8" });
    return stdout + stderr;
  };

  beforeAll(() => {
    project = temporaryFolder();
    const pack = ["pack", "--ignore-scripts", "--pack-destination", project.path];
    execFileSync("npm", pack, { cwd: root, stdio: "pipe" });
    const archive = readdirSync(project.path).find((name) => name.endsWith(".tgz")) ?? "";
    const modules = path.join(project.path, "node_modules");
    mkdirSync(path.join(modules, "gatehouse"), { recursive: true });
    run("tar", ["-xzf", archive, "-C", path.join(modules, "gatehouse"), "--strip-components=1"]);
    for (const name of readdirSync(path.join(root, "node_modules"))) {
      if (!name.startsWith(".")) symlinkSync(path.join(root, "node_modules", name), path.join(modules, name));
    }
    files = readdirSync(path.join(modules, "gatehouse"), { recursive: true }).map(String);
    writeFileSync(path.join(project.path, "package.json"), '{"type":"module"}');
  });
  afterAll(() => project.remove());

  it("has what is read at run time, and nothing of the workshop", () => {
    for (const needed of [
      "LICENSE",
      "README.md",
      "protocol/README.md",
      "protocol/vectors/auth.json",
      "dist/src/store/redis/scripts/commit.lua",
      "dist/src/console/setup.html",
      "dist/src/console/setup.css",
      "dist/src/console/setup.js",
    ]) {
      expect(files).toContain(needed);
    }
    expect(files.filter((file) => /^(src|test|bench|data|\.)|\.test\.|(?<!\.d)\.ts$/.test(file))).toEqual([]);
    expect(files.filter((file) => file.endsWith("vectors/auth.json"))).toHaveLength(1);
  });

  it("gives its three entry points and its command", () => {
    const program = `
      import { createGateway, runGateway, defineConfig } from "gatehouse";
      import { GatewayClient, createMsgpackCodec } from "gatehouse/client";
      import { closeCodes, commands } from "gatehouse/protocol";
      console.log([createGateway, runGateway, defineConfig, GatewayClient, createMsgpackCodec].map((it) => typeof it));
      console.log(closeCodes.session_revoked.number, "auth/refresh" in commands);`;
    writeFileSync(path.join(project.path, "program.mjs"), program);
    expect(run(process.execPath, ["program.mjs"])).toContain("4301 true");
    expect(run(process.execPath, ["node_modules/gatehouse/dist/src/cli/main.js", "--help"])).toContain(
      "serve",
    );
  });

  it("has types that hold in a strict project, with and without the browser's", () => {
    const program = `
      import { WebSocket } from "ws";
      import { type Config, createGateway, defineConfig } from "gatehouse";
      import { GatewayClient } from "gatehouse/client";
      import { closeCodes, type Params } from "gatehouse/protocol";

      const client = new GatewayClient({ url: "http://127.0.0.1:8123", WebSocket });
      const login = await client.login({ handler: ["homeassistant", null] });
      const step = await login.submit({ username: "paula", password: "correct horse battery" });
      if (step.type === "create_entry" && typeof step.result !== "string") step.result.access_token satisfies string;
      (await client.call("auth/current_user")).name satisfies string | null;
      // @ts-expect-error there is no such command
      await client.call("auth/nothing");
      // @ts-expect-error a field is missing
      export const params: Params<"auth/refresh"> = { id: 1, type: "auth/refresh" };
      const config: Config = defineConfig({ port: 0 });
      export const gateway = await createGateway(config);
      closeCodes.going_away.number satisfies 1001;`;
    writeFileSync(path.join(project.path, "program.ts"), program);
    const tsc = path.join(root, "node_modules/typescript/bin/tsc");
    const strict = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess"];
    const common = [...strict, "--target", "es2023", "--types", "node", "--skipLibCheck", "false"];
    for (const how of [
      ["--module", "nodenext", "--moduleResolution", "nodenext", "--lib", "es2023"],
      ["--module", "esnext", "--moduleResolution", "bundler", "--lib", "es2023,dom"],
    ]) {
      const args = [tsc, ...common, ...how, "program.ts"];
      expect(run(process.execPath, args)).toBe("");
    }
  });
});
