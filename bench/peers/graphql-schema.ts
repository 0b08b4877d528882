import { buildSchema } from "graphql";
import type { Tokens } from "./tokens.ts";

interface Context {
  readonly connectionParams?: { readonly token?: unknown };
  readonly extra: { user?: string };
}

/** The options of both graphql-ws servers: a JWT in the payload of `connection_init`, checked in `onConnect`. */
export function serverOptions(tokens: Tokens) {
  return {
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
  };
}
