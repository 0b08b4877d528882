import { dialects as peers } from "../peers/dialects.ts";

/** How a client of one kind authenticates on a bare WebSocket, as data. */
export interface Dialect {
  readonly path: string;
  readonly subprotocol?: string;
  /** Frames are binary; their bytes are the characters of the text. */
  readonly binary?: true;
  /**
   * In turn: send the frame, if there is one, and wait for a frame that holds `until`. The client computes a `reply`
   * from the token and the last received frame while the clock runs.
   */
  readonly exchange: readonly {
    readonly send?: (token: string) => string;
    readonly reply?: (token: string, last: string) => string;
    readonly until: string;
  }[];
}

/** Home Assistant's client sends `auth` as soon as the socket is open, without waiting for `auth_required`. */
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
