import { EventEmitter } from "node:events";
import { connect } from "node:net";
import { afterEach, describe, expect, it } from "vitest";

import { defineConfig } from "../../src/server/config/load.ts";
import { createGateway, type Gateway } from "../../src/server/gateway.ts";
import { type ProcessEvents, runGateway } from "../../src/server/process-signals.ts";
import { cheapScrypt } from "../support/authority.ts";
import { startProcess, type TestProcess } from "../support/child-process.ts";
import { openSocket } from "../support/socket-client.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { within } from "../support/within.ts";

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

interface Serving {
  readonly process: TestProcess;
  readonly url: string;
  readonly port: number;
  readonly trouble: number;
}

const password = { scrypt_n: cheapScrypt.N, workers: 1 };

async function serve(options: object = {}): Promise<Serving> {
  const folder = temporaryFolder();
  undo.push(() => folder.remove());
  const config = { port: 0, data: folder.path, password, limits: { shutdown_grace_ms: 400 }, ...options };
  const script = new URL("./serve-process.ts", import.meta.url);
  const process = startProcess({ script, args: [JSON.stringify(config)] });
  undo.push(async () => {
    process.kill("SIGKILL");
    await process.exited;
  });
  return { process, ...JSON.parse(await process.line(/^\{/)) };
}

const logged = (process: TestProcess) =>
  process.stderr
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe("a process", () => {
  it.each(["SIGTERM", "SIGINT"] as const)("drains on %s and exits 0", async (signal) => {
    const { process, port } = await serve();
    const socket = await openSocket(port);
    process.kill(signal);
    expect(await within(socket.closed, "the close")).toMatchObject({ code: 1001 });
    expect(await within(process.exited, "the exit")).toBe(0);
    expect(process.lines.at(-1)).toBe("ended 0");
    expect(logged(process).map(({ msg }) => msg)).toEqual(
      expect.arrayContaining(["serving", "stopping", "stopped"]),
    );
  });

  it("continues after SIGHUP without TLS, and logs that there is nothing to renew", async () => {
    const { process, url } = await serve();
    process.kill("SIGHUP");
    await within(written(process, "there is no TLS certificate to renew"), "the word of it");
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    process.kill("SIGTERM");
    expect(await within(process.exited, "the exit")).toBe(0);
  });

  it("on uws does the same", async () => {
    const { process, port } = await serve({ transport: "uws" });
    const socket = await openSocket(port);
    process.kill("SIGTERM");
    expect(await within(socket.closed, "the close")).toMatchObject({ code: 1001 });
    expect(await within(process.exited, "the exit")).toBe(0);
  });

  it("exits at once on a second signal", async () => {
    const { process, port } = await serve({ limits: { shutdown_grace_ms: 600_000 } });
    // A request whose body never arrives delays the first stop.
    const request = connect(port, "127.0.0.1");
    undo.push(() => request.destroy());
    request.write("POST /auth/token HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\na");
    await openSocket(port);
    process.kill("SIGTERM");
    await within(written(process, '"stopping"'), "the first signal");
    const again = setInterval(() => process.kill("SIGTERM"), 100);
    undo.push(() => clearInterval(again));
    expect(await within(process.exited, "the exit")).toBe(143);
  });

  it("treats two signals at the same moment as one", async () => {
    const { process, port } = await serve();
    const request = connect(port, "127.0.0.1");
    undo.push(() => request.destroy());
    request.write("POST /auth/token HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\na");
    const socket = await openSocket(port);
    process.kill("SIGINT");
    process.kill("SIGTERM");
    expect(await within(socket.closed, "the close")).toMatchObject({ code: 1001 });
    expect(await within(process.exited, "the exit")).toBe(0);
  });

  it("continues after an unhandled rejection, and counts it", async () => {
    const { url, trouble } = await serve();
    expect(await (await fetch(`http://127.0.0.1:${trouble}/rejection`)).text()).toBe("ws");
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain('gatehouse_defects_total{where="unhandled_rejection"} 1');
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
  });

  it("closes its sockets and exits 1 after an uncaught exception", async () => {
    const { process, port, trouble } = await serve();
    const socket = await openSocket(port);
    await fetch(`http://127.0.0.1:${trouble}/exception`);
    expect(await within(socket.closed, "the close")).toMatchObject({ code: 1001 });
    expect(await within(process.exited, "the exit")).toBe(1);
    expect(logged(process).find(({ level }) => level === "error")).toMatchObject({
      err: { message: "nobody catches this" },
    });
  });

  it("writes no set-up code to its log", async () => {
    const { process } = await serve({ log: { level: "debug" } });
    const line = process.lines.find((text) => text.startsWith("{")) ?? "";
    const { setupLink, url } = JSON.parse(line) as { setupLink: string; url: string };
    const code = new URL(setupLink).hash.slice("#code=".length);
    await fetch(`${url}/setup`);
    process.kill("SIGTERM");
    await within(process.exited, "the exit");
    expect(code.length).toBeGreaterThan(15);
    expect(process.stderr).not.toContain(code);
  });
});

async function written(process: TestProcess, text: string): Promise<void> {
  while (!process.stderr.includes(text)) await new Promise((resolve) => setTimeout(resolve, 10));
}

describe("runGateway", () => {
  const events = () => new EventEmitter() as unknown as ProcessEvents & EventEmitter;
  const config = (data: string, port = 0) =>
    defineConfig({ port, data, password, log: { level: "silent" }, limits: { shutdown_grace_ms: 0 } });

  it("leaves no handler behind", async () => {
    const folder = temporaryFolder();
    undo.push(() => folder.remove());
    const process = events();
    let gateway: Gateway | undefined;
    const code = await runGateway(config(folder.path), {
      process,
      exit: () => undefined,
      announce: (_, running) => {
        gateway = running;
        expect(process.eventNames()).toHaveLength(5);
        process.emit("SIGTERM", "SIGTERM");
      },
    });
    expect(code).toBe(0);
    expect(process.eventNames()).toEqual([]);
    expect(await gateway?.health.ready()).toMatchObject({ ready: false });
  });

  it("rejects, with everything closed, if the gateway cannot start", async () => {
    const folder = temporaryFolder();
    undo.push(() => folder.remove());
    const process = events();
    const announce = () => expect.unreachable();
    const options = { process, exit: () => undefined, announce };
    const blocked = { ...config(folder.path), host: "203.0.113.1" };
    await expect(runGateway(blocked, options)).rejects.toThrow();
    await expect(runGateway(blocked, options)).rejects.not.toThrow(/in use by process/);
    expect(process.eventNames()).toEqual([]);
  });

  it("reports that Redis cannot be reached", async () => {
    const folder = temporaryFolder();
    undo.push(() => folder.remove());
    const away = { ...config(folder.path), store: "redis://u:canary@127.0.0.1:1" };
    const options = { process: events(), exit: () => undefined, announce: () => expect.unreachable() };
    const error = await runGateway(away, options).catch((reason: unknown) => reason);
    expect(String(error)).toContain("cannot use Redis at redis://***@127.0.0.1:1");
    expect(String(error)).not.toContain("canary");
  });
});

describe("a stop while commands are running", () => {
  const stdin = "correct horse battery";
  it.each(["ws", "uws"] as const)(
    "answers them first, starts nothing new, then closes: %s",
    async (transport) => {
      const folder = temporaryFolder();
      const gateway = await createGateway(
        defineConfig({
          port: 0,
          data: folder.path,
          transport,
          log: { level: "silent" },
          // Slow enough that the stop comes while passwords are hashed.
          password: { scrypt_n: 32_768, workers: 1 },
        }),
      );
      undo.push(async () => {
        await gateway.stop(0);
        folder.remove();
      });
      const { port } = await gateway.start();
      const { authority } = gateway;
      const people = await Promise.all(
        [0, 1, 2].map(async (n) => {
          const user = await authority.localLogins.createUser({
            name: `p${n}`,
            username: `p${n}`,
            password: stdin,
            groupIds: ["system-users"],
          });
          const found = await authority.users.read(user.id);
          if (found === undefined) throw new Error("no user");
          const { accessToken } = await authority.sessions.open({
            user: found.user,
            userVersion: found.version,
            userEpoch: found.epoch,
            credential: null,
            clientId: null,
            clientName: null,
            rotates: false,
            assurance: 1,
            amr: ["pwd"],
            authenticatedAt: Date.now(),
            peer: { address: "127.0.0.1" },
          });
          const socket = await openSocket(port);
          await socket.authenticate(accessToken);
          return socket;
        }),
      );
      const change = { current_password: stdin, new_password: "another horse, another battery" };
      const type = "config/auth_provider/homeassistant/change_password";
      for (const socket of people) {
        socket.send({ id: 1, type, ...change });
        socket.send({ id: 2, type: "auth/refresh_tokens" });
        // The first is running when the second is answered.
        await socket.find(({ id }) => id === 2, "the second answer");
      }
      const stopped = gateway.stop(60_000);
      people[0]?.send({ id: 3, type: "auth/current_user" });
      for (const [place, socket] of people.entries()) {
        const answers = new Map<unknown, unknown>();
        for (;;) {
          const message = (await socket.next().catch(() => undefined)) as { id?: unknown } | undefined;
          if (message === undefined) break;
          answers.set(message.id, message);
        }
        expect(answers.get(1)).toMatchObject({ success: true });
        if (place === 0)
          expect(answers.get(3)).toMatchObject({ error: { code: "unavailable", retry_after: 1 } });
        expect(await within(socket.closed, "the close")).toMatchObject({ code: 1001 });
      }
      await stopped;
    },
  );
});
