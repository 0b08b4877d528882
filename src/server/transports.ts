import type { Transport } from "../transport/transport.ts";

/**
 * The transport of that name. `uws` is loaded on demand only, because its native module is optional. Rejects with a
 * readable reason if it cannot be used here.
 */
export async function loadTransport(
  name: "ws" | "uws",
  onError: (error: unknown) => void,
): Promise<Transport> {
  if (name === "ws") {
    const { createWsTransport } = await import("../transport/ws.ts");
    return createWsTransport({ onError });
  }
  const { createUwsTransport } = await import("../transport/uws.ts");
  return await createUwsTransport({ onError });
}
