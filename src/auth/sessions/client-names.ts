import { AuthError } from "../errors.ts";
import type { Session } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import type { RecordKey, Store } from "../store.ts";

/**
 * Removes the claims of long-lived tokens that are over on their names. A claim that stays counts for nothing, but would
 * stay until the token's own end. Rejects only for a defect: what the store does not take now is left there.
 */
export async function releaseNames(store: Store, sessions: readonly Session[]): Promise<void> {
  const claims = sessions.flatMap(({ id, type, userId, clientName }) =>
    type === "long_lived_access_token" && clientName !== null
      ? [{ id, key: recordKeys.clientName(userId, clientName) }]
      : [],
  );
  if (claims.length === 0) return;
  try {
    const records = await store.get(claims.map(({ key }) => key));
    for (const [place, { id, key }] of claims.entries()) {
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
