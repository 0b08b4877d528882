import { chmodSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, describe, expect, it } from "vitest";

import type { SocketHandler } from "../../src/connection/socket.ts";
import type { ConfigInput } from "../../src/server/config/schema.ts";
import type { GatewayParts } from "../../src/server/gateway.ts";
import { createMemoryTransport } from "../../src/transport/memory.ts";
import { command } from "../cli/command-in-process.ts";
import { setUpOwner, startNode } from "../support/gateway.ts";
import { quickLogin, withoutFlow } from "../support/quick-login.ts";
import { startRedis } from "../support/redis-server.ts";
import { type Message, openSocket } from "../support/socket-client.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { within } from "../support/within.ts";

const ends: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

type Providers = NonNullable<ConfigInput["auth_providers"]>;

function folder(): string {
  const made = temporaryFolder();
  ends.push(() => made.remove());
  return made.path;
}

async function start(auth_providers: Providers, more: ConfigInput = {}, parts: GatewayParts = {}) {
  const gateway = await startNode({ auth_providers, ...more }, parts);
  ends.push(() => gateway.stop());
  return { ...gateway, owner: await setUpOwner(gateway.authority) };
}

/** A command that lets in whoever gives the password `right`, and says what the file `meta` in its folder has. */
function checker(at: string): string {
  const file = path.join(at, "check.sh");
  writeFileSync(
    file,
    `#!/bin/sh\n[ "$password" = right ] || exit 1\n[ ! -e ${at}/meta ] || /bin/cat ${at}/meta\n`,
  );
  chmodSync(file, 0o700);
  return file;
}

const right = { username: "ada", password: "right" };
const local = { type: "homeassistant" } as const;

describe.each(["embedded on ws", "redis on uws"])("a command's people (%s)", (kind) => {
  async function open(providers: (file: string, at: string) => Providers) {
    const at = folder();
    const redis = kind.startsWith("redis") ? await startRedis() : undefined;
    if (redis !== undefined) ends.push(() => redis.dispose());
    const more: ConfigInput = redis === undefined ? {} : { store: redis.url, transport: "uws" };
    return { at, ...(await start(providers(checker(at), at), more)) };
  }

  it("wait for approval at first, and are in afterwards; name, group and local_only follow every login", async () => {
    const { at, port, authority } = await open((file) => [
      local,
      { type: "command_line", command: file, meta: true },
    ]);
    const meta = (text: string) => writeFileSync(path.join(at, "meta"), text);
    meta("name = Ada\ngroup = system-read-only\nlocal_only = true\n");
    const first = await quickLogin(port, ["command_line", null], right);
    expect(first.step).toMatchObject({ type: "progress", progress_action: "wait_for_approval" });
    const [waiting] = await authority.approvals.list();
    expect(waiting).toMatchObject({ subject: "ada", name: "Ada", provider: ["command_line", null] });
    await authority.approvals.approve(waiting?.userId ?? "");
    await first.socket.find(({ type }) => type === "auth_ok", "auth_ok");
    const user = async () => (await authority.users.read(waiting?.userId ?? ""))?.user;
    expect(await user()).toMatchObject({ name: "Ada", groupIds: ["system-read-only"], localOnly: true });
    meta("name = Ada L.\ngroup = system-users\nlocal_only = false\n");
    const second = await quickLogin(port, ["command_line", null], right);
    expect(await second.me()).toMatchObject({ id: waiting?.userId, name: "Ada L." });
    expect(await user()).toMatchObject({ groupIds: ["system-users"], localOnly: false });
    meta("group = no-such-group\n");
    await quickLogin(port, ["command_line", null], right);
    expect(await user()).toMatchObject({ name: "Ada L.", groupIds: [] });
    first.socket.close();
    second.socket.close();
  });

  it("read the same refusal, whether they are unknown, pending or deactivated", async () => {
    const { port, authority } = await open((file) => [local, { type: "command_line", command: file }]);
    const wrong = (username: string) =>
      quickLogin(port, ["command_line", null], { username, password: "wrong" });
    const names = ["pending", "active", "gone"];
    for (const username of names)
      await quickLogin(port, ["command_line", null], { username, password: "right" });
    for (const { userId, subject } of await authority.approvals.list()) {
      if (subject === "pending") continue;
      await authority.approvals.approve(userId);
      if (subject === "gone") await authority.users.update(userId, { isActive: false });
    }
    const frames = await Promise.all(["unknown", ...names].map(wrong));
    const [unknown] = frames.map(({ step }) => withoutFlow(step));
    expect(unknown).toMatchObject({ type: "form", errors: { base: "invalid_auth" } });
    for (const { step } of frames) expect(withoutFlow(step)).toEqual(unknown);
    const gone = await quickLogin(port, ["command_line", null], { username: "gone", password: "right" });
    expect(withoutFlow(gone.step)).toEqual(unknown);
  });
});

