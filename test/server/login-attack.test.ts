import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { defaultLoginBudgets } from "../../src/auth/throttling/login-throttle.ts";
import { type RunningGateway, startGateway, storeKinds, transportNames } from "../support/gateway.ts";
import { patiently } from "../support/patiently.ts";
import { type Message, openSocket, type SocketClient } from "../support/socket-client.ts";

const handler = ["homeassistant", null];
const { pair, account } = defaultLoginBudgets;
const owners = "127.0.0.9";

/** A login on a new socket, and the socket. */
async function logIn(gateway: RunningGateway, from: string, password: string, deviceToken?: string) {
  const socket = await openSocket(gateway.port, { from });
  return { socket, answer: await guess(socket, "paula", password, deviceToken) };
}

/** A guess on a new flow; returns the result of the step. */
async function guess(
  socket: SocketClient,
  username: string,
  password: string,
  deviceToken?: string,
): Promise<Message> {
  const known = deviceToken === undefined ? {} : { device_token: deviceToken };
  const started = await patiently(async () => {
    const answer = await socket.call("auth/login/start", { handler, ...known });
    if (answer.success === false) throw answer.error;
    return answer;
  });
  const { flow_id } = started.result as { flow_id: string };
  return await socket.call("auth/login/step", { flow_id, user_input: { username, password } });
}

it("the options of the budgets are in effect", async () => {
  const gateway = await startGateway({
    store: "embedded",
    transport: "ws",
    config: { password: { tries_per_account_and_address: 2, tries_per_account: 3, tries_per_address: 5 } },
  });
  try {
    const startedAt = performance.now();
    /** How many tries the gateway looks at before it refuses one. */
    const triesUntilRefused = async (from: string, nameOf: (nth: number) => string) => {
      const socket = await openSocket(gateway.port, { from });
      let tries = 0;
      for (;;) {
        const { result, error } = await guess(socket, nameOf(tries), `wrong horse ${tries}`);
        const code = (error as { code?: string } | undefined)?.code ?? (result as { type: string }).type;
        if (code === "rate_limited") break;
        expect(code).toBe("form");
        tries += 1;
      }
      socket.close();
      return tries;
    };
    const expectBetween = (tries: number, budget: number, refillMs: number) => {
      const restored = Math.ceil((performance.now() - startedAt) / refillMs);
      expect(tries).toBeGreaterThanOrEqual(budget);
      expect(tries).toBeLessThanOrEqual(budget + restored);
    };
    const { address } = defaultLoginBudgets;
    expectBetween(await triesUntilRefused("127.0.1.1", () => "paula"), 2, pair.refillMs);
    // The account has one of its three tries left.
    expectBetween(await triesUntilRefused("127.0.1.2", () => "paula"), 1, account.refillMs);
    expectBetween(await triesUntilRefused("127.0.1.3", (nth) => `nobody${nth}`), 5, address.refillMs);
  } finally {
    await gateway.stop();
  }
});

describe.each(storeKinds.flatMap((store) => transportNames.map((transport) => ({ store, transport }))))(
  "guesses from many sockets at a gateway on $transport with $store",
  ({ store, transport }) => {
    let gateway: RunningGateway;
    beforeAll(async () => {
      gateway = await startGateway({ store, transport });
    });
    afterAll(() => gateway?.stop());

    it("are bounded for the account, shown in metrics, and do not affect the owner at her usual address or on her device", async () => {
      const first = await logIn(gateway, owners, gateway.ownerPassword);
      expect(first.answer).toMatchObject({ result: { type: "create_entry" } });
      first.socket.close();
      const { device_token: deviceToken } = first.answer.result as { device_token: string };
      const attack = async (host: number) => {
        const socket = await openSocket(gateway.port, { from: `127.0.1.${host}` });
        const codes: unknown[] = [];
        for (let count = 0; count < pair.attempts; count += 1) {
          const { result, error } = await guess(socket, "paula", `wrong horse ${count}`);
          codes.push((error as { code?: string } | undefined)?.code ?? (result as { type: string }).type);
        }
        socket.close();
        return codes;
      };
      const startedAt = performance.now();
      const hosts = Array.from({ length: 200 }, (_, host) => host + 1);
      const attacking = Promise.all(hosts.map(attack));
      const onDevice = await logIn(gateway, "127.0.0.78", gateway.ownerPassword, deviceToken);
      expect(onDevice.answer).toMatchObject({ result: { type: "create_entry" } });
      onDevice.socket.close();
      const codes = (await attacking).flat();
      const hashed = codes.filter((code) => code === "form" || code === "abort").length;
      const restored = Math.ceil((performance.now() - startedAt) / account.refillMs);
      // A machine that is too slow for the lease of a node answers some so. They were charged, or not.
      const unavailable = codes.filter((code) => code === "unavailable").length;
      expect(unavailable).toBeLessThan(100);
      expect(hashed + unavailable).toBeGreaterThanOrEqual(account.attempts);
      expect(hashed).toBeLessThanOrEqual(account.attempts + restored);
      expect(codes.filter((code) => code === "rate_limited")).toHaveLength(2_000 - hashed - unavailable);

      const again = await logIn(gateway, owners, gateway.ownerPassword);
      expect(again.answer).toMatchObject({ result: { type: "create_entry" } });
      again.socket.close();
      const elsewhere = await logIn(gateway, "127.0.0.77", gateway.ownerPassword);
      expect(elsewhere.answer).toMatchObject({
        error: { code: "rate_limited", message: "Too many requests", retry_after: expect.any(Number) },
      });
      elsewhere.socket.close();

      const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
      expect(metrics).toContain('gatehouse_logins_total{result="ok"} 3');
      expect(metrics).toContain(`gatehouse_logins_total{result="invalid_auth"} ${hashed}`);
      expect(metrics).toMatch(/gatehouse_logins_total\{result="rate_limited"\} \d+/);
      expect(metrics).not.toContain("paula");
    });
  },
);
