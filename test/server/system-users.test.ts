import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";

import {
  type Codec,
  createJsonCodec,
  GatewayClient,
  type GatewayClientOptions,
  systemToken,
  type WebSocketConstructor,
} from "../../src/client/index.ts";
import { createMsgpackCodec } from "../../src/client/msgpack.ts";
import { type RunningGateway, startGateway, storeKinds, transportNames } from "../support/gateway.ts";
import { openSocket } from "../support/socket-client.ts";
import { within } from "../support/within.ts";

const codecs: Readonly<Record<string, () => Codec>> = { json: createJsonCodec, msgpack: createMsgpackCodec };

describe.each(storeKinds.flatMap((store) => transportNames.map((transport) => ({ store, transport }))))(
  "a system user at a gateway on $transport with $store",
  ({ store, transport }) => {
    let gateway: RunningGateway;
    beforeAll(async () => {
      gateway = await startGateway({ store, transport });
    });
    afterAll(() => gateway?.stop());

    const make = async (groupIds: readonly string[] = ["system-users"]) =>
      await gateway.authority.systemUsers.create({ name: "backup", groupIds });
    async function connected(
      refreshToken: string,
      codec: Codec = createJsonCodec(),
      onState: GatewayClientOptions["onState"] = () => undefined,
    ) {
      const client = new GatewayClient({
        url: gateway.url,
        tokens: systemToken(refreshToken),
        WebSocket: WebSocket as unknown as WebSocketConstructor,
        codec,
        onState,
      });
      await client.connect();
      return client;
    }
    const refresh = (refresh_token: string) =>
      fetch(`${gateway.url}/auth/token`, {
        method: "POST",
        body: new URLSearchParams({ grant_type: "refresh_token", refresh_token }),
      });

    it.each(Object.keys(codecs))(
      "authenticates on the socket with its token, again and again, in %s",
      async (codec) => {
        const { user, session, refreshToken } = await make();
        for (let run = 0; run < 2; run += 1) {
          const client = await connected(refreshToken, codecs[codec]?.());
          expect(await client.call("auth/current_user")).toMatchObject({
            id: user.id,
            is_owner: false,
            credentials: [],
          });
          expect(await client.call("auth/refresh_tokens")).toMatchObject([
            {
              id: session.id,
              type: "system",
              client_id: null,
              client_name: "backup",
              expire_at: null,
              is_current: true,
            },
          ]);
          await expect(
            client.call("auth/long_lived_access_token", { lifespan: 1, client_name: "more" }),
          ).rejects.toMatchObject({ code: "not_system_user" });
          client.close();
        }
      },
    );

    it("authenticates over HTTP, and its token stays the same", async () => {
      const { refreshToken } = await make();
      for (let run = 0; run < 2; run += 1) {
        const answer = await refresh(refreshToken);
        expect(answer.status).toBe(200);
        const grant = (await answer.json()) as { access_token: string };
        expect(grant).not.toHaveProperty("refresh_token");
        const headers = { authorization: `Bearer ${grant.access_token}` };
        expect((await fetch(`${gateway.url}/api/`, { headers })).status).toBe(200);
      }
    });

    it("ends with a revocation, or with its user, on the socket and over HTTP", async () => {
      const ends = [
        async ({ user, session }: Awaited<ReturnType<typeof make>>) => {
          const target = { kind: "sessions", userId: user.id, sessionIds: [session.id] } as const;
          await gateway.authority.revocation.revoke(target, "session_revoked");
        },
        async ({ user }: Awaited<ReturnType<typeof make>>) => await gateway.authority.users.remove(user.id),
      ];
      for (const end of ends) {
        const made = await make();
        let tell: (code: string | undefined) => void = () => undefined;
        const ended = new Promise<string | undefined>((resolve) => {
          tell = resolve;
        });
        await connected(
          made.refreshToken,
          undefined,
          (state, error) => state === "ended" && tell(error?.code),
        );
        await end(made);
        expect(await within(ended, "the end")).toBe("login_required");
        expect((await refresh(made.refreshToken)).status).toBe(400);
        await expect(connected(made.refreshToken)).rejects.toMatchObject({ code: "login_required" });
      }
    });

    it("is listed as what it is, cannot be changed like a person, and cannot take the ownership", async () => {
      const { user } = await make(["system-admin"]);
      const socket = await openSocket(gateway.port);
      const start = await socket.call("auth/login/start", { handler: ["homeassistant", null] });
      const { flow_id } = start.result as { flow_id: string };
      const user_input = { username: "paula", password: gateway.ownerPassword };
      await socket.call("auth/login/step", { flow_id, user_input });
      await socket.find(({ type }) => type === "auth_ok", "auth_ok");
      const { result } = await socket.call("config/auth/list");
      expect(result).toContainEqual(
        expect.objectContaining({ id: user.id, system_generated: true, username: null, credentials: [] }),
      );
      const codeOf = async (type: string, fields: object) =>
        ((await socket.call(type, fields)).error as { code: string }).code;
      const user_id = user.id;
      expect(await codeOf("config/auth/update", { user_id, name: "x" })).toBe(
        "cannot_modify_system_generated",
      );
      expect(await codeOf("gatehouse/owner/transfer", { user_id })).toBe("not_allowed");
      const login = { user_id, username: "backup", password: "correct horse battery" };
      expect(await codeOf("config/auth_provider/homeassistant/create", login)).toBe("system_generated");
      socket.close();
    });
  },
);
