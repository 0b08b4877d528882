import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";

export interface ScriptedSocket {
  /** Index of this socket among all sockets of the gateway, from 0. */
  readonly place: number;
  /** What the client has sent, in order. */
  readonly heard: readonly ScriptedMessage[];
  send(message: unknown): void;
  close(code: number, reason?: string): void;
}

export interface ScriptedMessage {
  readonly id?: number;
  readonly type: string;
  readonly [key: string]: unknown;
}

export interface ScriptedGateway {
  readonly url: string;
  /** Every socket that was ever opened. */
  readonly sockets: readonly ScriptedSocket[];
  /** Sockets that are open now. */
  readonly open: number;
  stop(): Promise<void>;
}

/**
 * A scripted server: it sends what a test wants and when, so rare events of a real gateway can be tested. `answer`
 * returns the result of a message, or undefined for no answer or if it has answered itself. With `hold` the upgrade
 * itself waits for it.
 */
export async function startScriptedGateway(
  answer: (message: ScriptedMessage, socket: ScriptedSocket) => unknown,
  hold: () => Promise<void> = () => Promise.resolve(),
): Promise<ScriptedGateway> {
  const server = new WebSocketServer({
    port: 0,
    host: "127.0.0.1",
    verifyClient: (_info, done) => void hold().then(() => done(true)),
  });
  const sockets: ScriptedSocket[] = [];
  server.on("connection", (ws: WebSocket) => {
    const heard: ScriptedMessage[] = [];
    const socket = {
      place: sockets.length,
      heard,
      send: (message: unknown) => ws.send(typeof message === "string" ? message : JSON.stringify(message)),
      close: (code: number, reason = "") => ws.close(code, reason),
    };
    sockets.push(socket);
    ws.on("message", (data) => {
      const message = JSON.parse(String(data)) as ScriptedMessage;
      heard.push(message);
      const result = answer(message, socket);
      if (result !== undefined) socket.send({ id: message.id, type: "result", success: true, result });
    });
    socket.send({ type: "auth_required", ha_version: "2026.11.0", gatehouse: { protocol: 1 } });
  });
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sockets,
    get open() {
      return server.clients.size;
    },
    async stop() {
      for (const client of server.clients) client.terminate();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
