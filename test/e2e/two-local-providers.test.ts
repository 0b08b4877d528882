import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { ownerPassword, type RunningGateway, startGateway, transportNames } from "../support/gateway.ts";
import { openSocket, type SocketClient } from "../support/socket-client.ts";

const prefix = "config/auth_provider/homeassistant";
const password = "a long enough password";

describe.each(transportNames)("two local providers, %s", (transport) => {
  let gateway: RunningGateway;
  let boss: SocketClient;
  beforeAll(async () => {
    const auth_providers = [{ type: "homeassistant" }, { type: "homeassistant", id: "guests" }] as const;
    gateway = await startGateway({ transport, store: "embedded", config: { auth_providers } });
    boss = (await logIn(null, "paula", ownerPassword)).socket;
  });
  afterAll(async () => {
    boss.close();
    await gateway.stop();
  });

  async function logIn(id: string | null, username: string, secret: string) {
    const socket = await openSocket(gateway.port);
    const begun = await socket.call("auth/login/start", { handler: ["homeassistant", id] });
    const { flow_id } = begun.result as { flow_id: string };
    const user_input = { username, password: secret };
    const { result } = await socket.call("auth/login/step", { flow_id, user_input });
    return { socket, step: result as { type: string } };
  }
  async function entered(id: string | null, username: string, secret: string): Promise<string> {
    const { socket, step } = await logIn(id, username, secret);
    if (step.type !== "create_entry") {
      socket.close();
      return step.type;
    }
    await socket.find(({ type }) => type === "auth_ok", "auth_ok");
    const { result } = await socket.call("auth/current_user");
    socket.close();
    return (result as { id: string }).id;
  }
  const done = async (what: string, fields: object) =>
    expect(await boss.call(`${prefix}/${what}`, fields)).toMatchObject({ success: true });

  it("share no names: each is managed by its id, and the first one by none", async () => {
    const made = async (name: string) => {
      const { result } = await boss.call("config/auth/create", { name });
      return (result as { user: { id: string } }).user.id;
    };
    const [ada, other] = [await made("Ada"), await made("Another Ada")];
    await done("create", { user_id: ada, username: "ada", password });
    await done("create", {
      user_id: other,
      username: "ada",
      password: `${password}2`,
      auth_provider_id: "guests",
    });
    expect(await entered(null, "ada", password)).toBe(ada);
    expect(await entered("guests", "ada", `${password}2`)).toBe(other);
    expect(await entered("guests", "ada", password)).toBe("form");

    await done("admin_change_password", { user_id: other, password, auth_provider_id: "guests" });
    expect(await entered("guests", "ada", password)).toBe(other);
    await done("admin_change_username", { user_id: other, username: "ad", auth_provider_id: "guests" });
    expect(await entered("guests", "ad", password)).toBe(other);
    await done("delete", { username: "ad", auth_provider_id: "guests" });
    expect(await entered("guests", "ad", password)).toBe("form");
    expect(await entered(null, "ada", password)).toBe(ada);
    await done("delete", { username: "ada", auth_provider_id: null });
    expect(await entered(null, "ada", password)).toBe("form");
  });
});
