import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { afterEach, describe, expect, it } from "vitest";

import { setUpOwner, startGateway, startNode } from "../support/gateway.ts";
import { startRedis } from "../support/redis-server.ts";
import { newCode, registerApp, sendForm } from "../support/registered-app.ts";
import { within } from "../support/within.ts";

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** A client's endpoint. It answers with these statuses in turn, and then with 200. */
async function endpoint(...statuses: number[]) {
  const received: string[] = [];
  const waiting: (() => void)[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    received.push(new URLSearchParams(body).get("logout_token") ?? "");
    response.writeHead(statuses.shift() ?? 200).end();
    for (const resolve of waiting.splice(0)) resolve();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanUps.push(() => server.close());
  const arrived = async (count: number) => {
    while (received.length < count)
      await within(new Promise<void>((resolve) => waiting.push(resolve)), `${count} notices`);
    return received;
  };
  return { uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}/logout`, received, arrived };
}

const claimsAt = async (url: string, token: string | undefined) => {
  const keys = createRemoteJWKSet(new URL(`${url}/.well-known/jwks.json`));
  return (
    await jwtVerify(token ?? "", keys, { typ: "logout+jwt", audience: "app", requiredClaims: ["exp", "jti"] })
  ).payload;
};

describe("logout notices", () => {
  it("go to a client that was registered after others were looked up", async () => {
    const gateway = await startGateway({ store: "embedded", transport: "ws" });
    cleanUps.push(() => gateway.stop());
    const { uri, arrived } = await endpoint();
    const end = async (basic: readonly [string, string]) => {
      const code = await newCode(gateway, { client_id: basic[0] });
      const { body } = await sendForm(`${gateway.url}/auth/token`, code, basic);
      await sendForm(`${gateway.url}/auth/revoke`, { token: body.refresh_token ?? "" }, basic);
    };
    await end(await registerApp(gateway.authority, { logoutUri: uri }));
    await arrived(1);
    await end(await registerApp(gateway.authority, { id: "late", logoutUri: uri }));
    await arrived(2);
  });

  it("say which session ended, or which user's all, until the client takes them", async () => {
    const gateway = await startGateway({ store: "embedded", transport: "ws" });
    cleanUps.push(() => gateway.stop());
    const { uri, arrived } = await endpoint(500);
    const app = await registerApp(gateway.authority, { logoutUri: uri });
    const silent = await registerApp(gateway.authority, { id: "silent" });
    const open = async (basic: readonly [string, string]) =>
      (await sendForm(`${gateway.url}/auth/token`, await newCode(gateway, { client_id: basic[0] }), basic))
        .body;
    const [first] = [await open(app), await open(app), await open(silent)];
    await sendForm(`${gateway.url}/auth/revoke`, { token: first.refresh_token ?? "" }, app);
    // The first try fails.
    const [failed, taken] = await arrived(2);
    const claims = await claimsAt(gateway.url, taken);
    const { sid } = await claimsAt(gateway.url, failed);
    expect(claims).toMatchObject({ iss: gateway.url, sub: gateway.owner.id, sid });
    expect(claims.events).toEqual({ "http://schemas.openid.net/event/backchannel-logout": {} });
    expect(claims.nonce).toBeUndefined();

    await gateway.authority.revocation.revoke({ kind: "user", userId: gateway.owner.id }, "password_changed");
    const all = await claimsAt(gateway.url, (await arrived(3))[2]);
    expect([all.sub, all.sid]).toEqual([gateway.owner.id, undefined]);
  });

  it("tell a client of each of its users if all of its sessions end, or all of the installation", async () => {
    const gateway = await startGateway({ store: "embedded", transport: "ws" });
    cleanUps.push(() => gateway.stop());
    const { authority, owner } = gateway;
    const { uri, received, arrived } = await endpoint();
    await registerApp(authority, { logoutUri: uri });
    await registerApp(authority, { id: "silent" });
    const others = Array.from({ length: 60 }, (_, nth) => `user ${nth}`);
    const users = [
      owner,
      ...(await Promise.all(others.map((name) => authority.users.create({ name, groupIds: [] })))),
    ];
    const openAt = async (userId: string, clientId: string) => {
      const found = await authority.users.read(userId);
      if (found === undefined) throw new Error("no user");
      const standing = { user: found.user, userVersion: found.version, userEpoch: found.epoch };
      const login = { assurance: 1, amr: ["pwd"], authenticatedAt: Date.now(), credential: null } as const;
      const client = { clientId, clientName: null, rotates: true };
      await authority.sessions.open({ ...standing, ...client, ...login, peer: { address: "127.0.0.1" } });
    };
    // One user without a session at the client.
    const told = users.slice(1);
    for (const { id } of told) await openAt(id, "app");
    for (const { id } of users) await openAt(id, "silent");
    const subjects = async (tokens: readonly string[]) => {
      const all = await Promise.all(tokens.map((token) => claimsAt(gateway.url, token)));
      expect(all.every(({ sid }) => sid === undefined)).toBe(true);
      return all.map(({ sub }) => sub).sort();
    };
    const everybody = told.map(({ id }) => id).sort();
    await authority.revocation.revoke({ kind: "client", clientId: "app" }, "session_revoked");
    expect(await subjects(await arrived(60))).toEqual(everybody);
    await authority.revocation.revoke({ kind: "client", clientId: "silent" }, "session_revoked");
    await authority.revocation.revoke({ kind: "all" }, "session_revoked");
    expect(await subjects((await arrived(120)).slice(60))).toEqual(everybody);
    expect(received).toHaveLength(120);
  });

  it("are sent once, whichever nodes hear of it", async () => {
    const redis = await startRedis();
    cleanUps.push(() => redis.dispose());
    const nodes = [await startNode({ store: redis.url }), await startNode({ store: redis.url })];
    for (const node of nodes) cleanUps.push(() => node.stop());
    const [node] = nodes;
    if (node === undefined) throw new Error("no node");
    const owner = await setUpOwner(node.authority);
    const { uri, received, arrived } = await endpoint();
    const app = await registerApp(node.authority, { logoutUri: uri });
    for (let round = 1; round <= 10; round += 1) {
      const code = await newCode({ url: node.url, owner }, {});
      const { body } = await sendForm(`${node.url}/auth/token`, code, app);
      await sendForm(`${node.url}/auth/revoke`, { token: body.refresh_token ?? "" }, app);
      await arrived(round);
    }
    await node.authority.revocation.revoke({ kind: "all" }, "session_revoked");
    await arrived(11);
    const code = await newCode({ url: node.url, owner }, {});
    const { body } = await sendForm(`${node.url}/auth/token`, code, app);
    await sendForm(`${node.url}/auth/revoke`, { token: body.refresh_token ?? "" }, app);
    await arrived(12);
    // Each of the other node's claims is refused before the notice after it arrives.
    expect(received).toHaveLength(12);
    expect(
      new Set(await Promise.all(received.map(async (each) => (await claimsAt(node.url, each)).sid))).size,
    ).toBe(12);
  });
});
