import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, createServer, type Server } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocketServer } from "ws";

import { closeRule } from "../../protocol/close-codes.ts";
import { GatewayClient, type GatewayError, longLivedToken, socketUrl } from "../../src/client/index.ts";
import { makeCertificate } from "../support/certificate.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listening(server: Server): Promise<number> {
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

async function failure(url: string, code = "cannot_connect"): Promise<GatewayError> {
  const client = new GatewayClient({ url, tokens: longLivedToken("token") });
  const error = await client.connect().then(
    () => new Error("it connected"),
    (reason: unknown) => reason,
  );
  client.close();
  expect(error).toMatchObject({ code });
  return error as GatewayError;
}

const secured = () => {
  const { certificate: cert, key } = makeCertificate();
  return createHttpsServer({ cert, key });
};

describe("a client that cannot connect reports why", () => {
  it("if nothing listens", async () => {
    const port = await listening(createServer());
    await new Promise((resolve) => servers.pop()?.close(resolve));
    const error = await failure(`http://127.0.0.1:${port}`);
    expect(error.message).toMatch(/ECONNREFUSED.*nothing listens/);
    expect(error.cause).toMatchObject({ code: "ECONNREFUSED" });
  });

  it("if it does not trust the certificate, with what to do", async () => {
    const error = await failure(`https://127.0.0.1:${await listening(secured())}`);
    expect(error.message).toMatch(/self-signed.*NODE_EXTRA_CA_CERTS/);
    expect(error.cause).toBeInstanceOf(Error);
  });

  it("if it speaks plain text against TLS, and TLS against plain text", async () => {
    expect((await failure(`http://127.0.0.1:${await listening(secured())}`)).message).toMatch(/https:\/\//);
    expect((await failure(`https://127.0.0.1:${await listening(createHttpServer())}`)).message).toMatch(
      /http:\/\//,
    );
  });

  it("if the gateway refuses the upgrade, with its code and its time", async () => {
    const body = { message: "Origin is not allowed", code: "invalid_origin" };
    const gateway = createHttpServer();
    gateway.on("upgrade", (_request, socket) =>
      socket.end(
        `HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-type: application/json\r\nretry-after: 5\r\n\r\n${JSON.stringify(body)}`,
      ),
    );
    const error = await failure(`http://127.0.0.1:${await listening(gateway)}`);
    expect(error.message).toMatch(/403.*Origin is not allowed.*invalid_origin/);
    expect(error.cause).toMatchObject({ code: "invalid_origin" });
    expect(error.retryAfterSeconds).toBe(5);
  });

  it("if another program answers", async () => {
    const other = createHttpServer((_request, response) => response.end("<html>".padEnd(100_000, "x")));
    other.on("upgrade", (_request, socket) => socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n<html>"));
    const error = await failure(`http://127.0.0.1:${await listening(other)}`);
    expect(error.message).toBe("The server answered 502 instead of opening a socket");
  });
});

describe("a server that speaks something else", () => {
  it.each([
    ["a later version of the protocol", { protocol: 2 }, /speaks version 2 .* this client version 1/],
    ["no version that is a number", { protocol: "1.0" }, /speaks version 1\.0/],
    ["Home Assistant's protocol only", undefined, /speaks none of Gatehouse's protocol/],
  ])("%s gets nothing, and the client says so", async (_what, gatehouse, text) => {
    const got: unknown[] = [];
    const http = createHttpServer();
    const server = new WebSocketServer({ server: http });
    server.on("connection", (socket) => {
      socket.on("message", (message) => got.push(String(message)));
      socket.send(JSON.stringify({ type: "auth_required", ha_version: "2025.1.0", gatehouse }));
    });
    const error = await failure(`http://127.0.0.1:${await listening(http)}`, "refused");
    expect(error.message).toMatch(text);
    expect(got).toEqual([]);
    for (const socket of server.clients) socket.terminate();
  });
});

describe("a gateway's address", () => {
  it.each([
    ["gate.example.org", "wss://gate.example.org/api/websocket"],
    ["gate.example.org:8443/auth/", "wss://gate.example.org:8443/auth/api/websocket"],
    ["localhost:8123", "ws://localhost:8123/api/websocket"],
    [" 127.0.0.1:8123 ", "ws://127.0.0.1:8123/api/websocket"],
    ["[::1]:8123", "ws://[::1]:8123/api/websocket"],
    ["127.0.0.1.example.org", "wss://127.0.0.1.example.org/api/websocket"],
    ["192.168.1.20:8123", "wss://192.168.1.20:8123/api/websocket"],
    ["http://gate:8123?token=x#y", "ws://gate:8123/api/websocket"],
  ])("may be %j", (address, url) => {
    expect(socketUrl(address)).toBe(url);
  });
  it.each(["", "ftp://gate", "http://", "gate example", "javascript://x"])("is not %j", (address) => {
    expect(() => socketUrl(address)).toThrow(/not a gateway address/);
  });
});

describe("a close that the server did not start", () => {
  it("is not the server's decision: the client reconnects", () => {
    for (const code of [1000, 1001, 1005, 1006, 1012, 1013]) expect(closeRule(code).reconnect).toBe("after");
  });
});
