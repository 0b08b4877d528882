import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { ownerPassword, type RunningGateway, startGateway, transportNames } from "../support/gateway.ts";
import { openSocket, type SocketClient, UpgradeRefused } from "../support/socket-client.ts";

const proxies = ["127.0.0.1"];
const outside = "203.0.113.7";
/** What a client outside sends and what its proxy makes of it; the proxy is on loopback, which is local. */
const outsiders: readonly Readonly<Record<string, string>>[] = [
  { "X-Forwarded-For": outside },
  { "X-Forwarded-For": `x, ${outside}` },
  { "X-Forwarded-For": `127.0.0.1, ${outside}:4711` },
  { "X-Forwarded-For": `${"1.1.1.1, ".repeat(40)}${outside}` },
  { "X-Forwarded-For": `, ${outside}` },
  { "X-Forwarded-For": "unknown" },
  { "X-Forwarded-For": "" },
  { Forwarded: `for=127.0.0.1, for=${outside}` },
  { Forwarded: `for=127.0.0.1`, "X-Forwarded-For": outside },
  { "X-Real-IP": outside },
];

describe.each(transportNames)("a gateway behind a proxy, %s", (transport) => {
  let trusting: RunningGateway;
  let plain: RunningGateway;
  const start = (trusted_proxies: string[]) =>
    startGateway({
      store: "embedded",
      transport,
      config: { trusted_proxies, public_url: "https://gate.example.org", origins: ["https://app.example"] },
    });
  beforeAll(async () => {
    [trusting, plain] = await Promise.all([start(proxies), start([])]);
    for (const { authority } of [trusting, plain]) {
      const user = await authority.users.create({
        name: "Lisa",
        groupIds: ["system-users"],
        localOnly: true,
      });
      await authority.localLogins.create(user.id, "lisa", "local horse battery");
    }
  });
  afterAll(async () => {
    await Promise.all([trusting?.stop(), plain?.stop()]);
  });

  const logIn = async (socket: SocketClient, username: string, password: string) => {
    const begun = await socket.call("auth/login/start", { handler: ["homeassistant", null] });
    const { flow_id } = begun.result as { flow_id: string };
    const { result } = await socket.call("auth/login/step", { flow_id, user_input: { username, password } });
    return result as { type: string; errors?: object; result?: { access_token: string } };
  };
  const localLogin = async (gateway: RunningGateway, headers: Readonly<Record<string, string>>) => {
    const socket = await openSocket(gateway.port, { headers });
    const answer = await logIn(socket, "lisa", "local horse battery");
    socket.terminate();
    return answer;
  };

  it.each(outsiders)("does not take %j for somebody local", async (headers) => {
    for (const gateway of [trusting, plain])
      expect(await localLogin(gateway, headers)).toMatchObject({
        type: "form",
        errors: { base: "invalid_auth" },
      });
  });

  it("lets a local user in whom the proxy names, and who comes without one", async () => {
    expect(await localLogin(trusting, { "X-Forwarded-For": "x, 192.168.1.20" })).toMatchObject({
      type: "create_entry",
    });
    expect(await localLogin(trusting, { Forwarded: 'for="[fd00::7]:4711"' })).toMatchObject({
      type: "create_entry",
    });
    expect(await localLogin(plain, {})).toMatchObject({ type: "create_entry" });
  });

  it("remembers the address as not known where it is not", async () => {
    const socket = await openSocket(plain.port, { headers: { "X-Forwarded-For": outside } });
    expect(await logIn(socket, "paula", ownerPassword)).toMatchObject({ type: "create_entry" });
    await socket.find(({ type }) => type === "auth_ok", "auth_ok");
    const { result } = await socket.call("auth/refresh_tokens");
    expect(result).toContainEqual(expect.objectContaining({ is_current: true, last_used_ip: null }));
    socket.terminate();
  });

  const upgrade = async (gateway: RunningGateway, host: string, origin: string) => {
    try {
      (await openSocket(gateway.port, { headers: { host, origin } })).terminate();
      return 101;
    } catch (error) {
      if (error instanceof UpgradeRefused) return error.status;
      throw error;
    }
  };
  it.each([
    "gatehouse:8123",
    "gate.example.org",
    "gate.example.org:443",
    "Gate.Example.org",
    "127.0.0.1:8123",
  ])("knows its own pages by public_url, whatever the Host %s", async (host) => {
    expect(await upgrade(plain, host, "https://gate.example.org")).toBe(101);
    expect(await upgrade(plain, host, "https://app.example")).toBe(101);
    expect(await upgrade(plain, host, `http://${host.toLowerCase()}`)).toBe(403);
    expect(await upgrade(plain, host, "https://evil.example")).toBe(403);
  });
  it("refuses a page whose host name was pointed at the gateway", async () => {
    expect(await upgrade(plain, "evil.example:8123", "http://evil.example:8123")).toBe(403);
  });
});
