import { once } from "node:events";
import { Agent, type IncomingMessage, request } from "node:http";
import { describe, expect, it } from "vitest";

import { closeCodes } from "../../protocol/close-codes.ts";
import { limits, SOCKET_PATH } from "../../protocol/features.ts";
import { eventually } from "../support/eventually.ts";
import { type RunningGateway, startGateway, transportNames } from "../support/gateway.ts";
import { ask as askRaw } from "../support/raw-http.ts";
import { frame, RawSocket } from "../support/raw-socket.ts";
import { openSocket, UpgradeRefused } from "../support/socket-client.ts";

const file = '--b\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\n\r\n';
const body = `${file.repeat(880)}--b--`;
const [attacker, somebodyElse] = ["127.0.0.66", "127.0.0.67"];

interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly text: string;
}

async function ask(gateway: RunningGateway, from: string, path: string, sent?: string): Promise<Answer> {
  const asked = request({
    port: gateway.port,
    host: "127.0.0.1",
    localAddress: from,
    path,
    agent: new Agent(),
    ...(sent === undefined
      ? {}
      : { method: "POST", headers: { "content-type": "multipart/form-data; boundary=b" } }),
  });
  asked.end(sent);
  const [answer]: IncomingMessage[] = await once(asked, "response");
  if (answer === undefined) throw new Error("no answer");
  let text = "";
  for await (const chunk of answer) text += String(chunk);
  return { status: answer.statusCode ?? 0, retryAfter: answer.headers["retry-after"], text };
}

/** A form of one field that is no grant: small enough to arrive with its header. */
const small = '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--';

async function loggedIn(gateway: RunningGateway, from: string) {
  const client = await openSocket(gateway.port, { from });
  const { result } = await client.call("auth/login/start", { handler: ["homeassistant", null] });
  const { flow_id } = result as { flow_id: string };
  const user_input = { username: "paula", password: gateway.ownerPassword };
  const done = await client.call("auth/login/step", { flow_id, user_input });
  const { access_token } = (done.result as { result: { access_token: string } }).result;
  return { client, access_token };
}

