// graphql-ws on ws: a JWT in the payload of `connection_init`, checked in `onConnect`.
import { createServer } from "node:http";
import { useServer } from "graphql-ws/use/ws";
import { WebSocketServer } from "ws";
import { answer } from "../support/answering.ts";
import type { Mint } from "../support/minting.ts";
import { serverOptions } from "./graphql-schema.ts";
import { installedVersion } from "./installed.ts";
import { listening } from "./listening.ts";
import { Tokens } from "./tokens.ts";

const tokens = new Tokens();
const http = createServer();
useServer(
  serverOptions(tokens),
  new WebSocketServer({ server: http, path: "/graphql", perMessageDeflate: false }),
);

const port = await listening(http);
answer({ port, version: installedVersion("graphql-ws") }, { mint: (wanted: Mint) => tokens.mint(wanted) });
