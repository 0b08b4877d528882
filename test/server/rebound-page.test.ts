import { afterEach, describe, expect, it } from "vitest";

import { setUpOwner, startNode, transportNames } from "../support/gateway.ts";
import { openSocket } from "../support/socket-client.ts";

const handler = ["trusted_networks", null];
const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/** Lets in whoever is on this machine, without a question. */
async function trusting(transport: "ws" | "uws", more: object = {}) {
  const node = await startNode({
    transport,
    auth_providers: [
      { type: "homeassistant" },
      { type: "trusted_networks", trusted_networks: ["127.0.0.0/8"], allow_bypass_login: true },
    ],
    ...more,
  });
  ends.push(() => node.stop());
  await setUpOwner(node.authority);
  return node;
}

describe.each(transportNames)("a page whose host name was pointed here, on %s", (transport) => {
  const evil = "evil.example:8123";

  it("logs nobody in by the address of its reader, on the socket", async () => {
    const { port } = await trusting(transport);
    const socket = await openSocket(port, { headers: { host: evil, origin: `http://${evil}` } });
    const { result } = await socket.call("auth/providers");
    expect((result as { providers: { type: string }[] }).providers.map(({ type }) => type)).toEqual([
      "homeassistant",
    ]);
    expect(await socket.call("auth/login/start", { handler })).toMatchObject({
      result: { type: "abort", reason: "not_allowed" },
    });
    socket.close();
  });

  it("nor over HTTP", async () => {
    const { url } = await trusting(transport);
    const start = async (headers: Record<string, string>) => {
      const body = JSON.stringify({ client_id: `${url}/`, redirect_uri: `${url}/`, handler });
      const sent = { "content-type": "application/json", ...headers };
      return (await (
        await fetch(`${url}/auth/login_flow`, { method: "POST", headers: sent, body })
      ).json()) as object;
    };
    expect(await start({ origin: `http://${evil}` })).toMatchObject({ type: "abort", reason: "not_allowed" });
    expect(await start({ origin: new URL(url).origin })).toMatchObject({ type: "create_entry" });
    expect(await start({})).toMatchObject({ type: "create_entry" });
  });

  it("does if the configuration names its origin, and pages under the address do", async () => {
    const { port } = await trusting(transport, { origins: [`http://${evil}`] });
    for (const headers of [
      { host: evil, origin: `http://${evil}` },
      { host: `127.0.0.1:${port}`, origin: `http://127.0.0.1:${port}` },
    ]) {
      const socket = await openSocket(port, { headers });
      expect(await socket.call("auth/login/start", { handler })).toMatchObject({
        result: { type: "create_entry" },
      });
      socket.close();
    }
  });

  it("does not if any page may connect", async () => {
    const { port } = await trusting(transport, { origins: ["*"] });
    const socket = await openSocket(port, { headers: { origin: "http://evil.example" } });
    expect(await socket.call("auth/login/start", { handler })).toMatchObject({
      result: { type: "abort", reason: "not_allowed" },
    });
    socket.close();
  });
});
