/** The store's file does not hold what was written to it. `message` says what to do. */
export class DamageError extends Error {
  constructor(what: string) {
    super(`the data file is damaged: ${what}; restore a backup`);
    this.name = "DamageError";
  }
}

/** lmdb's errors for a tree that it cannot follow. Its BAD_TXN follows one of the others in the same transaction. */
const lmdbDamage = /MDB_(PAGE_NOTFOUND|CORRUPTED|INCOMPATIBLE)|freelist entry/;
const lmdbReadDamage = /MDB_(PAGE_NOTFOUND|CORRUPTED|INCOMPATIBLE|BAD_TXN)/;

/**
 * Returns `error`, or a `DamageError` in its place if damage caused it. In a transaction that only `reads`, a BAD_TXN
 * always means damage. In one that writes, a failing disk may be the cause.
 */
export function asDamageError(error: unknown, { reads }: { readonly reads: boolean }): unknown {
  const known = reads ? lmdbReadDamage : lmdbDamage;
  const isDamage = error instanceof Error && !(error instanceof DamageError) && known.test(error.message);
  return isDamage
    ? new DamageError(`its pages cannot be followed (${known.exec(error.message)?.[0]})`)
    : error;
}

/** True if damage caused `error`. Such an error is permanent. */
export function isDamage(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof DamageError) return true;
  return false;
}

/**
 * Parses what the store wrote as JSON. `what` follows "the data file is damaged" in the error. Throws `DamageError`.
 */
export function storedJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new DamageError(what);
  }
}
