import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { WebSocket, WebSocketServer } from "ws";

import type { TlsPair } from "../../src/transport/tls.ts";

export type Altered = Record<string, unknown>;

export interface AlteringProxy {
  readonly url: string;
  /** Every text that came from a client, and from the gateway, before it was altered. */
  readonly fromClients: readonly string[];
  readonly fromGateway: readonly string[];
  /** Sends this to every client, in the gateway's name. */
  push(message: Altered): void;
  stop(): Promise<void>;
}

/**
 * Somebody in between, who reads and alters messages. With `tls` it ends the client's TLS with a certificate of its own
 * and speaks TLS to the gateway. A message that becomes undefined is held back.
 */
export async function startAlteringProxy(options: {
  readonly gateway: string;
  readonly tls?: TlsPair;
  /** Of TLS to the gateway. */
  readonly maxVersion?: "TLSv1.2";
  readonly toServer?: (message: Altered) => Altered | undefined;
  readonly toClient?: (message: Altered) => Altered | undefined;
}): Promise<AlteringProxy> {
  const { gateway, tls, maxVersion, toServer = same, toClient = same } = options;
  const http: Server =
    tls === undefined ? createServer() : createTlsServer({ cert: tls.certificate, key: tls.key });
  const server = new WebSocketServer({ server: http, handleProtocols: ([first]) => first ?? false });
  const [fromClients, fromGateway]: [string[], string[]] = [[], []];
  server.on("connection", (client) => {
    const upstream = new WebSocket(`${gateway.replace(/^http/, "ws")}/api/websocket`, ["gatehouse.v1.json"], {
      rejectUnauthorized: false,
      maxVersion,
    });
    const waiting: string[] = [];
    const pass = (text: string) =>
      upstream.readyState === WebSocket.OPEN ? upstream.send(text) : waiting.push(text);
    upstream.on("open", () => {
      for (const text of waiting.splice(0)) upstream.send(text);
    });
    client.on("message", (data) => {
      fromClients.push(String(data));
      const altered = toServer(JSON.parse(String(data)) as Altered);
      if (altered !== undefined) pass(JSON.stringify(altered));
    });
    upstream.on("message", (data) => {
      fromGateway.push(String(data));
      const altered = toClient(JSON.parse(String(data)) as Altered);
      if (altered !== undefined) client.send(JSON.stringify(altered));
    });
    client.on("close", () => upstream.terminate());
    client.on("error", () => upstream.terminate());
    upstream.on("close", () => client.terminate());
    upstream.on("error", () => client.terminate());
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const { port } = http.address() as AddressInfo;
  return {
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`,
    fromClients,
    fromGateway,
    push(message) {
      for (const client of server.clients) client.send(JSON.stringify(message));
    },
    async stop() {
      for (const client of server.clients) client.terminate();
      server.close();
      http.close();
      http.closeAllConnections();
      await once(http, "close");
    },
  };
}

function same(message: Altered): Altered {
  return message;
}
