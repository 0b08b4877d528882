// The lower bound of a message on an open socket: the bare library, JSON.parse of the message, JSON.stringify of the
// same answer. Every `auth` message is accepted. Argument: ws or uws.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { answer, collectGarbage } from "../support/answering.ts";

const [, , library] = process.argv;
const AUTH_REQUIRED = '{"type":"auth_required","ha_version":"2026.11.0","gatehouse":{"protocol":1}}';
const AUTH_OK = '{"type":"auth_ok","ha_version":"2026.11.0"}';

function answerTo(text: string): string {
  const { id, type } = JSON.parse(text) as { id?: number; type: string };
  return type === "auth" ? AUTH_OK : JSON.stringify({ id, type: "pong" });
}

function ready(port: number, name: string): void {
  const { version } = createRequire(import.meta.url)(`${name}/package.json`) as { version: string };
  const mint = ({ n }: { n: number }) => Array.from({ length: n }, () => "anybody");
  answer({ port, version }, { mint, settle: collectGarbage });
}

if (library === "ws") {
  const { WebSocketServer } = await import("ws");
  const server = createServer();
  new WebSocketServer({ server, perMessageDeflate: false }).on("connection", (socket) => {
    socket.send(AUTH_REQUIRED);
    socket.on("error", () => {});
    socket.on("message", (data) => socket.send(answerTo(data.toString())));
  });
  server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () =>
    ready((server.address() as AddressInfo).port, "ws"),
  );
} else {
  const { default: uws } = await import("uWebSockets.js");
  uws
    .App()
    .ws("/api/websocket", {
      open: (socket) => {
        socket.send(AUTH_REQUIRED);
      },
      message: (socket, data) => {
        socket.send(answerTo(Buffer.from(data).toString()));
      },
    })
    .listen("127.0.0.1", 0, (listener) => ready(uws.us_socket_local_port(listener), "uWebSockets.js"));
}
