import { AuthError } from "./errors.ts";
import type { RevocationView } from "./revocation/view.ts";

type View = Pick<RevocationView, "followGeneration">;

/**
 * A store that was left behind, or came back without its data, answers that sessions, users and codes are gone which are
 * there. So what the store has not, and what it has as over, counts only where this node was trusted, and followed the log
 * of the very server that answered, from before the question until after the answer. Otherwise nobody is told that
 * anything is over: it is `unavailable`, and the client comes again.
 */
export async function consistentRead<Found>(
  view: View,
  ask: () => Promise<Found>,
  isOver: (found: Found) => boolean,
): Promise<Found> {
  const before = view.followGeneration;
  const found = await ask();
  if (isOver(found) && !isUnchanged(view, before)) throw untrusted();
  return found;
}

/**
 * For what gives on the store's word: it is not asked at all where nothing can be `consistentRead`, so that it uses nothing up;
 * and what it tells by an error, that something is over or wrong, counts under the same condition.
 */
export async function requireFollowedLog<Found>(view: View, ask: () => Promise<Found>): Promise<Found> {
  const before = view.followGeneration;
  if (before === undefined) throw untrusted();
  try {
    return await ask();
  } catch (error) {
    if (error instanceof AuthError && error.code !== "unavailable" && !isUnchanged(view, before))
      throw untrusted(error);
    throw error;
  }
}

function isUnchanged(view: View, before: number | undefined): boolean {
  return before !== undefined && view.followGeneration === before;
}

export function untrusted(cause?: AuthError): AuthError {
  return new AuthError("unavailable", {
    detail: "the revocation view is not up to date",
    retryAfterSeconds: 1,
    cause,
  });
}
