import type { WebSocketConstructor } from "./wire.ts";

/** The runtime's own WebSocket, or, on Node 20, the `ws` package's. */
export async function defaultWebSocket(): Promise<WebSocketConstructor> {
  const found = globalThis.WebSocket as WebSocketConstructor | undefined;
  if (found !== undefined) return found;
  const { WebSocket } = await import("ws");
  return WebSocket as unknown as WebSocketConstructor;
}
