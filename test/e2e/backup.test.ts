import { copyFileSync, existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { gatehouse, gatehouseJson, type ServeProcess, serve } from "../support/command-line.ts";
import { openSocket } from "../support/socket-client.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";

const stdin = "correct horse battery\n";
const rounds = 40;

describe("gatehouse backup", () => {
  let folder: TemporaryFolder;
  const running: ServeProcess[] = [];
  beforeEach(() => {
    folder = temporaryFolder();
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((gateway) => gateway.kill("SIGKILL")));
    folder.remove();
  });

  const start = async (data: string, env = {}) => {
    const gateway = await serve(["--data", data], { env });
    running.push(gateway);
    return gateway;
  };

  it("copies a store that is being written to, and a gateway starts from the copy", async () => {
    const data = path.join(folder.path, "data");
    // What it writes with needs no person.
    const gateway = await start(data, { GATEHOUSE_STEP_UP_LONG_LIVED_TOKENS: "off" });
    const where = ["--data", data];
    await gatehouseJson(
      ["users", "add", "Paula", "--username", "paula", "--owner", "--password-stdin", ...where],
      { stdin },
    );
    const tokens: string[] = [];
    const login = async () => {
      const args = ["tokens", "issue", "--user", "paula", "--name", `t${tokens.length}`, ...where];
      tokens.push((await gatehouseJson<{ access_token: string }>(args)).access_token);
    };
    await login();

    const socket = await openSocket(gateway.port);
    expect(await socket.authenticate(tokens[0] ?? "")).toMatchObject({ type: "auth_ok" });
    // Writes of the gateway itself, before, beside and behind the copy.
    const writes: Promise<unknown>[] = [];
    const write = (name: string) =>
      writes.push(
        socket.call("auth/long_lived_access_token", { lifespan: 1, client_name: name }).then((answer) => {
          expect(answer).toMatchObject({ success: true });
        }),
      );
    for (let n = 0; n < rounds; n += 1) write(`before-${n}`);
    await Promise.all(writes.splice(0));
    const file = path.join(folder.path, "copy.mdb");
    const copying = gatehouseJson<{ file: string; bytes: number; commit: number }>([
      "backup",
      file,
      ...where,
    ]);
    let copied = false;
    void copying.finally(() => {
      copied = true;
    });
    for (let n = 0; !copied; n += 1) {
      write(`beside-${n}`);
      await Promise.all(writes.splice(0));
    }
    const made = await copying;
    expect(made).toMatchObject({ file, bytes: statSync(file).size });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder.path).sort()).toEqual(["copy.mdb", "data"]);

    // Beside the first gateway, whose process lives: the copy does not name it as its holder.
    const restored = path.join(folder.path, "restored");
    mkdirSync(restored, { mode: 0o700 });
    copyFileSync(file, path.join(restored, "gatehouse.mdb"));
    copyFileSync(path.join(data, "secret.key"), path.join(restored, "secret.key"));
    const second = await start(restored, { GATEHOUSE_TOKENS_ISSUER: gateway.url });
    expect(second.setupLink).toBeNull();
    const again = await openSocket(second.port);
    expect(await again.authenticate(tokens[0] ?? "")).toMatchObject({ type: "auth_ok" });
    const { result } = await again.call("auth/refresh_tokens", {});
    const names = (result as { client_name: string }[]).map(({ client_name }) => client_name);
    for (let n = 0; n < rounds; n += 1) expect(names).toContain(`before-${n}`);
  });

  it("overwrites nothing, makes no store, and leaves nothing behind when it fails", async () => {
    const data = path.join(folder.path, "data");
    const none = await gatehouse(["backup", path.join(folder.path, "copy"), "--data", data]);
    expect(none).toMatchObject({ code: 2, stdout: "" });
    expect(existsSync(data)).toBe(false);
    const where = ["--data", data];
    await gatehouseJson(
      ["users", "add", "Paula", "--username", "paula", "--owner", "--password-stdin", ...where],
      { stdin },
    );
    const store = path.join(data, "gatehouse.mdb");
    const before = statSync(store).size;
    const there = await gatehouse(["backup", store, ...where]);
    expect(there).toMatchObject({ code: 2, stderr: expect.stringContaining("exists: give another file") });
    expect(statSync(store).size).toBe(before);
    const nowhere = await gatehouse(["backup", path.join(folder.path, "no/such/copy"), ...where]);
    expect(nowhere).toMatchObject({ code: 2, stderr: expect.stringContaining("does not exist") });
    const redis = await gatehouse([
      "backup",
      path.join(folder.path, "copy"),
      "--store",
      "redis://127.0.0.1:1",
    ]);
    expect(redis).toMatchObject({ code: 2, stderr: expect.stringContaining("Redis' own means") });
    expect(readdirSync(folder.path)).toEqual(["data"]);
  });
});
