import type { Message } from "../../test/chaos/chaos-socket.ts";
import { connectLine } from "../../test/faults/line.ts";

/** An authenticated socket that is in use until it is closed. Times are of `performance.now`, ms. */
export interface BusySocket {
  readonly ended: Promise<End>;
}

export interface End {
  /** When it was closed, or sent the command that was never answered, if that was before. */
  readonly unservedFrom: number;
  readonly closedAt: number;
}

/** From an answer to the next command. */
const pauseMs = 10;

/**
 * Sends, one after the other, commands that the node answers out of its memory, so that nothing but what it knows, or
 * does not know, of revocations keeps the answer back. Rejects unless the token is taken.
 */
export async function openBusySocket(port: number, token: string): Promise<BusySocket> {
  const { socket, frames, closed } = await connectLine(port, token);
  let askedAt = Number.POSITIVE_INFINITY;
  void keepAsking();
  return {
    ended: closed.then(({ at }) => {
      return { unservedFrom: Math.max(lastServed(frames), Math.min(at, askedAt)), closedAt: at };
    }),
  };

  async function keepAsking(): Promise<void> {
    while (socket.isOpen) {
      askedAt = performance.now();
      const { kind } = await socket.request("supported_features", { features }, neverMs);
      if (kind === "answer") askedAt = Number.POSITIVE_INFINITY;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

const features = { auth_suspended: 1 };
/** The socket's end comes first. */
const neverMs = 600_000;
/** A suspended socket is told so, and its pings are answered. */
const unserved: ReadonlySet<unknown> = new Set(["auth_suspended", "pong"]);

/** When the last frame came that only a socket that is served is sent; -Infinity when there was none. */
export function lastServed(frames: readonly { readonly at: number; readonly message: Message }[]): number {
  return frames.findLast(({ message }) => !unserved.has(message.type))?.at ?? Number.NEGATIVE_INFINITY;
}
