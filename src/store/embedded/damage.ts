/** The store's file holds something else than was written. `message` says what to do. */
export class DamageError extends Error {
  constructor(what: string) {
    super(`the data file is damaged: ${what}; restore a backup`);
    this.name = "DamageError";
  }
}

/** What lmdb says of a tree that it cannot follow. Its BAD_TXN follows one of the others in the same transaction. */
const lmdbDamage = /MDB_(PAGE_NOTFOUND|CORRUPTED|INCOMPATIBLE)|freelist entry/;
const lmdbReadDamage = /MDB_(PAGE_NOTFOUND|CORRUPTED|INCOMPATIBLE|BAD_TXN)/;

/**
 * `error`, or a `DamageError` in its place where lmdb ran into damage. In a transaction that only `reads` nothing but
 * damage is behind a BAD_TXN; in one that writes a disk that fails may be.
 */
export function nameDamage(error: unknown, { reads }: { readonly reads: boolean }): unknown {
  const known = reads ? lmdbReadDamage : lmdbDamage;
  const isDamage = error instanceof Error && !(error instanceof DamageError) && known.test(error.message);
  return isDamage
    ? new DamageError(`its pages cannot be followed (${known.exec(error.message)?.[0]})`)
    : error;
}

/** Whether damage is behind `error`: it does not pass. */
export function isDamage(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof DamageError) return true;
  return false;
}

/** What the store wrote as JSON; `what` follows "the data file is damaged". Throws `DamageError`. */
export function storedJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new DamageError(what);
  }
}
