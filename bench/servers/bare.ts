// The floor: the bare library with the same frames and one HMAC check of a JWT. Argument: ws or uws, number of tokens.
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const [, , library, count] = process.argv;
const key = Buffer.alloc(32, 7);
const AUTH_REQUIRED = '{"type":"auth_required","ha_version":"2026.11.0","gatehouse":{"protocol":1}}';
const AUTH_OK = '{"type":"auth_ok","ha_version":"2026.11.0"}';
const AUTH_INVALID = '{"type":"auth_invalid","message":"Invalid access token or password"}';

const sign = (data: string) => createHmac("sha256", key).update(data).digest();

function mint(index: number): string {
  const now = Math.floor(Date.now() / 1000);
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  // As long as Gatehouse's: the padding stands for the claims of RFC 9068 and the ES256 signature.
  const claims = {
    iss: "http://127.0.0.1:8123",
    sub: String(index),
    iat: now,
    exp: now + 1800,
    pad: "x".repeat(330),
  };
  const data = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${data}.${sign(data).toString("base64url")}`;
}

function isGood(text: string): boolean {
  const { type, access_token: token } = JSON.parse(text) as { type: string; access_token: string };
  if (type !== "auth" || typeof token !== "string") return false;
  const [head = "", body = "", signature = ""] = token.split(".");
  const expected = sign(`${head}.${body}`);
  const given = Buffer.from(signature, "base64url");
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return false;
  return (JSON.parse(Buffer.from(body, "base64url").toString()) as { exp: number }).exp > Date.now() / 1000;
}

function ready(port: number): void {
  process.send?.({ port, tokens: Array.from({ length: Number(count) }, (_, index) => mint(index)) });
}

if (library === "ws") {
  const { WebSocketServer } = await import("ws");
  const server = createServer();
  new WebSocketServer({ server, perMessageDeflate: false }).on("connection", (socket) => {
    socket.send(AUTH_REQUIRED);
    socket.on("error", () => {});
    socket.on("message", (data) => socket.send(isGood(data.toString()) ? AUTH_OK : AUTH_INVALID));
  });
  server.listen(0, "127.0.0.1", () => ready((server.address() as AddressInfo).port));
} else {
  const { default: uws } = await import("uWebSockets.js");
  uws
    .App()
    .ws("/api/websocket", {
      open: (socket) => {
        socket.send(AUTH_REQUIRED);
      },
      message: (socket, data) => {
        socket.send(isGood(Buffer.from(data).toString()) ? AUTH_OK : AUTH_INVALID);
      },
    })
    .listen("127.0.0.1", 0, (listener) => ready(uws.us_socket_local_port(listener)));
}
