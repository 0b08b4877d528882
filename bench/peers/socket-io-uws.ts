// Socket.IO on uWebSockets.js, as its page on performance recommends for most connections: a JWT in `handshake.auth`.

import uws from "uWebSockets.js";
import { Server } from "socket.io";
import { answer } from "../support/answering.ts";
import type { Mint } from "../support/minting.ts";
import { installedVersion } from "./installed.ts";
import { authenticateSockets } from "./socket-io-middleware.ts";
import { Tokens } from "./tokens.ts";

const tokens = new Tokens();
const app = uws.App();
const io = new Server({ transports: ["websocket"], serveClient: false });
io.attachApp(app);
authenticateSockets(io, tokens);

app.listen("127.0.0.1", 0, (listener) => {
  if (listener === false) throw new Error("cannot listen");
  answer(
    { port: uws.us_socket_local_port(listener), version: installedVersion("socket.io") },
    { mint: (wanted: Mint) => tokens.mint(wanted) },
  );
});
