import { openSocket } from "../support/socket-client.ts";

export interface Watched {
  /** Milliseconds of each ping. */
  readonly pings: readonly number[];
  /** What should not have happened to it. */
  readonly faults: readonly string[];
}

const everyMs = 25;

/** Somebody at another address, authenticated, who pings until `over` and notes what happens to them. */
export async function watchBystander(
  port: number,
  accessToken: string,
  over: Promise<unknown>,
): Promise<Watched> {
  const socket = await openSocket(port, { from: "127.0.9.9" });
  const pings: number[] = [];
  const faults: string[] = [];
  const first = await socket.authenticate(accessToken);
  if (first.type !== "auth_ok") faults.push(`not let in: ${JSON.stringify(first)}`);
  await socket.call("supported_features", { features: { auth_suspended: 1 } });
  console.log("watching");
  let going = true;
  void over.finally(() => {
    going = false;
  });
  for (let id = 10; going && faults.length === 0; id += 1) {
    const began = performance.now();
    socket.send({ id, type: "ping" });
    for (;;) {
      const message = (await socket.next().catch((error: unknown) => ({ type: String(error) }))) as {
        readonly type: string;
        readonly id?: number;
      };
      if (message.type === "pong" && message.id === id) break;
      faults.push(JSON.stringify(message));
      if (message.type.includes("Error")) break;
    }
    pings.push(performance.now() - began);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  socket.terminate();
  return { pings, faults };
}
