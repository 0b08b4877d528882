/** The store's file holds something else than was written. `message` says what to do. */
export class DamageError extends Error {
  constructor(what: string) {
    super(`the data file is damaged: ${what}; restore a backup`);
    this.name = "DamageError";
  }
}