describe.each(transportNames)("strangers of one address on %s", (transport) => {
  it("are refused beyond their share of the loop's time, and nobody else is", async () => {
    const gateway = await startGateway({
      store: "embedded",
      transport,
      config: { limits: { unauthenticated_loop_ms_per_second: 10 } },
    });
    const { client: bystander } = await loggedIn(gateway, "127.0.0.1");
    const waiting = await openSocket(gateway.port, { from: attacker });

    let requests = 0;
    let answer: Answer;
    const beganAt = performance.now();
    do {
      answer = await ask(gateway, attacker, "/auth/token", requests === 0 ? body : small);
      requests += 1;
      expect(await bystander.call("ping")).toMatchObject({ type: "pong" });
    } while (answer.status === 400);
    expect(answer).toMatchObject({ status: 429, retryAfter: expect.stringMatching(/^[1-9]\d*$/) });
    expect(JSON.parse(answer.text)).toMatchObject({ code: "rate_limited" });
    // A burst of 80 ms, and ten each second from then on, at a quarter of a millisecond for each, and what reading it takes.
    const seconds = (performance.now() - beganAt) / 1000;
    expect(requests).toBeLessThan((80 + 10 * seconds) / 0.25 + 10);

    // On a busy machine the address may get a little of its share back before the next step.
    const exhausted = (what: string, isRefused: () => Promise<boolean>) =>
      eventually(what, async () => {
        while ((await ask(gateway, attacker, "/auth/token", small)).status !== 429);
        return await isRefused();
      });
    await exhausted("a refused upgrade", () =>
      openSocket(gateway.port, { from: attacker }).then(
        (opened) => {
          opened.close();
          return false;
        },
        (error: unknown) => error instanceof UpgradeRefused,
      ),
    );
    let told: object = {};
    await exhausted("a refused message", async () => {
      told = await waiting.call("auth/providers");
      return "error" in told;
    });
    expect(told).toMatchObject({
      success: false,
      error: { code: "rate_limited", retry_after: expect.any(Number) },
    });
    expect((await ask(gateway, attacker, "/readyz")).status).toBe(200);
    expect((await ask(gateway, somebodyElse, "/auth/token", small)).status).toBe(400);
    const { client: other } = await loggedIn(gateway, somebodyElse);
    expect(await other.call("ping")).toMatchObject({ type: "pong" });

    const { text } = await ask(gateway, "127.0.0.1", "/metrics");
    for (const work of ["request", "upgrade", "message"])
      expect(text).toMatch(
        new RegExp(`gatehouse_unauthenticated_refused_total\\{work="${work}",share="loop_time"\\} [1-9]`),
      );
    await gateway.stop();
  });

  it("come back with good tokens, any number of them at once", async () => {
    const gateway = await startGateway({
      store: "embedded",
      transport,
      config: { limits: { unauthenticated_loop_ms_per_second: 10 } },
    });
    const { access_token } = await loggedIn(gateway, "127.0.0.1");
    for (let count = 0; count < 400; count += 100) {
      const clients = await Promise.all(
        Array.from({ length: 100 }, () => openSocket(gateway.port, { from: attacker })),
      );
      for (const client of clients)
        expect(await client.authenticate(access_token)).toMatchObject({ type: "auth_ok" });
      for (const client of clients) client.terminate();
    }
    const { text } = await ask(gateway, "127.0.0.1", "/metrics");
    expect(text).not.toMatch(/gatehouse_unauthenticated_refused_total\{/);
    await gateway.stop();
  });

  it("have a bounded number of requests under way, counted before their bodies come", async () => {
    const gateway = await startGateway({
      store: "embedded",
      transport,
      config: { limits: { http_requests_per_address: 2 } },
    });
    const open = async () => {
      const raw = await RawSocket.connect(gateway.port);
      raw.write(
        "POST /auth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 12\r\n\r\n",
      );
      return raw;
    };
    const held = [await open(), await open()];
    let answer: Answer;
    // The two are on their way on connections of their own: asked until both have come.
    do answer = await ask(gateway, "127.0.0.1", "/");
    while (answer.status === 200);
    expect(answer).toMatchObject({ status: 429, retryAfter: "1" });
    expect((await ask(gateway, somebodyElse, "/")).status).toBe(200);
    for (const raw of held) {
      raw.write("grant_type=x");
      expect(await raw.head()).toMatch(/^HTTP\/1\.1 400 /);
      raw.destroy();
    }
    while ((await ask(gateway, "127.0.0.1", "/")).status !== 200);
    await gateway.stop();
  });
});

/** The code of the close frame that comes. */
async function closeCodeOf(raw: RawSocket): Promise<number> {
  for (let answer = await raw.frame(); answer !== undefined; answer = await raw.frame())
    if (answer.head === 0x88) return answer.payload.readUInt16BE(0);
  throw new Error("ended without a close frame");
}

describe("a flood of fragments on ws", () => {
  // Before auth_ok a message of 60,000 bytes is refused for its size, so those fragments are empty.
  it.each([
    ["before", ""],
    ["after", " "],
  ])("%s auth_ok ends its sockets by the share of its address", async (when, part) => {
    const parts = Array.from({ length: 60_000 }, () => frame(0x00, part));
    const unfinished = Buffer.concat([frame(0x01, "["), ...parts]);
    const gateway = await startGateway({
      ...{ store: "embedded", transport: "ws" },
      config: { limits: { unauthenticated_loop_ms_per_second: 10 } },
    });
    const { client: bystander, access_token } = await loggedIn(gateway, somebodyElse);
    const raws = await Promise.all(
      Array.from({ length: 4 }, () => RawSocket.upgrade(gateway.port, SOCKET_PATH)),
    );
    for (const raw of raws) {
      if (when === "after") raw.write(frame(0x81, JSON.stringify({ type: "auth", access_token })));
      raw.write(unfinished);
    }
    expect(await Promise.race(raws.map(closeCodeOf))).toBe(closeCodes.rate_limited.number);
    for (const raw of raws) raw.destroy();
    expect(await bystander.call("ping")).toMatchObject({ type: "pong" });
    await loggedIn(gateway, "127.0.0.68");
    await gateway.stop();
  });
});

describe.each(transportNames)("requests that %s refuses itself", (transport) => {
  it("take from the share of their address", async () => {
    const gateway = await startGateway({
      ...{ store: "embedded", transport },
      config: { limits: { unauthenticated_loop_ms_per_second: 10 } },
    });
    const traces = "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n";
    let requests = 0;
    while ((await ask(gateway, "127.0.0.1", "/")).status === 200) {
      await Promise.all(Array.from({ length: 50 }, () => askRaw(gateway.port, traces)));
      requests += 50;
    }
    expect(requests).toBeGreaterThan(100);
    // A tenth of a millisecond each, and 80 at once: far fewer than the 320 others that it may have.
    expect(requests / 50).toBeLessThan(100);
    expect((await ask(gateway, somebodyElse, "/")).status).toBe(200);
    await gateway.stop();
  });
});

describe.each(["json", "msgpack"] as const)("a frame of very many members in %s", (codec) => {
  it("closes its socket, and one at the bound is answered", async () => {
    const gateway = await startGateway({ store: "embedded", transport: "ws" });
    const { access_token } = await loggedIn(gateway, "127.0.0.1");
    const client = await openSocket(gateway.port, { codec });
    expect(await client.authenticate(access_token)).toMatchObject({ type: "auth_ok" });
    // Beside these `id`, `type` and `features`.
    const features = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, place) => [place.toString(36), 1]));
    const most = features(limits.members - 3);
    expect(await client.call("supported_features", { features: most })).toMatchObject({ success: true });
    client.send({ id: 9, type: "supported_features", features: features(limits.members - 2) });
    expect(await client.closed).toMatchObject({ code: closeCodes.invalid_payload.number });
    await gateway.stop();
  });
});
