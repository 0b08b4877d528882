import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { type RunningGateway, startGateway, storeKinds, transportNames } from "../support/gateway.ts";
import { openSocket, type SocketClient } from "../support/socket-client.ts";

interface Listed {
  readonly id: string;
  readonly user_id: string | null;
}

const password = { scrypt_n: 1024, workers: 1, tries_per_account_and_address: 2 };

describe.each(storeKinds.flatMap((store) => transportNames.map((transport) => ({ store, transport }))))(
  "throttles at a gateway on $transport with $store",
  ({ store, transport }) => {
    let gateway: RunningGateway;
    beforeAll(async () => {
      gateway = await startGateway({ store, transport, config: { password } });
      const { groupIds, name } = { groupIds: ["system-admin"], name: "Adam" };
      await gateway.authority.localLogins.createUser({
        name,
        username: "adam",
        password: gateway.ownerPassword,
        groupIds,
      });
    });
    afterAll(() => gateway?.stop());

    async function guess(socket: SocketClient, username: string, secret: string) {
      const started = await socket.call("auth/login/start", { handler: ["homeassistant", null] });
      const { flow_id } = started.result as { flow_id: string };
      return await socket.call("auth/login/step", { flow_id, user_input: { username, password: secret } });
    }
    async function enter(username: string, codec: "json" | "msgpack") {
      const socket = await openSocket(gateway.port, { codec, from: "127.0.0.9" });
      expect(await guess(socket, username, gateway.ownerPassword)).toMatchObject({
        result: { type: "create_entry", device_token: expect.stringMatching(/^ghd_/) },
      });
      return socket;
    }
    const listed = async (socket: SocketClient, user_id: string) => {
      const { result } = await socket.call("gatehouse/throttles/list");
      return (result as { throttles: readonly Listed[] }).throttles.find((each) => each.user_id === user_id);
    };

    it.each(["json", "msgpack"] as const)("are listed and lifted by administrators, in %s", async (codec) => {
      const [owner, adam] = [await enter("paula", codec), await enter("adam", codec)];
      const from = codec === "json" ? "127.0.0.11" : "127.0.0.12";
      const stranger = await openSocket(gateway.port, { from });
      for (const username of ["paula", "adam"])
        for (let count = 0; count < 2; count += 1) await guess(stranger, username, "wrong horse");
      const { result } = await adam.call("auth/current_user");
      const { id: adamId } = result as { id: string };
      const [owners, adams] = [await listed(adam, gateway.owner.id), await listed(adam, adamId)];
      expect(owners).toMatchObject({ kind: "account_and_address", username: "paula", address: from });

      const lift = (socket: SocketClient, throttle_id = "") =>
        socket.call("gatehouse/throttles/lift", { throttle_id });
      expect(await lift(adam, owners?.id)).toMatchObject({ error: { code: "unauthorized" } });
      expect(await lift(adam, adams?.id)).toMatchObject({ success: true, result: null });
      expect(await lift(owner, owners?.id)).toMatchObject({ success: true, result: null });
      expect(await lift(owner, owners?.id)).toMatchObject({ error: { code: "not_found" } });
      expect(await listed(owner, adamId)).toBeUndefined();
      for (const socket of [owner, adam, stranger]) socket.close();
    });
  },
);
