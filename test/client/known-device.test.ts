import { afterAll, beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";

import { type DeviceTokenStore, GatewayClient, type WebSocketConstructor } from "../../src/client/index.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";

let gateway: RunningGateway;
beforeAll(async () => {
  const password = { scrypt_n: 1024, workers: 1, tries_per_account_and_address: 2 };
  gateway = await startGateway({ store: "embedded", transport: "ws", config: { password } });
});
afterAll(() => gateway?.stop());

/** The last step of a login, or the error code. */
async function logIn(device: DeviceTokenStore | undefined, password: string): Promise<string> {
  const client = new GatewayClient({
    url: gateway.url,
    WebSocket: WebSocket as unknown as WebSocketConstructor,
    ...(device === undefined ? {} : { device }),
  });
  const login = await client.login({ handler: ["homeassistant", null] });
  const step = await login.submit({ username: "paula", password }).catch(({ code }: { code: string }) => ({
    type: code,
  }));
  client.close();
  return step.type;
}

it("a device keeps its token, and is not delayed by the tries of others at its address", async () => {
  let kept: string | null = null;
  const device: DeviceTokenStore = {
    load: () => kept,
    save: (token) => {
      kept = token;
    },
  };
  const broken: DeviceTokenStore = {
    load: () => Promise.reject(new Error("no storage")),
    save: () => Promise.reject(new Error("no storage")),
  };
  expect(await logIn(broken, gateway.ownerPassword)).toBe("create_entry");
  expect(await logIn(device, gateway.ownerPassword)).toBe("create_entry");
  expect(kept).toMatch(/^ghd_/);
  for (let tries = 0; tries < 2; tries += 1) expect(await logIn(undefined, "wrong horse")).toBe("form");
  expect(await logIn(undefined, gateway.ownerPassword)).toBe("rate_limited");
  expect(await logIn(device, gateway.ownerPassword)).toBe("create_entry");
});
