import { copyFileSync, mkdirSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";

import type { Session } from "../../src/auth/model.ts";
import type { Store } from "../../src/auth/store.ts";
import { createAccessTokens } from "../../src/auth/tokens/access-tokens.ts";
import { createKeyring } from "../../src/auth/tokens/keyring.ts";
import { createSealing } from "../../src/auth/tokens/sealing.ts";
import { createMemoryTokenStore, GatewayClient, type WebSocketConstructor } from "../../src/client/index.ts";
import { systemClock } from "../../src/server/open-authority.ts";
import { openEmbeddedStore } from "../../src/store/embedded/embedded-store.ts";
import { storeFileName } from "../../src/store/embedded/files.ts";
import { openRedisStore } from "../../src/store/redis/redis-store.ts";
import { gatehouseJson } from "../support/command-line.ts";
import { ownerPassword, setUpOwner, sharedIssuer, startNode, storeKinds } from "../support/gateway.ts";
import { openProviders } from "../support/people.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { openSocket } from "../support/socket-client.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";
import { within } from "../support/within.ts";

const secret = "a secret that leaked, with all that it sealed";
const halfAnHour = 1_800_000;
type Node = Awaited<ReturnType<typeof startNode>>;

interface Dropped {
  readonly kid: string;
  readonly dropped: readonly string[];
  readonly nodes: unknown;
  readonly effective: string;
}

for (const kind of storeKinds) {
  describe(`gatehouse keys rotate --revoke-old on ${kind}`, () => {
    let folder: TemporaryFolder;
    let redis: RedisServer | undefined;
    let nodes: Node[] = [];
    const clients: GatewayClient[] = [];

    beforeEach(async () => {
      folder = temporaryFolder();
      redis = kind === "redis" ? await startRedis() : undefined;
      await start("ws");
      if (kind === "redis") await start("uws");
    });
    afterEach(async () => {
      for (const client of clients.splice(0)) client.close();
      await stopNodes();
      await redis?.dispose();
      folder.remove();
    });

    async function start(transport: "ws" | "uws"): Promise<void> {
      const tokens = { issuer: sharedIssuer };
      const store = redis === undefined ? {} : { store: redis.url };
      nodes.push(await startNode({ data: folder.path, secret, transport, tokens, ...store }));
    }
    async function stopNodes(): Promise<void> {
      for (const node of nodes) await node.stop();
      nodes = [];
    }
    const first = () => nodes[0] as Node;
    const last = () => nodes.at(-1) as Node;

    /** Of a file a copy: one process can open it once only. */
    async function stolenStore(): Promise<Store> {
      if (redis !== undefined) return await openRedisStore({ url: redis.url, timeoutMs: 5_000 });
      const copy = path.join(folder.path, "stolen");
      mkdirSync(copy);
      copyFileSync(path.join(folder.path, storeFileName), path.join(copy, storeFileName));
      return await openEmbeddedStore({ folder: copy, role: "cli" });
    }

    /** Somebody who has read the store, and knows the secret. */
    async function thief(session: Session): Promise<() => Promise<string>> {
      const store = await stolenStore();
      const sealing = createSealing(Buffer.from(secret));
      const keyring = await createKeyring({ store, sealing, clock: systemClock, longestTokenMs: halfAnHour });
      const owner = await first().authority.users.read(session.userId);
      await store.close();
      const [issuer, audience] = [() => sharedIssuer, () => sharedIssuer];
      const tokens = createAccessTokens({
        keyring,
        clock: systemClock,
        issuer,
        audience,
        providers: openProviders,
      });
      if (owner === undefined) throw new Error("no owner");
      return async () => (await tokens.mint(session, owner.user, owner.epoch)).token;
    }

    const longLived = async (clientName: string) => {
      const userId = (await first().authority.users.list()).find(({ isOwner }) => isOwner)?.id ?? "";
      const request = { userId, clientName, clientIcon: null, days: 3650 };
      return await first().authority.sessions.openLongLived(request);
    };

    /** A client of the SDK on the last node; `again` resolves when it is ready for the second time. */
    async function loggedIn() {
      const tokenStore = createMemoryTokenStore();
      let ready = 0;
      let tell: () => void = () => undefined;
      const twice = new Promise<void>((resolve) => {
        tell = resolve;
      });
      const client = new GatewayClient({
        url: last().url,
        WebSocket: WebSocket as unknown as WebSocketConstructor,
        tokens: tokenStore,
        backoff: { baseMs: 10, capMs: 50 },
        onState(state) {
          if (state === "ready") ready += 1;
          if (ready === 2) tell();
        },
      });
      clients.push(client);
      const login = await client.login({ handler: ["homeassistant", null] });
      await login.submit({ username: "paula", password: ownerPassword });
      return { client, again: () => within(twice, "the client to be back") };
    }

    const statusOf = async ({ url }: Node, token: string) =>
      (await fetch(`${url}/api/`, { headers: { authorization: `Bearer ${token}` } })).status;
    async function refusalOf({ port }: Node, token: string) {
      const socket = await openSocket(port);
      const answer = await socket.authenticate(token);
      return [answer.type, (await within(socket.closed, "the close")).code];
    }
    /** As it is once the node has the new key; until then it lists none, and never an old one. */
    async function keyIdsOf({ url }: Node): Promise<readonly string[]> {
      for (;;) {
        const answer = await fetch(`${url}/.well-known/jwks.json`);
        if (answer.status === 200)
          return ((await answer.json()) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid);
        expect(answer.status).toBe(503);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }

    const drop = () =>
      gatehouseJson<Dropped>(
        [
          ...["keys", "rotate", "--revoke-old", "--data", folder.path],
          ...(redis === undefined ? [] : ["--store", redis.url]),
        ],
        { env: { GATEHOUSE_SECRET: secret, GATEHOUSE_TOKENS_ISSUER: sharedIssuer } },
      );

    it("refuses what the leaked keys signed at every node at once, and clients are back by themselves", async () => {
      await setUpOwner(first().authority);
      const { client, again } = await loggedIn();
      const long = await longLived("before");
      const socket = await openSocket(first().port);
      expect(await socket.authenticate(long.accessToken)).toMatchObject({ type: "auth_ok" });
      const forge = await thief(long.session);
      const forged = await forge();
      for (const node of nodes) expect(await statusOf(node, forged)).toBe(200);
      const before = await keyIdsOf(first());

      const { kid, dropped, effective, nodes: counts } = await drop();
      expect({ dropped, effective }).toEqual({ dropped: before, effective: "all" });
      expect(counts).toEqual({ applied: nodes.length, pending: 0, fenced: 0 });
      for (const node of nodes)
        for (const token of [forged, await forge(), long.accessToken]) {
          expect(await statusOf(node, token)).toBe(401);
          expect(await refusalOf(node, token)).toEqual(["auth_invalid", 4200]);
        }
      expect(await within(socket.closed, "the long-lived token's socket")).toMatchObject({ code: 4200 });
      await again();
      expect(await client.call("auth/current_user")).toMatchObject({ name: "Paula" });
      for (const node of nodes) expect(await keyIdsOf(node)).toEqual([kid]);

      // A process that has read neither the entry nor the old keys.
      await stopNodes();
      await start("ws");
      expect(await statusOf(first(), forged)).toBe(401);
      expect(await refusalOf(first(), forged)).toEqual(["auth_invalid", 4200]);
      expect(await statusOf(first(), (await longLived("after")).accessToken)).toBe(200);
    });
  });
}
