import { AuthError } from "./errors.ts";
import type { RevocationView } from "./revocation/view.ts";

type View = Pick<RevocationView, "followGeneration">;

/**
 * Reads from the store, and trusts a negative answer only if the answer is consistent with the log. A store that is
 * stale, or came back without its data, reports sessions, users and codes as missing that exist. So "not found" and
 * "ended" count only if this node was trusted, and followed the log of the server that answered, from before the read
 * until after it. Otherwise this throws `unavailable`, and the client retries.
 */
export async function consistentRead<Found>(
  view: View,
  read: () => Promise<Found>,
  isNegative: (found: Found) => boolean,
): Promise<Found> {
  const before = view.followGeneration;
  const found = await read();
  if (isNegative(found) && !isUnchanged(view, before)) throw untrusted();
  return found;
}

/**
 * For a call that grants something because of what the store says. If the log is not followed, the call is not made
 * at all, so that it consumes nothing. An error of the call that says that something is missing, ended or wrong
 * counts under the same condition as in `consistentRead`.
 */
export async function requireFollowedLog<Found>(view: View, read: () => Promise<Found>): Promise<Found> {
  const before = view.followGeneration;
  if (before === undefined) throw untrusted();
  try {
    return await read();
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
