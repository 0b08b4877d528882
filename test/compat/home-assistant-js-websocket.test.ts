import { randomUUID } from "node:crypto";
import {
  Auth,
  type Connection,
  createConnection,
  createLongLivedTokenAuth,
  ERR_INVALID_AUTH,
  getAuth,
  getUser,
} from "home-assistant-js-websocket";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";

import { GatewayClient } from "../../src/client/index.ts";
import { type RunningGateway, startGateway, storeKinds, transportNames } from "../support/gateway.ts";
import { within } from "../support/within.ts";

// Home Assistant's own browser client, unchanged, as users have it. Node 20 has no WebSocket of its own.
Object.assign(globalThis, { WebSocket });

const clientId = "http://127.0.0.1:8999/";
const redirectUri = `${clientId}callback`;

/** The event that a connection fires, with a deadline. */
function fired(
  connection: Connection,
  event: "disconnected" | "ready" | "reconnect-error",
): Promise<unknown> {
  return within(
    new Promise((resolve) => connection.addEventListener(event, (_, detail) => resolve(detail))),
    `event ${event}`,
  );
}

async function codeFromSocket(gateway: RunningGateway): Promise<string> {
  const client = new GatewayClient({ url: gateway.url, clientId });
  const login = await client.login({
    handler: ["homeassistant", null],
    for: "code",
    redirect_uri: redirectUri,
  });
  const step = await login.submit({ username: "paula", password: gateway.ownerPassword });
  client.close();
  if (step.type !== "create_entry" || typeof step.result !== "string")
    throw new Error(`no code: ${step.type}`);
  return step.result;
}

for (const store of storeKinds) {
  for (const transport of transportNames) {
    describe(`home-assistant-js-websocket on ${transport} and ${store}`, () => {
      let gateway: RunningGateway;
      beforeAll(async () => {
        gateway = await startGateway({ store, transport });
      });
      afterAll(() => gateway?.stop());

      it("connects with a long-lived token, works, and learns that it is out", async () => {
        const { accessToken, session } = await gateway.authority.sessions.openLongLived({
          userId: gateway.owner.id,
          clientName: "compat",
          clientIcon: null,
          days: 10,
        });
        const connection = await createConnection({
          auth: createLongLivedTokenAuth(gateway.url, accessToken),
        });
        expect(await getUser(connection)).toMatchObject({ name: "Paula", is_owner: true, is_admin: true });
        expect(await connection.ping()).toBeUndefined();

        const added = new Promise((resolve) => {
          connection.subscribeEvents(resolve, "user_added").catch(() => {});
        });
        await connection.sendMessagePromise({ type: "config/auth/create", name: "Guest" });
        expect(await within(added, "user_added")).toMatchObject({ event_type: "user_added" });

        const out = fired(connection, "reconnect-error");
        await gateway.authority.revocation.revoke(
          { kind: "sessions", userId: gateway.owner.id, sessionIds: [session.id] },
          "session_revoked",
        );
        expect(await out).toBe(ERR_INVALID_AUTH);
        connection.close();
      });

      it("fires events that every connection gets which has subscribed to them", async () => {
        const connect = async () => {
          const { accessToken } = await gateway.authority.sessions.openLongLived({
            userId: gateway.owner.id,
            clientName: `events ${randomUUID()}`,
            clientIcon: null,
            days: 10,
          });
          return await createConnection({ auth: createLongLivedTokenAuth(gateway.url, accessToken) });
        };
        const [one, other] = [await connect(), await connect()];
        const heard: unknown[] = [];
        const first = new Promise((resolve) => {
          void other.subscribeEvents(resolve, "test_event");
        });
        const end = await other.subscribeEvents((event) => heard.push(event));
        const fire = (event_type: string, event_data: object) =>
          one.sendMessagePromise<{ context: object }>({ type: "fire_event", event_type, event_data });
        const { context } = await fire("test_event", { n: 1 });
        const event = { event_type: "test_event", data: { n: 1 }, origin: "LOCAL" };
        expect(await within(first, "test_event")).toMatchObject({ ...event, context });
        await other.ping();
        expect(heard).toMatchObject([event]);
        await end();
        await fire("other_event", {});
        await other.ping();
        expect(heard).toHaveLength(1);
        one.close();
        other.close();
      });

      it("exchanges a code from a socket login, refreshes, and revokes", async () => {
        let saved: { access_token: string } | null = null;
        const auth = await getAuth({
          hassUrl: gateway.url,
          clientId,
          authCode: await codeFromSocket(gateway),
          saveTokens: (data) => {
            saved = data;
          },
        });
        expect(saved).toMatchObject({
          token_type: "Bearer",
          expires_in: 1800,
          ha_auth_provider: "homeassistant",
        });
        const first = auth.data.refresh_token;
        const connection = await createConnection({ auth });
        expect(await getUser(connection)).toMatchObject({ name: "Paula" });

        await auth.refreshAccessToken();
        await Promise.all([auth.refreshAccessToken(), auth.refreshAccessToken()]);
        expect(auth.data.refresh_token).toBe(first);

        const out = fired(connection, "reconnect-error");
        await auth.revoke();
        expect(saved).toBeNull();
        expect(await out).toBe(ERR_INVALID_AUTH);
        await expect(new Auth(auth.data).refreshAccessToken()).rejects.toBe(ERR_INVALID_AUTH);
        connection.close();
      });

      it("gives up on a token that was never good, and not on one that only expired", async () => {
        const wrong = createConnection({ auth: createLongLivedTokenAuth(gateway.url, "not.a.token") });
        await expect(wrong).rejects.toBe(ERR_INVALID_AUTH);

        const auth = await getAuth({
          hassUrl: gateway.url,
          clientId,
          authCode: await codeFromSocket(gateway),
        });
        auth.data.expires = Date.now() - 1000;
        const connection = await createConnection({ auth });
        expect(await getUser(connection)).toMatchObject({ name: "Paula" });
        connection.close();
      });
    });
  }
}
