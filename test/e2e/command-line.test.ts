import { createRemoteJWKSet, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { gatehouse, gatehouseJson, type ServeProcess, serve } from "../support/command-line.ts";
import { eventually } from "../support/eventually.ts";
import { storeKinds } from "../support/gateway.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { openSocket } from "../support/socket-client.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";

const password = "correct horse battery";
const stdin = `${password}\n`;

for (const kind of storeKinds) {
  describe(`the command line beside a running gateway on ${kind}`, () => {
    let folder: TemporaryFolder;
    let redis: RedisServer | undefined;
    let gateway: ServeProcess;
    let where: string[];

    beforeAll(async () => {
      folder = temporaryFolder();
      redis = kind === "redis" ? await startRedis() : undefined;
      where = ["--data", folder.path, ...(redis === undefined ? [] : ["--store", redis.url])];
      gateway = await serve(where);
    });
    afterAll(async () => {
      await gateway?.kill("SIGKILL");
      await redis?.dispose();
      folder?.remove();
    });

    const issue = async (name: string) => {
      const args = ["tokens", "issue", "--user", "paula", "--name", name, "--days", "7", ...where];
      return await gatehouseJson<{ access_token: string; session_id: string }>(args);
    };
    const connected = async (token: string) => {
      const socket = await openSocket(gateway.port);
      expect(await socket.authenticate(token)).toMatchObject({ type: "auth_ok" });
      return socket;
    };

    it("prints a set-up link, makes the owner once, and then no link any more", async () => {
      expect(gateway.setupLink).toMatch(/\/setup#code=/);
      const add = ["users", "add", "Paula", "--username", "paula", "--owner", "--password-stdin", ...where];
      expect(await gatehouse(add, { stdin })).toMatchObject({ code: 0, stderr: "" });
      const again = await gatehouse([...add, "--json"], { stdin });
      expect(again.code).toBe(1);
      expect(JSON.parse(again.stderr)).toMatchObject({ error: { code: "onboarding_done" } });
    });

    it("logs in on a socket and prints the tokens", async () => {
      const args = ["login", gateway.url, "--username", "paula", "--password-stdin"];
      const grant = await gatehouseJson<{ access_token: string; refresh_token: string }>(args, { stdin });
      expect(grant).toMatchObject({ token_type: "Bearer", expires_in: 1800 });
      (await connected(grant.access_token)).close();

      const wrong = await gatehouse(args, { stdin: "wrong password\n" });
      expect(wrong).toMatchObject({ code: 1, stdout: "" });
      expect(wrong.stderr).toContain("Invalid username or password");
    });

    it("prints just the token, and revoking its session closes the socket with its code", async () => {
      const args = ["tokens", "issue", "--user", "paula", "--name", "plain", ...where];
      const { stdout } = await gatehouse(args);
      expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
      const socket = await connected(stdout.trim());
      const sessions = await gatehouseJson<{ id: string; client_name: string }[]>([
        "sessions",
        "list",
        ...where,
      ]);
      const session = sessions.find(({ client_name }) => client_name === "plain");
      await gatehouseJson(["revoke", "--session", session?.id ?? "", ...where]);
      expect(await socket.closed).toMatchObject({ code: 4301 });
    });

    it("shows, line by line, how a revocation comes into effect at the gateway", async () => {
      const one = await connected((await issue("waited for")).access_token);
      const { code, stdout, stderr } = await gatehouse([
        ...["revoke", "--user", "paula", "--wait", "--json", ...where],
      ]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      const lines = stdout.trim().split("\n");
      expect(lines.map((line) => (JSON.parse(line) as { effective: string }).effective).at(-1)).toBe("all");
      expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({
        nodes: { applied: 1, pending: 0, fenced: 0 },
        durability: kind === "embedded" ? "fsync" : "memory",
      });
      expect(await one.closed).toMatchObject({ code: 4301 });
      const everybody = await gatehouse(["revoke", "--all", "--wait", ...where]);
      expect(everybody.stdout).toMatch(
        /revoked every session; gateways: 1 applied, 0 pending, 0 fenced; .*effective: all\n$/,
      );
    });

    it("has its changes in the gateway's audit log, with who made them and what came of it", async () => {
      await gatehouse(["users", "add", "Rita", "--username", "rita", "--password-stdin", ...where], {
        stdin,
      });
      await gatehouse(["users", "remove", "rita", ...where]);
      const record = (name: string) =>
        gateway.output.stderr
          .split("\n")
          .find((line) => line.includes(`"audit":"${name}"`) && line.includes('"via":"command_line"'));
      await eventually("the record", () => record("user_removal") !== undefined);
      expect(JSON.parse(record("user_creation") ?? "")).toMatchObject({ outcome: "allowed", actor_id: null });
      expect(JSON.parse(record("user_removal") ?? "")).toMatchObject({ outcome: "allowed" });
      expect(gateway.output.stderr).not.toContain(password);
    });

    it("closes sockets on revoke of a user, passwd, deactivate and remove", async () => {
      const one = await connected((await issue("one")).access_token);
      await gatehouseJson(["revoke", "--user", "paula", ...where]);
      expect(await one.closed).toMatchObject({ code: 4301 });

      const two = await connected((await issue("two")).access_token);
      await gatehouseJson(["users", "passwd", "paula", "--password-stdin", ...where], { stdin });
      expect(await two.closed).toMatchObject({ code: 4305 });

      const add = ["users", "add", "Guest", "--username", "guest", "--password-stdin", ...where];
      await gatehouseJson(add, { stdin });
      const token = await gatehouse(["tokens", "issue", "--user", "guest", "--name", "t", ...where]);
      const three = await connected(token.stdout.trim());
      await gatehouseJson(["users", "deactivate", "guest", ...where]);
      expect(await three.closed).toMatchObject({ code: 4303 });

      await gatehouseJson(["users", "activate", "guest", ...where]);
      const fresh = await gatehouse(["tokens", "issue", "--user", "guest", "--name", "t2", ...where]);
      const four = await connected(fresh.stdout.trim());
      await gatehouseJson(["users", "remove", "guest", ...where]);
      expect(await four.closed).toMatchObject({ code: 4304 });
      const users = await gatehouseJson<{ username: string }[]>(["users", "list", ...where]);
      expect(users.map(({ username }) => username)).toEqual(["paula"]);
    });

    it("rotates keys: tokens from before and after verify outside, through the JWKS", async () => {
      const keys = createRemoteJWKSet(new URL(`${gateway.url}/.well-known/jwks.json`), {
        cooldownDuration: 0,
      });
      const expected = {
        issuer: gateway.url,
        audience: "gatehouse",
        typ: "at+jwt",
        algorithms: ["ES256"],
      };
      const before = await issue("before rotation");
      await jwtVerify(before.access_token, keys, expected);
      const added = await gatehouseJson<{ kid: string }>(["keys", "rotate", "--now", ...where]);
      const after = await issue("after rotation");
      const { protectedHeader } = await jwtVerify(after.access_token, keys, expected);
      expect(protectedHeader.kid).toBe(added.kid);
      await jwtVerify(before.access_token, keys, expected);
      for (const { access_token } of [before, after]) (await connected(access_token)).close();
      const list = await gatehouseJson<{ state: string }[]>(["keys", "list", ...where]);
      expect(list.map(({ state }) => state).sort()).toEqual(["active", "retired"]);
    });

    it("answers mistakes with a code on standard error and a fitting exit code", async () => {
      expect(await gatehouse(["users", "frobnicate"])).toMatchObject({ code: 2, stdout: "" });
      expect(await gatehouse(["revoke", ...where])).toMatchObject({ code: 2 });
      expect(await gatehouse(["users", "list", "--data", "/dev/null/none"])).toMatchObject({ code: 2 });
      const nobody = await gatehouse(["users", "deactivate", "nobody", "--json", ...where]);
      expect(nobody.code).toBe(1);
      expect(JSON.parse(nobody.stderr)).toMatchObject({ error: { code: "user_not_found" } });
      const away = ["--data", folder.path, "--store", "redis://127.0.0.1:1"];
      expect(await gatehouse(["users", "list", ...away])).toMatchObject({ code: 3 });
      const none = ["login", "http://127.0.0.1:1", "--username", "paula", "--password-stdin"];
      expect(await gatehouse(none, { stdin })).toMatchObject({ code: 3 });
      const noPassword = ["users", "add", "X", "--username", "x", ...where];
      expect(await gatehouse(noPassword, { stdin })).toMatchObject({ code: 2 });
    });

    it("refuses a second gateway on an embedded store, naming the first's pid", async () => {
      if (kind === "redis") {
        const env = { GATEHOUSE_TOKENS_ISSUER: gateway.url };
        const second = await serve(where, { env });
        expect(await second.kill("SIGTERM")).toBe(0);
        const other = await gatehouse(["serve", "--port", "0", ...where]);
        expect(other).toMatchObject({ code: 2, stdout: "" });
        expect(other.stderr).toMatch(/issue tokens as .*public_url/);
        return;
      }
      const second = await gatehouse(["serve", "--port", "0", ...where]);
      expect(second.code).toBe(1);
      expect(second.stderr).toContain(String(gateway.pid));
    });

    it("stops with exit code 0 on SIGTERM and starts again with everything", async () => {
      const token = (await issue("kept")).access_token;
      const socket = await connected(token);
      expect(await gateway.kill("SIGTERM")).toBe(0);
      expect(await socket.closed).toMatchObject({ code: 1001 });
      gateway = await serve(where);
      expect(gateway.setupLink).toBeNull();
      (await connected(token)).close();
    });

    it("never printed a secret", () => {
      const printed = gateway.output.stdout + gateway.output.stderr;
      expect(printed).not.toContain(password);
      expect(printed).not.toMatch(/eyJ[\w-]{10,}\.|ghr_/);
    });
  });
}

describe("gatehouse check", () => {
  it("prints the effective configuration with secrets masked, and refuses unknown keys", async () => {
    const env = { GATEHOUSE_SECRET: "an installation's secret, 32 characters" };
    const { code, stdout } = await gatehouse(["check", "--port", "9000"], { env });
    expect(code).toBe(0);
    expect(stdout).toContain("port: 9000");
    expect(stdout).not.toContain("installation's secret");
    const wrong = await gatehouse(["check"], { env: { GATEHOUSE_PROT: "1" } });
    expect(wrong).toMatchObject({ code: 2, stdout: "" });
    expect(wrong.stderr).toContain("GATEHOUSE_PROT");
  });
});
