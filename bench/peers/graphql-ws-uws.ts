// graphql-ws on uWebSockets.js, through its own adapter.

import uws from "uWebSockets.js";
import { makeBehavior } from "graphql-ws/use/uWebSockets";
import { answer } from "../support/answering.ts";
import type { Mint } from "../support/minting.ts";
import { serverOptions } from "./graphql-schema.ts";
import { installedVersion } from "./installed.ts";
import { Tokens } from "./tokens.ts";

const tokens = new Tokens();
uws
  .App()
  .ws("/graphql", makeBehavior(serverOptions(tokens)))
  .listen("127.0.0.1", 0, (listener) => {
    if (listener === false) throw new Error("cannot listen");
    answer(
      { port: uws.us_socket_local_port(listener), version: installedVersion("graphql-ws") },
      { mint: (wanted: Mint) => tokens.mint(wanted) },
    );
  });