it("the same name at two commands is two users", async () => {
  const new_users = { activate: true };
  const { port } = await start([
    local,
    { type: "command_line", id: "a", command: checker(folder()), new_users },
    { type: "command_line", id: "b", command: checker(folder()), new_users },
  ]);
  const [a, b] = [
    await quickLogin(port, ["command_line", "a"], right),
    await quickLogin(port, ["command_line", "b"], right),
  ];
  expect(await a.me()).toMatchObject({ name: "ada" });
  expect((await b.me()).id).not.toBe((await a.me()).id);
});

describe("people on trusted networks", () => {
  const [inside, outside] = ["127.0.0.5", "127.0.0.6"];
  const trusted = { type: "trusted_networks", trusted_networks: [`${inside}/32`] } as const;

  it.each(["ws", "uws"] as const)(
    "say who they are, and what they got works there only (%s)",
    async (transport) => {
      const { port, owner, url } = await start([local, trusted], { transport });
      const types = async (from: string, headers = {}) => {
        const socket = await openSocket(port, { from, headers });
        const { providers } = (await socket.call("auth/providers")).result as {
          providers: { type: string }[];
        };
        socket.close();
        return providers.map(({ type }) => type);
      };
      expect(await types(inside)).toEqual(["homeassistant", "trusted_networks"]);
      expect(await types(outside)).toEqual(["homeassistant"]);
      expect(await types(outside, { "x-forwarded-for": inside })).toEqual(["homeassistant"]);
      expect(await types(inside, { "x-forwarded-for": inside })).toEqual(["homeassistant"]);

      const handler = ["trusted_networks", null] as const;
      const refused = await quickLogin(port, handler, { user: owner.id }, { from: outside });
      expect(refused.step).toMatchObject({ type: "abort", reason: "not_allowed" });
      const { socket, step, me } = await quickLogin(port, handler, { user: owner.id }, { from: inside });
      expect(await me()).toMatchObject({ id: owner.id });
      const { access_token, refresh_token } = step.result as Record<string, string>;
      const connect = async (from: string) => {
        const other = await openSocket(port, { from });
        ends.push(() => other.terminate());
        return await other.authenticate(access_token ?? "");
      };
      expect(await connect(inside)).toMatchObject({ type: "auth_ok" });
      expect(await connect(outside)).toMatchObject({ type: "auth_invalid" });
      const refresh = async (from: string) => {
        const other = await openSocket(port, { from });
        ends.push(() => other.terminate());
        return await other.call("auth/login/refresh", { refresh_token });
      };
      expect(await refresh(outside)).toMatchObject({ success: false });
      expect(await refresh(inside)).toMatchObject({ success: true });
      const body = new URLSearchParams({ grant_type: "refresh_token", refresh_token: refresh_token ?? "" });
      expect((await fetch(`${url}/auth/token`, { method: "POST", body })).ok).toBe(false);
      socket.close();
    },
  );

  it("are not a proxy, and are believed behind one", async () => {
    const { port, owner } = await start([local, { ...trusted, trusted_networks: ["127.0.0.0/8"] }], {
      trusted_proxies: ["127.0.0.9"],
    });
    const login = async (from: string, forwarded?: string) => {
      const headers: Record<string, string> = forwarded === undefined ? {} : { "x-forwarded-for": forwarded };
      const { socket, step } = await quickLogin(
        port,
        ["trusted_networks", null],
        { user: owner.id },
        { from, headers },
      );
      ends.push(() => socket.terminate());
      return step.type;
    };
    expect(await login("127.0.0.9")).toBe("abort");
    expect(await login("127.0.0.9", "203.0.113.4")).toBe("abort");
    expect(await login("127.0.0.9", "127.0.0.5")).toBe("create_entry");
    expect(await login("127.0.0.5")).toBe("create_entry");
    expect(await login("127.0.0.5", "127.0.0.6")).toBe("abort");
  });
});

