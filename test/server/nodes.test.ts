import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { defineConfig } from "../../src/server/config/load.ts";
import { createGateway, type Gateway, type Started } from "../../src/server/gateway.ts";
import { cheapScrypt, ownerLogin } from "../support/authority.ts";
import { eventually } from "../support/eventually.ts";
import { sharedIssuer } from "../support/gateway.ts";
import { stretched } from "../support/machine-share.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { openSocket, UpgradeRefused } from "../support/socket-client.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";
import { within } from "../support/within.ts";

let redis: RedisServer;
let folder: TemporaryFolder;
const running: Gateway[] = [];
beforeAll(async () => {
  redis = await startRedis();
  folder = temporaryFolder();
});
afterEach(async () => {
  for (const gateway of running.splice(0)) await gateway.stop(0);
});
afterAll(async () => {
  await redis?.stop();
  folder?.remove();
});

interface Node extends Started {
  readonly gateway: Gateway;
}

async function node(more: Parameters<typeof defineConfig>[0] = {}): Promise<Node> {
  const gateway = await createGateway(
    defineConfig({
      port: 0,
      data: folder.path,
      store: redis.url,
      password: { scrypt_n: cheapScrypt.N, workers: 1 },
      log: { level: "silent" },
      tokens: { issuer: sharedIssuer },
      ...more,
    }),
  );
  running.push(gateway);
  return { gateway, ...(await gateway.start()) };
}

async function ownerSession({ gateway }: Node) {
  const { onboarding, users, credentials, sessions } = gateway.authority;
  if (await onboarding.required())
    await onboarding.createOwner({ setupCode: await onboarding.setupCode(), ...ownerLogin });
  const owner = (await users.list()).find(({ isOwner }) => isOwner);
  const found = await users.read(owner?.id ?? "");
  const [credential = null] = await credentials.list(owner?.id ?? "");
  if (found === undefined) throw new Error("no owner");
  return await sessions.open({
    user: found.user,
    userVersion: found.version,
    userEpoch: found.epoch,
    credential,
    clientId: null,
    clientName: null,
    rotates: false,
    assurance: 1,
    amr: ["pwd"],
    authenticatedAt: Date.now(),
    peer: { address: "127.0.0.1" },
  });
}

const ready = async ({ url }: Node) => {
  const answer = await fetch(`${url}/readyz`);
  return { status: answer.status, ...((await answer.json()) as { reasons: string[] }) };
};
describe.each(["ws", "uws"] as const)("two nodes on one Redis, %s", (transport) => {
  it("accept each other's tokens and apply each other's revocations", async () => {
    const [a, b] = [await node({ transport }), await node({ transport })];
    const { accessToken, refreshToken } = await ownerSession(a);
    const socket = await openSocket(b.port);
    expect(await socket.authenticate(accessToken)).toMatchObject({ type: "auth_ok" });
    const body = new URLSearchParams({ token: refreshToken });
    expect((await fetch(`${a.url}/auth/revoke`, { method: "POST", body })).status).toBe(200);
    expect(await within(socket.closed, "the other node's cut")).toMatchObject({ code: 4301 });
    const again = await openSocket(b.port);
    expect(await again.authenticate(accessToken)).toMatchObject({ type: "auth_invalid" });
  });

  it("trust forwarded addresses of configured proxies only", async () => {
    const open = await node({ transport });
    const behind = await node({ transport, trusted_proxies: ["127.0.0.1/32"] });
    const { accessToken } = await ownerSession(open);
    const authorization = `Bearer ${accessToken}`;
    const forwarded = { "x-forwarded-for": "192.168.1.20" };
    const probe = async (headers: Record<string, string>) =>
      (await fetch(`${open.url}/api/`, { headers: { ...headers, authorization } })).status;
    const owner = (await open.gateway.authority.users.list()).find(({ isOwner }) => isOwner);
    await open.gateway.authority.users.update(owner?.id ?? "", { localOnly: true });
    expect(await probe({})).toBe(200);
    expect(await probe(forwarded)).toBe(401);
    const through = await openSocket(behind.port, { headers: { "x-forwarded-for": "203.0.113.7" } });
    expect(await through.authenticate(accessToken)).toMatchObject({ type: "auth_invalid" });
    const direct = await openSocket(open.port);
    expect(await direct.authenticate(accessToken)).toMatchObject({ type: "auth_ok" });
    const unlisted = await openSocket(open.port, { headers: forwarded });
    expect(await unlisted.authenticate(accessToken)).toMatchObject({ type: "auth_invalid" });
    const local = await openSocket(behind.port, { headers: forwarded });
    expect(await local.authenticate(accessToken)).toMatchObject({ type: "auth_ok" });
    await open.gateway.authority.users.update(owner?.id ?? "", { localOnly: false });
  });
});

describe("Redis away", () => {
  it("is a temporary fault everywhere, and ends when Redis is back", async () => {
    const it = await node();
    const { accessToken, refreshToken } = await ownerSession(it);
    const socket = await openSocket(it.port);
    expect(await socket.authenticate(accessToken)).toMatchObject({ type: "auth_ok" });
    expect(await ready(it)).toMatchObject({ status: 200, reasons: [] });

    redis.pause();
    const fields = { grant_type: "refresh_token", refresh_token: refreshToken };
    const post = async (path: string, form: Record<string, string>) => {
      const began = performance.now();
      const answer = await fetch(it.url + path, { method: "POST", body: new URLSearchParams(form) });
      expect(performance.now() - began).toBeLessThan(stretched(2000));
      return { status: answer.status, retry: answer.headers.get("retry-after"), text: await answer.text() };
    };
    const away = { status: 503, retry: "1" };
    expect(await post("/auth/token", fields)).toMatchObject({
      ...away,
      text: expect.stringContaining("temporarily"),
    });
    expect(await post("/auth/revoke", { token: refreshToken })).toMatchObject(away);
    await eventually("the feed to be out of step", async () =>
      (await ready(it)).reasons.includes("revocation_not_followed"),
    );
    expect(await ready(it)).toMatchObject({
      status: 503,
      reasons: ["store_unavailable", "revocation_not_followed"],
    });
    const headers = { authorization: `Bearer ${accessToken}` };
    expect((await fetch(`${it.url}/api/`, { headers })).status).toBe(503);
    const stranger = await openSocket(it.port).catch((error: unknown) => error);
    if (!(stranger instanceof UpgradeRefused)) {
      const { closed, send } = stranger as Awaited<ReturnType<typeof openSocket>>;
      send.call(stranger, { type: "auth", access_token: accessToken });
      expect(await within(closed, "the close")).toMatchObject({ code: 4100 });
    }
    expect((await fetch(`${it.url}/healthz`)).status).toBe(200);

    redis.resume();
    await eventually("readiness", async () => (await ready(it)).status === 200);
    expect(await post("/auth/token", fields)).toMatchObject({ status: 200 });
    expect((await fetch(`${it.url}/api/`, { headers })).status).toBe(200);
  });
});

it("a node with another secret does not start, and reports why", async () => {
  await node();
  const other = node({ secret: "another secret of thirty-two or more characters" });
  await expect(other).rejects.toThrow("the store is sealed with another secret than that of secret");
});
