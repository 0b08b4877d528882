import { GatewayError } from "./errors.ts";
import type { MessageSocket } from "./message-socket.ts";
import type { StoredTokens } from "./token-store.ts";

/**
 * The client's state from one `connect`, `login` or `close` to the next. Whatever belongs to an earlier run has no
 * effect any more: its socket is closed and its promises reject.
 */
export interface Run {
  /** The socket that is opening, in the auth phase, or in use. */
  socket: MessageSocket | undefined;
  /** The tokens that authenticated the socket last. */
  tokens: StoredTokens | undefined;
  retry: ReturnType<typeof setTimeout> | undefined;
  refreshing: Promise<void> | undefined;
  /** The server found the access token expired: reconnect with the refresh token. */
  refreshFirst: boolean;
  /** `performance.now()` when the socket was authenticated. */
  authenticatedAt: number;
  /** The client ends the session itself: the close that follows is not a disconnect. */
  leaving: boolean;
}

export function newRun(): Run {
  return {
    socket: undefined,
    tokens: undefined,
    retry: undefined,
    refreshing: undefined,
    refreshFirst: false,
    authenticatedAt: 0,
    leaving: false,
  };
}

/** What a promise of an earlier run rejects with. */
export function replaced(): GatewayError {
  return new GatewayError("not_connected", "Closed, or replaced by a later connect or login");
}