describe("people whom a proxy has authenticated", () => {
  const [proxy, stranger] = ["127.0.0.9", "127.0.0.8"];
  const entry = {
    type: "header",
    proxies: [proxy],
    name_header: "Remote-Name",
    ascii_only: true,
    new_users: { activate: true },
  } as const;
  const handler = ["header", null] as const;

  it.each(["ws", "uws"] as const)("are in with the start, and nobody else is (%s)", async (transport) => {
    const { port, authority } = await start([local, entry], { transport, trusted_proxies: ["127.0.0.0/8"] });
    const login = async (from: string, headers: Readonly<Record<string, string | string[]>>) => {
      const { socket, step, me } = await quickLogin(port, handler, undefined, { from, headers });
      ends.push(() => socket.terminate());
      return step.type === "create_entry" ? (await me()).name : step.reason;
    };
    const ada = { "remote-user": "ada", "remote-name": "Ad\u00e9 L." };
    const bytes = { ...ada, "remote-name": Buffer.from(ada["remote-name"]).toString("latin1") };
    expect(await login(proxy, bytes)).toBe("Ad\u00e9 L.");
    expect(await login(proxy, { "Remote-User": "ada", "x-forwarded-for": "203.0.113.5" })).toBe(
      "Ad\u00e9 L.",
    );
    expect(await authority.users.list()).toHaveLength(2);
    expect(await login(stranger, ada)).toBe("not_allowed");
    expect(await login(stranger, { ...ada, "x-forwarded-for": proxy })).toBe("not_allowed");
    expect(await login(proxy, { "remote-user": ["ada", "eve"] })).toBe("identity_invalid");
    expect(await login(proxy, { "remote-user": "eve, ada" })).toBe("identity_invalid");
    expect(await login(proxy, { "remote-users": "ada" })).toBe("identity_missing");
  });

  it("are in on the transport in memory", async () => {
    const transport = createMemoryTransport();
    await start([local, { ...entry, proxies: ["10.0.0.2"] }], {}, { transport });
    const login = async (address: string) => {
      const messages: Message[] = [];
      let heard: () => void = () => undefined;
      const client: SocketHandler = {
        message: (frame) => {
          messages.push(JSON.parse(String(frame)) as Message);
          heard();
        },
        drained: () => undefined,
        ping: () => undefined,
        pong: () => undefined,
        fragments: () => undefined,
        closed: () => undefined,
      };
      const connection = transport.connect(client, { address, headers: { "remote-user": "ada" } });
      if (!connection.accepted) throw new Error("refused");
      const answered = new Promise<Message>((resolve) => {
        heard = () => {
          const answer = messages.find(({ id }) => id === 1);
          if (answer !== undefined) resolve(answer);
        };
      });
      connection.peer.send(JSON.stringify({ id: 1, type: "auth/login/start", handler }));
      const { result } = await within(answered, "the answer");
      connection.peer.terminate();
      return result as Message;
    };
    expect(await login("10.0.0.2")).toMatchObject({ type: "create_entry" });
    expect(await login("10.0.0.3")).toMatchObject({ type: "abort", reason: "not_allowed" });
  });
});

it("gatehouse check, and a start, name credentials without a provider and users that do not exist", async () => {
  const data = folder();
  const unknown = "9".repeat(32);
  const before: Providers = [local, { type: "command_line", id: "staff", command: checker(folder()) }];
  const after: Providers = [
    local,
    { type: "trusted_networks", trusted_networks: ["10.0.0.0/8"], trusted_users: { "10.0.0.0/8": unknown } },
  ];
  const env = {
    GATEHOUSE_DATA: data,
    GATEHOUSE_SECRET: "a secret that the tests' gateways share",
    GATEHOUSE_AUTH_PROVIDERS: JSON.stringify(after),
  };
  expect(await command(["check"], env)).toMatchObject({
    code: 0,
    stdout: expect.not.stringContaining("warning"),
  });
  const first = await startNode({ data, auth_providers: before });
  await setUpOwner(first.authority);
  const { socket } = await quickLogin(first.port, ["command_line", "staff"], right);
  socket.close();
  await first.stop();
  const warnings = [
    `the provider trusted_networks: trusted_users names ${unknown}, which is no user`,
    "1 credential of the provider command_line (id staff), which is not configured: nobody can log in with it",
  ];
  const checked = await command(["check", "--json"], env);
  expect((JSON.parse(checked.stdout) as Message).warnings).toEqual(warnings);
  for (const warning of warnings)
    expect((await command(["check"], env)).stdout).toContain(`# warning: ${warning}\n`);

  const lines: string[] = [];
  const note = (_: object, message: string) => lines.push(message);
  const log = { debug: note, info: note, warn: note, error: note, flush: () => Promise.resolve(true) };
  const second = await startNode({ data, auth_providers: after }, { log });
  await expect
    .poll(() => lines.filter((line) => warnings.includes(line)), { timeout: 60_000 })
    .toEqual(warnings);
  const gone = await quickLogin(second.port, ["command_line", "staff"]);
  expect(gone.step).toMatchObject({ code: "invalid_handler" });
  gone.socket.close();
  await second.stop();
});
