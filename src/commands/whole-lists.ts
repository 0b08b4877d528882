import { AuthError } from "../auth/errors.ts";
import { createKeyedQueue } from "../auth/scheduling/keyed-queue.ts";
import type { SocketSession } from "../connection/session.ts";

/** Runs the commands that answer with a whole list. */
export interface WholeLists {
  /**
   * Runs one list of a user at a time, on whatever socket; the others wait in order. If the client has not read its
   * last list, the next one waits. Throws `unavailable` if the socket was closed or suspended meanwhile.
   */
  run<Result>(session: SocketSession, list: () => Promise<Result>): Promise<Result>;
}

const noRoom: unique symbol = Symbol("no room");

export function createWholeLists(): WholeLists {
  const turns = createKeyedQueue();
  return {
    async run<Result>(session: SocketSession, list: () => Promise<Result>): Promise<Result> {
      for (;;) {
        const result = await turns.run(session.principal.userId, async () => {
          // In a later tick, so that the answer to the list before this one was sent.
          await new Promise((resolve) => setImmediate(resolve));
          return session.live && !session.hasRoom ? noRoom : await listFor(session, list);
        });
        if (result !== noRoom) return result;
        await session.untilRoom();
      }
    },
  };
}

async function listFor<Result>(session: SocketSession, list: () => Promise<Result>): Promise<Result> {
  if (!session.live || !session.mayRun)
    throw new AuthError("unavailable", {
      detail: "the socket was closed or suspended before the list began",
    });
  return await list();
}
