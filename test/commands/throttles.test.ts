import { afterAll, beforeAll, describe, expect, it } from "vitest";

import {
  ownerPassword,
  type RunningGateway,
  setUpOwner,
  startGateway,
  startNode,
  storeKinds,
  transportNames,
} from "../support/gateway.ts";
import { guestProvider } from "../support/guest-provider.ts";
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

describe("throttles of a provider that knows people by other names than their credentials", () => {
  /** A directory: people log in with a name, and are an identifier. */
  const directory = () => {
    const guests = guestProvider({ activate: true, groups: ["system-admin"] });
    return {
      ...guests,
      guessedName: (_: string, { name }: Readonly<Record<string, unknown>>) => String(name).toLowerCase(),
      advance: async (step: string, { name }: Readonly<Record<string, unknown>>, state: object) =>
        await guests.advance(
          step,
          { name: name === "Adam" ? "entry 1" : name === "Paula" ? "entry 2" : "wrong" },
          state as never,
          undefined as never,
        ),
    };
  };
  let node: Awaited<ReturnType<typeof startNode>>;
  beforeAll(async () => {
    node = await startNode({ password }, { providers: (configured) => [...configured, directory()] });
    await setUpOwner(node.authority);
  });
  afterAll(() => node?.stop());

  async function enter(handler: string, input: object, from = "127.0.0.9") {
    const socket = await openSocket(node.port, { from });
    const { result } = await socket.call("auth/login/start", { handler: [handler, null] });
    const { flow_id } = result as { flow_id: string };
    const answer = await socket.call("auth/login/step", { flow_id, user_input: input });
    return { socket, answer };
  }
  it("are lifted by the owner only, once the owner may log in there", async () => {
    const { socket: adam } = await enter("guest", { name: "Adam" });
    const { socket: owner } = await enter("homeassistant", { username: "paula", password: ownerPassword });
    for (let count = 0; count < 2; count += 1)
      (await enter("guest", { name: "paula" }, "127.0.0.13")).socket.close();
    const { result } = await adam.call("gatehouse/throttles/list");
    const [throttle] = (result as { throttles: readonly Listed[] }).throttles;
    expect(throttle).toMatchObject({ kind: "account_and_address", user_id: null });
    const lift = (socket: SocketClient) =>
      socket.call("gatehouse/throttles/lift", { throttle_id: throttle?.id });

    const started = await owner.call("auth/link/start", { handler: ["guest", null] });
    const { flow_id } = started.result as { flow_id: string };
    const linked = await owner.call("auth/link/step", { flow_id, user_input: { name: "Paula" } });
    expect(linked).toMatchObject({ result: { type: "create_entry" } });
    expect(await lift(adam)).toMatchObject({ error: { code: "unauthorized" } });

    const { credentials } = (await owner.call("auth/credentials/list")).result as {
      credentials: readonly { credential_id: string; auth_provider_type: string }[];
    };
    const { credential_id } = credentials.find((each) => each.auth_provider_type === "guest") ?? {};
    expect(await owner.call("auth/credentials/remove", { credential_id })).toMatchObject({ result: null });
    expect(await lift(adam)).toMatchObject({ result: null });
    for (const socket of [adam, owner]) socket.close();
  });
});
