import { GatewayError } from "./errors.ts";
import type { WebSocketConstructor } from "./message-socket.ts";

/** The given WebSocket, the runtime's own, or on Node 20 the `ws` package's. Rejects with `cannot_connect` if there is none. */
export async function webSocketOf(given: {
  readonly WebSocket?: WebSocketConstructor;
}): Promise<WebSocketConstructor> {
  if (given.WebSocket !== undefined) return given.WebSocket;
  const found = globalThis.WebSocket as WebSocketConstructor | undefined;
  if (found !== undefined) return found;
  try {
    const { WebSocket } = await import("ws");
    return WebSocket as unknown as WebSocketConstructor;
  } catch (cause) {
    const text =
      "This runtime has no WebSocket: add the ws package to the project, or pass one as `WebSocket`";
    throw new GatewayError("cannot_connect", text, { cause });
  }
}
