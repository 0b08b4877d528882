import { PROTOCOL_VERSION, SOCKET_PATH } from "../../../protocol/features.ts";
import { json } from "../answers.ts";
import type { Endpoint } from "../exchange.ts";

/** `GET /`: says what this is, to a person who opens the address in a browser. */
export function landingEndpoint(publicUrl: () => string): Endpoint {
  return () => {
    const base = publicUrl();
    return json({
      name: "gatehouse",
      description: "A WebSocket-first authentication gateway.",
      protocol: PROTOCOL_VERSION,
      links: {
        socket: `${base.replace(/^http/, "ws")}${SOCKET_PATH}`,
        metadata: `${base}/.well-known/oauth-authorization-server`,
        jwks: `${base}/.well-known/jwks.json`,
        setup: `${base}/setup`,
        health: `${base}/healthz`,
      },
    });
  };
}
