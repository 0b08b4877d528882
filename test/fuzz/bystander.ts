import { waitedForProcessor } from "../support/machine-share.ts";
import { openSocket } from "../support/socket-client.ts";

export interface Watched {
  /** Milliseconds of each ping. */
  readonly pings: readonly number[];
  /** The same without the time in which the gateway or this process was ready, and the machine ran others. */
  readonly served: readonly number[];
  /** What should not have happened to it. */
  readonly faults: readonly string[];
}

const everyMs = 25;

/** Somebody at another address, authenticated, who pings until `over` and notes what happens to them. */
export async function watchBystander(
  gateway: { readonly port: number; readonly pid: number },
  accessToken: string,
  over: Promise<unknown>,
): Promise<Watched> {
  const socket = await openSocket(gateway.port, { from: "127.0.9.9" });
  const waited = () => waitedForProcessor(gateway.pid) + waitedForProcessor(process.pid);
  const pings: number[] = [];
  const served: number[] = [];
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
    const [began, waitedBefore] = [performance.now(), waited()];
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
    const took = performance.now() - began;
    pings.push(took);
    served.push(Math.max(0, took - (waited() - waitedBefore)));
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  socket.terminate();
  return { pings, served, faults };
}
