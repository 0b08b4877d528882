import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { temporaryFolder } from "../support/temporary-folder.ts";

const root = path.resolve(import.meta.dirname, "../..");
const installed = path.join(root, "node_modules");

/** Somebody else's project with what `npm pack` makes of `folder`, beside the `others` of our own dependencies. */
function projectWith(folder: string, name: string, others: readonly string[]) {
  const project = temporaryFolder();
  execFileSync("npm", ["pack", "--ignore-scripts", "--pack-destination", project.path], {
    cwd: folder,
    stdio: "pipe",
  });
  const archive = readdirSync(project.path).find((file) => file.endsWith(".tgz")) ?? "";
  const home = path.join(project.path, "node_modules", name);
  mkdirSync(home, { recursive: true });
  execFileSync("tar", ["-xzf", path.join(project.path, archive), "-C", home, "--strip-components=1"]);
  for (const other of others) {
    const link = path.join(project.path, "node_modules", other);
    mkdirSync(path.dirname(link), { recursive: true });
    symlinkSync(path.join(installed, other), link);
  }
  writeFileSync(path.join(project.path, "package.json"), '{"type":"module"}');
  return {
    files: readdirSync(home, { recursive: true }).map(String),
    textOf: (file: string) => readFileSync(path.join(home, file), "utf8"),
    write: (file: string, text: string) => writeFileSync(path.join(project.path, file), text),
    /** Both streams: what a compiler complains of is on standard output. */
    run(args: readonly string[]): string {
      const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: project.path, encoding: "utf8" });
      return stdout + stderr;
    },
    path: project.path,
    remove: (): void => project.remove(),
  };
}
type Project = ReturnType<typeof projectWith>;

const newestCompiler = path.join(installed, "typescript/bin/tsc");
const oldestCompiler = path.join(root, "test/support/oldest-typescript/node_modules/typescript/bin/tsc");
const nodenext = ["--module", "nodenext", "--moduleResolution", "nodenext"];
const bundler = ["--module", "esnext", "--moduleResolution", "bundler"];
const compilations = [
  { name: "TypeScript 5.4", tsc: oldestCompiler, how: nodenext, lib: "es2023" },
  { name: "this project's TypeScript", tsc: newestCompiler, how: bundler, lib: "es2023,dom" },
];
const strict = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess"];
const common = [...strict, "--target", "es2022", "--skipLibCheck", "false"];

const own = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
  readonly dependencies: Readonly<Record<string, string>>;
};

describe("the package gatehouse-gateway", () => {
  let project: Project;

  beforeAll(() => {
    const others = readdirSync(installed).filter((name) => !name.startsWith("."));
    project = projectWith(root, "gatehouse-gateway", others);
  });
  afterAll(() => project.remove());

  it("has what is read at run time, and nothing of the workshop", () => {
    for (const needed of [
      "LICENSE",
      "README.md",
      "protocol/README.md",
      "protocol/vectors/auth.json",
      "dist/src/store/redis/scripts/commit.lua",
      "dist/src/cli/scripts/commit.lua",
      "dist/src/cli/kdf-worker.mjs",
      "dist/src/cli/common-passwords-worker.mjs",
      "dist/src/cli/LICENSES-OF-BUNDLED-PACKAGES",
      "dist/src/pages/page.css",
      "dist/src/pages/setup.js",
      "dist/src/pages/login-element.js",
      "dist/src/pages/password-proof.js",
      "dist/src/pages/scrypt-worker.js",
      "dist/src/LICENSE-lit",
      "dist/src/LICENSE-scrypt-js",
      "dist/src/LICENSE-noble-hashes",
    ]) {
      expect(project.files).toContain(needed);
    }
    const text = readdirSync(path.join(root, "protocol")).filter((file) => file.endsWith(".md"));
    for (const part of text) expect(project.files).toContain(`protocol/${part}`);
    const workshop = /^(src|test|bench|data|\.)|^dist\/(bench|client-package)|\.test\.|\.map$|(?<!\.d)\.ts$/;
    expect(project.files.filter((file) => workshop.test(file))).toEqual([]);
    // It is one file among the pages; Lit is no dependency of the gateway.
    expect(project.files.filter((file) => file.includes("src/login-element"))).toEqual([]);
    expect(project.files.filter((file) => file.endsWith("vectors/auth.json"))).toHaveLength(1);
    expect(project.textOf("dist/src/cli/main.js")).not.toContain("sourceMappingURL");
  });

  it("gives its entry points and its command", () => {
    project.write(
      "program.mjs",
      `
      import { createGateway, runGateway, defineConfig } from "gatehouse-gateway";
      import { closeCodes, commands } from "gatehouse-gateway/protocol";
      console.log([createGateway, runGateway, defineConfig].map((it) => typeof it).join());
      console.log(closeCodes.session_revoked.number, "auth/refresh" in commands);`,
    );
    expect(project.run(["program.mjs"])).toBe("function,function,function\n4301 true\n");
    expect(project.run(["node_modules/gatehouse-gateway/dist/src/cli/main.js", "--help"])).toContain("serve");
  });

  it.each(compilations)("has types that $name reads in a strict project", ({ tsc, how, lib }) => {
    project.write(
      "program.ts",
      `
      import { type Config, createGateway, defineConfig } from "gatehouse-gateway";
      import { closeCodes, type Params } from "gatehouse-gateway/protocol";

      // @ts-expect-error a field is missing
      export const params: Params<"auth/refresh"> = { id: 1, type: "auth/refresh" };
      const config: Config = defineConfig({ port: 0 });
      export const gateway = await createGateway(config);
      closeCodes.going_away.number satisfies 1001;`,
    );
    expect(project.run([tsc, ...common, "--types", "node", "--lib", lib, ...how, "program.ts"])).toBe("");
  });
});

