import { AuthError } from "../errors.ts";
import type { Session } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import type { RecordKey, Store } from "../store.ts";

/**
 * Removes the name records of ended long-lived tokens. A name record that stays is ignored, but would stay until the
 * token's own expiry. Store errors are ignored for that reason; other errors are not.
 */
export async function releaseNames(store: Store, sessions: readonly Session[]): Promise<void> {
  const names = sessions.flatMap(({ id, type, userId, clientName }) =>
    type === "long_lived_access_token" && clientName !== null
      ? [{ id, key: recordKeys.clientName(userId, clientName) }]
      : [],
  );
  if (names.length === 0) return;
  try {
    const records = await store.get(names.map(({ key }) => key));
    for (const [place, { id, key }] of names.entries()) {
      const claim = records[place];
      if (claim?.value.session_id === id) await removeUnchanged(store, key, claim.version);
    }
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
  }
}

/** A new token may have taken the name over. */
async function removeUnchanged(store: Store, key: RecordKey, version: number): Promise<void> {
  await store.commit({ check: [{ key, version }], remove: [key] });
}
