import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { setUpOwner, startGateway, startNode } from "../support/gateway.ts";
import { startRedis } from "../support/redis-server.ts";
import { callback, newCode, registration, sendForm } from "../support/registered-app.ts";
import { openSocket } from "../support/socket-client.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";
import { within } from "../support/within.ts";

let folder: TemporaryFolder;
beforeEach(() => {
  folder = temporaryFolder();
});
const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  folder.remove();
});

function file(name: string, text: string): string {
  const place = path.join(folder.path, name);
  writeFileSync(place, text);
  return place;
}
const secret = "a secret of the operator, long enough to be one";
const start = (clients: object[]) =>
  startGateway({ store: "embedded", transport: "ws", config: { clients: clients as never } });

describe("clients of the configuration", () => {
  it("authenticate with what is in their file, and no command changes them", async () => {
    const gateway = await start([
      {
        client_id: "app",
        name: "The app",
        redirect_uris: [callback],
        secret_file: file("app.secret", `${secret}\n`),
      },
    ]);
    try {
      const tokens = await sendForm(`${gateway.url}/auth/token`, await newCode(gateway), ["app", secret]);
      expect(tokens).toMatchObject({ status: 200, body: { scope: "openid profile" } });
      const { clients } = gateway.authority;
      expect((await clients.page({ after: undefined, limit: 1 })).clients).toMatchObject([
        { id: "app", source: "configuration" },
      ]);
      const {
        find: _,
        page: __,
        all: ___,
        endWhatConfigurationTook: ____,
        watch: _____,
        ...changing
      } = clients;
      const own = await clients.find("app");
      if (own === undefined) throw new Error("no client");
      for (const [name, change] of Object.entries({
        ...changing,
        register: () => clients.register(own),
      }))
        await expect(
          (change as (id: string, changes: object) => Promise<unknown>)("app", {}),
          name,
        ).rejects.toMatchObject({
          code: expect.stringMatching(/client_configured|client_exists/),
        });
    } finally {
      await gateway.stop();
    }
  });

  it.each<[string, string, (files: { secret: string; short: string; keys: string }) => object[]]>([
    [
      "a file that is not there",
      "entry 1 has a secret_file that cannot be read: ENOENT",
      () => [{ client_id: "a", secret_file: "/nowhere/x" }],
    ],
    [
      "a short secret",
      "entry 1 has a secret of less than 32 characters",
      ({ short }) => [{ client_id: "a", secret_file: short }],
    ],
    [
      "two ways to authenticate",
      "entry 1 has a secret_file and a keys_file",
      ({ secret, keys }) => [{ client_id: "a", secret_file: secret, keys_file: keys }],
    ],
    [
      "keys that are none",
      "entry 1 has a keys_file that is no JWKS",
      ({ short }) => [{ client_id: "a", keys_file: short }],
    ],
    [
      "the same id twice",
      "entry 2 has the client id of another entry",
      () => [{ client_id: "a", grant_types: [] }, { client_id: "a" }],
    ],
    [
      "no redirect URI",
      "entry 1 is wrong: A client with the grant type authorization_code needs a redirect URI.",
      () => [{ client_id: "a" }],
    ],
  ])("keep the gateway from starting with %s", async (_, message, entries) => {
    const files = { secret: file("s", secret), short: file("t", "short"), keys: file("k", '{"keys":[]}') };
    await expect(start(entries(files))).rejects.toThrow(message);
  });
});

