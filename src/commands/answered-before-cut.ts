import type { RevocationCause } from "../auth/model.ts";
import type { SocketSession } from "../connection/session.ts";

/** The change may end the session of the sender. Then its socket closes with the commit, after the answer. */
export async function answeredBeforeCut(
  from: { readonly id: number; readonly session: SocketSession; readonly cause: RevocationCause },
  change: () => Promise<unknown>,
): Promise<void> {
  const undo = from.session.answerBeforeCut(from.id, { success: true, result: null }, [from.cause]);
  await change().finally(undo);
}
