// The lower bound: the bare library with the same frames and one HMAC check of a JWT. Argument: ws or uws.
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { answer } from "../support/answering.ts";
import { type Mint, padding } from "../support/minting.ts";

const [, , library] = process.argv;
const key = Buffer.alloc(32, 7);
const AUTH_REQUIRED = '{"type":"auth_required","ha_version":"2026.11.0","gatehouse":{"protocol":1}}';
const AUTH_OK = '{"type":"auth_ok","ha_version":"2026.11.0"}';
const AUTH_INVALID = '{"type":"auth_invalid","message":"Invalid access token or password"}';

const sign = (data: string) => createHmac("sha256", key).update(data).digest();

let minted = 0;

function token(pad: string): string {
  const now = Math.floor(Date.now() / 1000);
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  minted += 1;
  const sub = String(minted).padStart(32, "0");
  const claims = { iss: "http://127.0.0.1:8123", sub, iat: now, exp: now + 1800, pad };
  const data = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${data}.${sign(data).toString("base64url")}`;
}

/** As long as Gatehouse's: the padding replaces the claims of RFC 9068 and the ES256 signature. */
function mint({ n, bytes }: Mint): string[] {
  const pad = padding(bytes, token("").length);
  return Array.from({ length: n }, () => token(pad));
}

interface Message {
  readonly type: string;
  readonly access_token?: unknown;
  readonly id?: unknown;
}

interface State {
  authenticated?: true;
}

/** The answer to a socket, authenticated or not. */
function reply(text: string, state: State): string {
  const message = JSON.parse(text) as Message;
  if (state.authenticated === true && message.type === "ping")
    return JSON.stringify({ id: message.id, type: "pong" });
  if (!isGood(message)) return AUTH_INVALID;
  state.authenticated = true;
  return AUTH_OK;
}

function isGood({ type, access_token: accessToken }: Message): boolean {
  if (type !== "auth" || typeof accessToken !== "string") return false;
  const [head = "", body = "", signature = ""] = accessToken.split(".");
  const expected = sign(`${head}.${body}`);
  const given = Buffer.from(signature, "base64url");
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return false;
  return (JSON.parse(Buffer.from(body, "base64url").toString()) as { exp: number }).exp > Date.now() / 1000;
}

function ready(port: number, version: string): void {
  answer({ port, version }, { mint });
}

const versionOf = (name: string) =>
  (createRequire(import.meta.url)(`${name}/package.json`) as { version: string }).version;

if (library === "ws") {
  const { WebSocketServer } = await import("ws");
  const server = createServer();
  new WebSocketServer({ server, perMessageDeflate: false }).on("connection", (socket) => {
    socket.send(AUTH_REQUIRED);
    socket.on("error", () => {});
    const state: State = {};
    socket.on("message", (data) => socket.send(reply(data.toString(), state)));
  });
  server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () =>
    ready((server.address() as AddressInfo).port, versionOf("ws")),
  );
} else {
  const { default: uws } = await import("uWebSockets.js");
  uws
    .App()
    .ws<State>("/api/websocket", {
      open: (socket) => {
        socket.send(AUTH_REQUIRED);
      },
      message: (socket, data) => {
        socket.send(reply(Buffer.from(data).toString(), socket.getUserData()));
      },
    })
    .listen("127.0.0.1", 0, (listener) =>
      ready(uws.us_socket_local_port(listener), versionOf("uWebSockets.js")),
    );
}
