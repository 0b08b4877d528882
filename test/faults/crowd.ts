import { startProcess } from "../support/child-process.ts";
import type { CrowdOrder } from "./crowd-process.ts";

/** Many sockets in a process of their own. */
export interface Crowd {
  /** Resolves once the last one is closed: when, by `monotonicNow`, and with which codes. */
  closed(deadlineMs: number): Promise<{ readonly at: number; readonly codes: readonly number[] }>;
  /** Ends them; resolves with the number of sockets that were open. */
  dismiss(): Promise<number>;
  kill(): void;
}

const openMs = 60_000;
const script = new URL("./crowd-process.ts", import.meta.url);

export async function gather(order: CrowdOrder): Promise<Crowd> {
  const child = startProcess({ script, args: [JSON.stringify(order)] });
  const kill = () => child.kill("SIGKILL");
  const open = child.line(new RegExp(`^open ${order.sockets}$`), openMs);
  const early = child.exited.then((end) => Promise.reject(new Error(`ended with ${end}: ${child.stderr}`)));
  await Promise.race([open, early]).catch((error: unknown) => {
    kill();
    throw error;
  });
  early.catch(() => undefined);
  return {
    kill,
    async closed(deadlineMs) {
      const [, , at, codes = ""] = (await child.line(/^closed /, deadlineMs)).split(" ");
      return { at: Number(at), codes: codes.split(",").map(Number) };
    },
    async dismiss() {
      child.kill("SIGTERM");
      return Number((await child.line(/^left /)).split(" ")[1]);
    },
  };
}
