import type { Message } from "../../test/chaos/chaos-socket.ts";
import { connectTimedSocket } from "../../test/faults/timed-socket.ts";

/** An authenticated socket that is in use until it is closed. Times are of `performance.now`, ms. */
export interface BusySocket {
  readonly ended: Promise<End>;
}

export interface End {
  /** When it was closed, or when it sent the command that was never answered, if that was before. */
  readonly unservedFrom: number;
  readonly closedAt: number;
}

/** Pause from an answer to the next command, ms. */
const pauseMs = 10;

/**
 * Sends commands one after the other. The node answers them from its memory, so only its knowledge of revocations can
 * hold an answer back. Rejects if the token is refused.
 */
export async function openBusySocket(port: number, token: string): Promise<BusySocket> {
  const { socket, frames, closed } = await connectTimedSocket(port, token);
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
/** Longer than the socket lives. */
const neverMs = 600_000;
/** A suspended socket gets these messages, and answers to its pings. */
const unserved: ReadonlySet<unknown> = new Set(["auth_suspended", "pong"]);

/** When the last frame arrived that only a served socket gets; -Infinity if there was none. */
export function lastServed(frames: readonly { readonly at: number; readonly message: Message }[]): number {
  return frames.findLast(({ message }) => !unserved.has(message.type))?.at ?? Number.NEGATIVE_INFINITY;
}
