import {
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { gatehouse, gatehouseJson, type ServeProcess, serve } from "../support/command-line.ts";
import { storeKinds } from "../support/gateway.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { openSocket } from "../support/socket-client.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";

const stdin = "correct horse battery\n";
const address = { GATEHOUSE_TOKENS_ISSUER: "https://gate.example.org" };

interface Grant {
  readonly access_token: string;
  readonly refresh_token: string;
}

for (const kind of storeKinds) {
  describe(`gatehouse secret rotate on ${kind}`, () => {
    let folder: TemporaryFolder;
    let redis: RedisServer | undefined;
    let gateway: ServeProcess | undefined;
    let where: string[];
    const data = () => path.join(folder.path, "data");
    const secretFile = () => path.join(data(), "secret.key");
    const rotate = (...more: string[]) => gatehouse(["secret", "rotate", "--json", ...more, ...where]);

    beforeEach(async () => {
      folder = temporaryFolder();
      redis = kind === "redis" ? await startRedis() : undefined;
      where = ["--data", data(), ...(redis === undefined ? [] : ["--store", redis.url])];
      await start();
      const add = ["users", "add", "Paula", "--username", "paula", "--owner", "--password-stdin"];
      await gatehouseJson([...add, ...where], { stdin });
    });
    afterEach(async () => {
      await stop("SIGKILL");
      await redis?.dispose();
      folder.remove();
    });

    async function start(): Promise<void> {
      gateway = await serve(where, { env: address });
    }
    async function stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
      await gateway?.kill(signal);
      gateway = undefined;
    }
    async function logIn(): Promise<Grant> {
      const args = ["login", gateway?.url ?? "", "--username", "paula", "--password-stdin"];
      return await gatehouseJson<Grant>(args, { stdin });
    }
    async function closeOf(token: string): Promise<unknown> {
      const socket = await openSocket(gateway?.port ?? 0);
      socket.send({ type: "auth", access_token: token });
      return (await socket.closed).code;
    }

    it("waits for no gateway to run; then old secret, keys and tokens are worthless, users and passwords stay", async () => {
      const grant = await logIn();
      const lasting = await gatehouse(["tokens", "issue", "--user", "paula", "--name", "t", ...where]);
      const old = path.join(folder.path, "old.key");
      copyFileSync(secretFile(), old);
      const refused = await rotate();
      expect(refused).toMatchObject({ code: 1, stdout: "" });
      expect(JSON.parse(refused.stderr)).toMatchObject({ error: { code: "conflict" } });
      expect(readFileSync(secretFile(), "utf8")).toBe(readFileSync(old, "utf8"));
      expect(await (await openSocket(gateway?.port ?? 0)).authenticate(grant.access_token)).toMatchObject({
        type: "auth_ok",
      });
      await stop();
      expect(await rotate()).toMatchObject({ code: 0, stderr: "" });
      expect(readFileSync(secretFile(), "utf8")).not.toBe(readFileSync(old, "utf8"));
      expect(statSync(secretFile()).mode & 0o777).toBe(0o600);
      const withOld = await gatehouse(["users", "list", ...where], { env: { GATEHOUSE_SECRET_FILE: old } });
      expect(withOld).toMatchObject({ code: 2, stderr: expect.stringContaining("another secret") });

      await start();
      expect(await closeOf(grant.access_token)).toBe(4300);
      expect(await closeOf(lasting.stdout.trim())).toBe(4300);
      const socket = await openSocket(gateway?.port ?? 0);
      const { refresh_token } = grant;
      const again = await socket.call("auth/login/refresh", { refresh_token });
      expect(again).toMatchObject({ success: false, error: { code: "invalid_grant" } });
      const fresh = await logIn();
      expect(await (await openSocket(gateway?.port ?? 0)).authenticate(fresh.access_token)).toMatchObject({
        type: "auth_ok",
      });
      expect(await gatehouseJson<object[]>(["keys", "list", ...where])).toMatchObject([{ state: "active" }]);
      expect(await gatehouseJson<object[]>(["sessions", "list", ...where])).toHaveLength(1);
    });

    // What follows has nothing to do with the kind of the store.
    if (kind === "redis") return;

    it("is finished by another call when it was cut short, on either side of the commit", async () => {
      await stop();
      const old = path.join(folder.path, "old.key");
      copyFileSync(secretFile(), old);
      expect(await rotate()).toMatchObject({ code: 0 });
      const rotated = readFileSync(secretFile(), "utf8");
      // As a crash right behind the commit leaves it.
      renameSync(secretFile(), `${secretFile()}.next`);
      copyFileSync(old, secretFile());
      const start = await gatehouse(["serve", "--port", "0", ...where], { env: address });
      expect(start).toMatchObject({
        code: 2,
        stderr: expect.stringContaining("was interrupted: run it again"),
      });
      expect(await rotate()).toMatchObject({ code: 0 });
      expect(readFileSync(secretFile(), "utf8")).toBe(rotated);
      expect((await gatehouse(["users", "list", ...where])).stdout).toContain("paula");

      // As one right before the commit does.
      copyFileSync(old, `${secretFile()}.next`);
      expect((await gatehouse(["users", "list", ...where])).stdout).toContain("paula");
      expect(await rotate()).toMatchObject({ code: 0 });
      expect(readFileSync(secretFile(), "utf8")).toBe(readFileSync(old, "utf8"));
      expect((await gatehouse(["users", "list", ...where])).stdout).toContain("paula");
    });

    it("takes a secret from a file, which one from the environment needs", async () => {
      await stop();
      const [before, named] = [readFileSync(secretFile(), "utf8"), path.join(folder.path, "named.key")];
      const env = { GATEHOUSE_SECRET: before.trim() };
      rmSync(secretFile());
      const without = await gatehouse(["secret", "rotate", ...where], { env });
      expect(without).toMatchObject({
        code: 2,
        stderr: expect.stringContaining("give the next one in a file"),
      });
      const missing = ["secret", "rotate", "--new-secret-file", named, ...where];
      expect(await gatehouse(missing, { env })).toMatchObject({ code: 2 });
      copyFileSync(path.resolve(import.meta.dirname, "../../package.json"), named);
      const tooLong = await gatehouse(missing, { env });
      expect(tooLong).toMatchObject({ code: 2, stderr: expect.stringContaining("must hold 32 to 1024") });
      expect((await gatehouse(["users", "list", ...where], { env })).stdout).toContain("paula");
    });

    it("refuses the secret that is in use, wherever it is named, and changes nothing", async () => {
      await stop();
      const before = readFileSync(secretFile(), "utf8");
      const copy = path.join(folder.path, "copy.key");
      writeFileSync(copy, before.trim());
      const keys = await gatehouseJson<object[]>(["keys", "list", ...where]);
      for (const named of [secretFile(), copy])
        expect(await rotate("--yes", "--new-secret-file", named)).toMatchObject({
          code: 2,
          stdout: "",
          stderr: expect.stringContaining("holds the secret that is in use: nothing was changed"),
        });
      expect(readFileSync(secretFile(), "utf8")).toBe(before);
      expect(await gatehouseJson<object[]>(["keys", "list", ...where])).toEqual(keys);
    });

    it("follows a link to the secret, and replaces what it leads to", async () => {
      await stop();
      const target = path.join(folder.path, "elsewhere/the.key");
      mkdirSync(path.dirname(target));
      renameSync(secretFile(), target);
      symlinkSync(target, secretFile());
      const before = readFileSync(target, "utf8");
      expect(await rotate()).toMatchObject({ code: 0 });
      expect(lstatSync(secretFile()).isSymbolicLink()).toBe(true);
      expect(readFileSync(target, "utf8")).not.toBe(before);
      expect(statSync(target).mode & 0o777).toBe(0o600);
      expect(readdirSync(path.dirname(target))).toEqual(["the.key"]);
      expect((await gatehouse(["users", "list", ...where])).stdout).toContain("paula");
    });
  });
}
