import { dialects as peers } from "../peers/dialects.ts";

/** How a client of one kind gets authenticated on a bare WebSocket, as data. */
export interface Dialect {
  readonly path: string;
  readonly subprotocol?: string;
  /** In turn: send the frame, if there is one, and wait for a text frame that holds `until`. */
  readonly exchange: readonly { readonly send?: (token: string) => string; readonly until: string }[];
}

/** Home Assistant's: its client sends `auth` as soon as the socket is open, without waiting for `auth_required`. */
const homeAssistant: Dialect = {
  path: "/api/websocket",
  exchange: [
    { send: (token) => JSON.stringify({ type: "auth", access_token: token }), until: '"type":"auth_ok"' },
  ],
};

const all: Readonly<Record<string, Dialect>> = { "home-assistant": homeAssistant, ...peers };

export function dialectOf(name: string): Dialect {
  const dialect = all[name];
  if (dialect === undefined) throw new Error(`no dialect ${name}`);
  return dialect;
}
