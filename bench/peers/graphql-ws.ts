// graphql-ws on ws: a JWT in the payload of `connection_init`, checked in `onConnect`.
import { createServer } from "node:http";
import { buildSchema } from "graphql";
import { useServer } from "graphql-ws/use/ws";
import { WebSocketServer } from "ws";
import { answer } from "../support/answering.ts";
import type { Mint } from "../support/minting.ts";
import { installedVersion } from "./installed.ts";
import { listening } from "./listening.ts";
import { Tokens } from "./tokens.ts";

const tokens = new Tokens();
const http = createServer();

interface Context {
  readonly connectionParams?: { readonly token?: unknown };
  readonly extra: { user?: string };
}

useServer(
  {
    schema: buildSchema("type Query { ping: String } type Subscription { greetings: String }"),
    roots: { query: { ping: () => "pong" } },
    // `false` closes with 4403.
    onConnect({ connectionParams, extra }: Context) {
      try {
        extra.user = tokens.verify(connectionParams?.token).sub;
        return true;
      } catch {
        return false;
      }
    },
  },
  new WebSocketServer({ server: http, path: "/graphql", perMessageDeflate: false }),
);

const port = await listening(http);
answer({ port, version: installedVersion("graphql-ws") }, { mint: (wanted: Mint) => tokens.mint(wanted) });
