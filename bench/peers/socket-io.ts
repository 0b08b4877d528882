// Socket.IO: a JWT in `handshake.auth`, checked in a middleware of the namespace.
import { createServer } from "node:http";
import { Server } from "socket.io";
import { answer } from "../support/answering.ts";
import type { Mint } from "../support/minting.ts";
import { installedVersion } from "./installed.ts";
import { listening } from "./listening.ts";
import { authenticateSockets } from "./socket-io-middleware.ts";
import { Tokens } from "./tokens.ts";

const tokens = new Tokens();
const http = createServer();
const io = new Server(http, { transports: ["websocket"], serveClient: false, perMessageDeflate: false });

// Its page on performance recommends not to keep the upgrade request.
io.engine.on("connection", (raw: { request: unknown }) => {
  raw.request = null;
});

authenticateSockets(io, tokens);

const port = await listening(http);
answer({ port, version: installedVersion("socket.io") }, { mint: (wanted: Mint) => tokens.mint(wanted) });
