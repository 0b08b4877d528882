// The lower bound of fan-out: the bare library hands the same bytes to everybody who subscribed to a topic. Every `auth`
// message is accepted, and nobody's rights are asked. Argument: ws or uws.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import type { WebSocket } from "ws";
import { answer, collectGarbage } from "../support/answering.ts";

const [, , library] = process.argv;
const AUTH_OK = '{"type":"auth_ok","ha_version":"2026.11.0"}';

interface Message {
  readonly id?: number;
  readonly type: string;
  readonly topic: string;
  readonly data?: unknown;
}

const confirmed = (id: number | undefined) => `{"id":${id},"type":"result","success":true,"result":null}`;
/** With the subscription's id left out: everybody gets the same bytes. */
const eventOf = ({ topic, data }: Message) =>
  JSON.stringify({ type: "event", event: { topic, data, time: Date.now() } });

function ready(port: number, name: string): void {
  const { version } = createRequire(import.meta.url)(`${name}/package.json`) as { version: string };
  const mint = ({ n }: { n: number }) => Array.from({ length: n }, () => "anybody");
  answer({ port, version }, { mint, settle: collectGarbage });
}

if (library === "ws") {
  const { WebSocketServer } = await import("ws");
  const server = createServer();
  const topics = new Map<string, Set<WebSocket>>();
  new WebSocketServer({ server, perMessageDeflate: false }).on("connection", (socket) => {
    socket.on("error", () => {});
    socket.on("message", (data) => {
      const message = JSON.parse(data.toString()) as Message;
      if (message.type === "auth") return socket.send(AUTH_OK);
      if (message.type === "subscribe") {
        const subscribers = topics.get(message.topic) ?? new Set();
        topics.set(message.topic, subscribers.add(socket));
      } else {
        // Made once, as the package's documentation of broadcasts advises: a text would be encoded for each socket.
        const event = Buffer.from(eventOf(message));
        for (const subscriber of topics.get(message.topic) ?? []) subscriber.send(event, { binary: false });
      }
      socket.send(confirmed(message.id));
    });
  });
  server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () =>
    ready((server.address() as AddressInfo).port, "ws"),
  );
} else {
  const { default: uws } = await import("uWebSockets.js");
  const app = uws.App();
  app
    .ws("/api/websocket", {
      message: (socket, data) => {
        const message = JSON.parse(Buffer.from(data).toString()) as Message;
        if (message.type === "auth") {
          socket.send(AUTH_OK);
          return;
        }
        if (message.type === "subscribe") socket.subscribe(message.topic);
        else app.publish(message.topic, eventOf(message));
        socket.send(confirmed(message.id));
      },
    })
    .listen("127.0.0.1", 0, (listener) => ready(uws.us_socket_local_port(listener), "uWebSockets.js"));
}
