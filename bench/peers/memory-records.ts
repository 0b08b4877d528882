interface Payload {
  readonly grantId?: string;
  consumed?: number;
}

/**
 * oidc-provider's storage port over maps. Its own memory adapter keeps only the last 1,000 records, so it cannot hold a
 * round's refresh tokens. Records do not expire: a round is shorter than any lifetime.
 */
export class MemoryRecords {
  readonly #records = new Map<string, Payload>();
  readonly #byGrant: Map<string, (() => void)[]>;

  constructor(byGrant: Map<string, (() => void)[]>) {
    this.#byGrant = byGrant;
  }

  /** One for each kind of record. They share the index by grant, which the revocation of a grant clears. */
  static factory(): (model: string) => MemoryRecords {
    const byGrant = new Map<string, (() => void)[]>();
    return () => new MemoryRecords(byGrant);
  }

  async upsert(id: string, payload: Payload): Promise<void> {
    this.#records.set(id, payload);
    const { grantId } = payload;
    if (grantId === undefined) return;
    const remove = () => void this.#records.delete(id);
    const others = this.#byGrant.get(grantId);
    if (others === undefined) this.#byGrant.set(grantId, [remove]);
    else others.push(remove);
  }

  async find(id: string): Promise<Payload | undefined> {
    return this.#records.get(id);
  }

  /** Browser sessions and device codes are never stored. */
  async findByUid(): Promise<undefined> {}

  async findByUserCode(): Promise<undefined> {}

  async consume(id: string): Promise<void> {
    const record = this.#records.get(id);
    if (record !== undefined) record.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id: string): Promise<void> {
    this.#records.delete(id);
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    for (const remove of this.#byGrant.get(grantId) ?? []) remove();
    this.#byGrant.delete(grantId);
  }
}
