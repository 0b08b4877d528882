// SocketCluster: its own auth engine checks the JWT that a client sends in `#handshake` or `#authenticate`.
import { createServer } from "node:http";
import { attach } from "socketcluster-server";
import { answer } from "../support/answering.ts";
import type { Mint } from "../support/minting.ts";
import { installedVersion } from "./installed.ts";
import { listening } from "./listening.ts";
import { Tokens } from "./tokens.ts";

const tokens = new Tokens();
const http = createServer();
const server = attach(http, { authKey: tokens.key, authAlgorithm: "HS256", perMessageDeflate: false });

interface Socket {
  procedure(name: string): AsyncIterable<{ end(answer: string): void }>;
}

async function answerPings(socket: Socket): Promise<void> {
  for await (const request of socket.procedure("ping")) request.end("pong");
}

void (async () => {
  for await (const { socket } of server.listener("connection")) void answerPings(socket);
})();

const port = await listening(http);
answer(
  { port, version: installedVersion("socketcluster-server") },
  { mint: (wanted: Mint) => tokens.mint(wanted) },
);
