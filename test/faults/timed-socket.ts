import { ChaosSocket, type Message } from "../chaos/chaos-socket.ts";
import { within } from "../support/within.ts";

/** An authenticated socket that records when everything arrived. Times are of `performance.now`, ms. */
export interface TimedSocket {
  readonly socket: ChaosSocket;
  readonly frames: readonly { readonly at: number; readonly message: Message }[];
  readonly closed: Promise<{ readonly at: number; readonly code: number }>;
  /** When a message of this type arrives, or arrived. */
  messageAt(type: string, deadlineMs?: number): Promise<number>;
}

/** Rejects if the token is refused. The client negotiates suspension. */
export async function connectTimedSocket(port: number, token: string): Promise<TimedSocket> {
  const socket = await ChaosSocket.open(port);
  if (socket === undefined) throw new Error("no socket");
  const frames: { at: number; message: Message }[] = [];
  const waiting = new Set<() => void>();
  const closed = socket.closed.then((code) => ({ at: performance.now(), code }));
  const reception = await socket.authenticate(token, 60_000);
  if (reception.kind !== "ok") throw new Error(`refused with ${reception.code}`);
  socket.onMessage = (message) => {
    frames.push({ at: performance.now(), message });
    for (const look of waiting) look();
  };
  await socket.request("supported_features", { features: { auth_suspended: 1 } });
  return {
    socket,
    frames,
    closed,
    messageAt(type, deadlineMs = 60_000) {
      const found = () => frames.find(({ message }) => message.type === type)?.at;
      const arrival = new Promise<number>((resolve) => {
        const look = () => {
          const at = found();
          if (at === undefined) return;
          waiting.delete(look);
          resolve(at);
        };
        waiting.add(look);
        look();
      });
      return within(arrival, type, deadlineMs);
    },
  };
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

export function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