describe("a client that the configuration takes away or narrows", () => {
  const app = (changes: object = {}) => ({
    client_id: "app",
    redirect_uris: [callback],
    scopes: ["openid", "profile", "api"],
    secret_file: file("app.secret", secret),
    ...changes,
  });
  /** One node after another on one store, each with clients of its own; `login` opens a session of the app at the first. */
  async function nodes(...configurations: object[][]) {
    const redis = await startRedis();
    cleanUps.push(() => redis.dispose());
    const start = async (clients: object[]) => {
      const node = await startNode({ store: redis.url, clients: clients as never });
      cleanUps.push(() => node.stop());
      return node;
    };
    const [first, ...others] = configurations;
    const node = await start(first ?? []);
    const owner = await setUpOwner(node.authority);
    const login = async (own = secret) => {
      const code = await newCode({ url: node.url, owner }, { scope: "openid profile api" });
      const { body } = await sendForm(`${node.url}/auth/token`, code, ["app", own]);
      const socket = await openSocket(node.port);
      expect(await socket.authenticate(body.access_token ?? "")).toMatchObject({ type: "auth_ok" });
      return { socket, token: body.access_token ?? "", refreshToken: body.refresh_token ?? "" };
    };
    return { node, login, next: async () => await start(others.shift() ?? []) };
  }
  const answerAt = async ({ port }: { port: number }, token: string) => {
    const socket = await openSocket(port);
    const { type } = await socket.authenticate(token);
    socket.close();
    return type;
  };

  it.each<[string, () => object[]]>([
    ["is gone", () => []],
    ["has fewer scopes", () => [app({ scopes: ["openid", "profile"] })]],
    ["has fewer grants", () => [app({ grant_types: ["authorization_code"] })]],
  ])("loses its sessions on every node once it %s, with their sockets and refreshes", async (_, clients) => {
    const { node, login, next } = await nodes([app()], clients());
    const { socket, token, refreshToken } = await login();
    const started = await next();
    expect(await within(socket.closed, "the end of the socket")).toMatchObject({ code: 4301 });
    expect([await answerAt(node, token), await answerAt(started, token)]).toEqual([
      "auth_invalid",
      "auth_invalid",
    ]);
    const refresh = { grant_type: "refresh_token", refresh_token: refreshToken };
    expect((await sendForm(`${node.url}/auth/token`, refresh, ["app", secret])).status).toBe(400);
  });

  it("takes the sessions of a client of the store that it hides, if that one may do more", async () => {
    const { node, login, next } = await nodes([], [app({ scopes: ["openid"] })]);
    const { clients } = node.authority;
    await clients.register({ ...registration, id: "app" });
    const { secret: stored } = await clients.renewSecret("app");
    const { socket, token, refreshToken } = await login(stored ?? "");
    const started = await next();
    expect(await within(socket.closed, "the end of the socket")).toMatchObject({ code: 4301 });
    expect(await answerAt(started, token)).toBe("auth_invalid");
    // What the other node opens after that gets no more at this one than the client has here.
    const late = await login(stored ?? "");
    const refresh = { grant_type: "refresh_token", refresh_token: late.refreshToken };
    expect(await sendForm(`${started.url}/auth/token`, refresh, ["app", secret])).toMatchObject({
      status: 200,
      body: { scope: "openid" },
    });
    const ended = { grant_type: "refresh_token", refresh_token: refreshToken };
    expect((await sendForm(`${started.url}/auth/token`, ended, ["app", secret])).status).toBe(400);
  });

  it("loses what a node with the older configuration opened during the restart, too", async () => {
    const { login, next } = await nodes([app()], [], []);
    await next();
    const { socket } = await login();
    await next();
    expect(await within(socket.closed, "the end of the socket")).toMatchObject({ code: 4301 });
  });

  it("keeps everything when it may do as much as before, or more", async () => {
    const { node, login, next } = await nodes(
      [app()],
      [app({ resources: ["https://backend.example/"] })],
      [app()],
    );
    const { socket, token } = await login();
    const started = await next();
    expect([await answerAt(node, token), await answerAt(started, token)]).toEqual(["auth_ok", "auth_ok"]);
    expect(await socket.call("ping")).toMatchObject({ type: "pong" });
    // From more to less: it is narrower now.
    await next();
    expect(await within(socket.closed, "the end of the socket")).toMatchObject({ code: 4301 });
  });
});