describe("the package gatehouse-client", () => {
  let project: Project;

  beforeAll(() => {
    project = projectWith(path.join(root, "dist/client-package"), "gatehouse-client", []);
  });
  afterAll(() => project.remove());

  it("holds no server, no source map, and depends on nothing", () => {
    const manifest = JSON.parse(project.textOf("package.json")) as Record<string, unknown>;
    expect(manifest).not.toHaveProperty("dependencies");
    expect(manifest).not.toHaveProperty("optionalDependencies");
    expect(manifest.peerDependenciesMeta).toEqual({ ws: { optional: true } });
    const code = project.files.filter((file) => file.endsWith(".js"));
    expect(
      code.filter(
        (file) => !/^(index|msgpack|login-element|password-proof|scrypt-worker|shared-\w+)\.js$/.test(file),
      ),
    ).toEqual([]);
    for (const file of code) {
      const imported = [...project.textOf(file).matchAll(/(?:from|import)\s*\(?\s*["']([^."'][^"']*)["']/g)];
      expect(imported.map((match) => match[1]).filter((name) => name !== "ws")).toEqual([]);
      expect(project.textOf(file)).not.toContain("sourceMappingURL");
    }
    expect(project.files.filter((file) => file.endsWith(".map"))).toEqual([]);
    // What the login element gives is of the class that the main entry exports.
    expect(
      code.filter((file) => /GatewayClient = class|class GatewayClient/.test(project.textOf(file))),
    ).toHaveLength(1);
  });

  it("speaks JSON in less than 11 KiB once it is bundled, and in 17 KiB with what proves a password", async () => {
    const entry = { contents: 'export * from "gatehouse-client";', resolveDir: project.path };
    const sizeOf = async (splitting: boolean) => {
      const { outputFiles } = await build({
        stdin: entry,
        bundle: true,
        write: false,
        minify: true,
        // With it, what is loaded when a password is proved is in files of its own.
        splitting,
        outdir: project.path,
        format: "esm",
        external: ["ws"],
      });
      const main = outputFiles.find((file) => file.path.endsWith("stdin.js"));
      return { bytes: gzipSync(main?.contents ?? "").length, text: main?.text ?? "" };
    };
    const [alone, whole] = [await sizeOf(true), await sizeOf(false)];
    expect(alone.text.includes("gatehouse/topics/subscribe")).toBe(true);
    expect(alone.bytes).toBeLessThan(11 * 1024);
    expect(whole.bytes).toBeLessThan(17 * 1024);
    expect(whole.bytes).toBeGreaterThan(alone.bytes);
  });

  it("runs without the server's packages, msgpack as an import of its own", () => {
    project.write(
      "program.mjs",
      `
      import { createJsonCodec, GatewayClient } from "gatehouse-client";
      import * as client from "gatehouse-client";
      import { createMsgpackCodec } from "gatehouse-client/msgpack";
      const message = { id: 1, type: "ping", text: "ä", list: [1, null, true] };
      for (const codec of [createJsonCodec(), createMsgpackCodec()])
        console.log(codec.subprotocol, JSON.stringify(codec.decode(codec.encode(message))) === JSON.stringify(message));
      console.log(typeof GatewayClient, "createMsgpackCodec" in client);`,
    );
    expect(project.run(["program.mjs"])).toBe(
      "gatehouse.v1.json true\ngatehouse.v1.msgpack true\nfunction false\n",
    );
  });

  it.each(compilations)("has types of the login element that $name reads", ({ tsc, how }) => {
    project.write(
      "page.ts",
      `
      import { GatewayClient } from "gatehouse-client";
      import { GatehouseLogin } from "gatehouse-client/login-element";

      const login = new GatehouseLogin();
      login.url = "https://gate.example.org";
      login.addEventListener("gatehouse-authenticated", ({ detail }) => detail.client satisfies GatewayClient);
      login.addEventListener("gatehouse-code", ({ detail }) => detail.code satisfies string);
      document.querySelector("gatehouse-login")?.client satisfies GatewayClient | undefined;
      // @ts-expect-error it gives a session or a code
      login.purpose = "nothing";`,
    );
    expect(project.run([tsc, ...common, "--lib", "es2023,dom", ...how, "page.ts"])).toBe("");
  });

  it.each(compilations)("has types that $name reads without another package", ({ tsc, how }) => {
    project.write(
      "program.ts",
      `
      import { closeCodes, createMemoryTokenStore, type FlowStep, GatewayClient, type WebSocketConstructor } from "gatehouse-client";
      import { createMsgpackCodec } from "gatehouse-client/msgpack";

      declare const WebSocket: WebSocketConstructor;
      const tokens = createMemoryTokenStore();
      const client = new GatewayClient({ url: "http://127.0.0.1:8123", tokens, WebSocket, codec: createMsgpackCodec() });
      const login = await client.login({ handler: ["homeassistant", null] });
      const step: FlowStep = await login.submit({ username: "paula", password: "correct horse battery" });
      if (step.type === "create_entry" && typeof step.result !== "string") step.result.access_token satisfies string;
      (await client.call("auth/current_user")).name satisfies string | null;
      // @ts-expect-error there is no such command
      await client.call("auth/nothing");
      // @ts-expect-error the path is missing
      await client.call("auth/sign_path");
      closeCodes.going_away.number satisfies 1001;
      export {};`,
    );
    expect(project.run([tsc, ...common, "--lib", "es2023", ...how, "program.ts"])).toBe("");
  });
});

describe("both packages", () => {
  it("agree on what commands take and give", () => {
    const project = projectWith(path.join(root, "dist/client-package"), "gatehouse-client", []);
    try {
      const types = "./node_modules/gatehouse-client/types/protocol/";
      project.write(
        "program.ts",
        `
        import type * as theirs from "${types}commands/index.js";
        import type * as flow from "${types}flow.js";
        import type * as ours from "${root}/dist/protocol/commands/index.js";
        import type * as ourFlow from "${root}/dist/protocol/flow.js";

        type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
        type Types = ours.CommandType;
        export const names: Same<ours.CommandType, theirs.CommandType> = true;
        export const params: { [K in Types]: Same<ours.Params<K>, theirs.Params<K>> } extends Record<Types, true> ? true : false = true;
        export const results: { [K in Types]: Same<ours.Result<K>, theirs.Result<K>> } extends Record<Types, true> ? true : false = true;
        export const steps: Same<ourFlow.FlowStep, flow.FlowStep> = true;
        export const handlers: Same<ourFlow.Handler, flow.Handler> = true;
        export const grants: Same<ourFlow.SessionGrant, flow.SessionGrant> = true;
        // @ts-expect-error the comparison can fail
        export const different: Same<ours.Params<"ping">, theirs.Params<"auth/sign_path">> = true;`,
      );
      const args = [newestCompiler, ...common, "--lib", "es2023,dom", ...nodenext, "program.ts"];
      expect(project.run(args)).toBe("");
      const manifest = JSON.parse(
        project.run(["-p", 'JSON.stringify(require("gatehouse-client/package.json"))']),
      );
      expect(manifest.peerDependencies).toEqual({ ws: `^${own.dependencies.ws}` });
    } finally {
      project.remove();
    }
  });
});
