import { AuthError } from "../errors.ts";
import type { IndexKey, JsonObject, RecordKey, Step, Store } from "../store.ts";

/** Records at one moment, and changes to write. */
export interface Draft {
  get(key: RecordKey): JsonObject | undefined;
  put(key: RecordKey, value: JsonObject, expiresAt: number): void;
  remove(key: RecordKey): void;
  /** Together with a change of the member's record only. */
  link(member: IndexMember): void;
  unlink(member: IndexMember): void;
}

export interface IndexMember {
  readonly index: IndexKey;
  readonly member: string;
}

/** Counters in the store that many callers change at once, on every node. */
export interface Counters {
  /**
   * Runs `change` on the records of `keys`, and resolves with its result after the commit. `change` may run several
   * times, so it must only read and write the draft, and must throw before it writes. Rejects with what `change`
   * throws, with `conflict` after `maxAttempts` conflicts with other nodes, and with the store's error.
   */
  change<Result>(keys: readonly RecordKey[], change: (draft: Draft) => Result): Promise<Result>;
}

interface Waiting {
  readonly keys: readonly RecordKey[];
  /** Returns what to call once the writes are committed. */
  readonly run: (draft: Draft) => () => void;
  readonly reject: (error: unknown) => void;
}

const maxBatch = 64;
const maxAttempts = 8;

/**
 * All changes that arrive during a commit go into one next commit. So a burst on one counter causes no conflicts, and
 * if the store fails all of them are rejected at once.
 */
export function createCounters(store: Store): Counters {
  const waiting: Waiting[] = [];
  let working = false;

  const work = async () => {
    working = true;
    for (let batch = waiting.splice(0, maxBatch); batch.length > 0; batch = waiting.splice(0, maxBatch)) {
      await commitBatch(store, batch).catch((error: unknown) => {
        for (const { reject } of [...batch, ...waiting.splice(0)]) reject(error);
      });
    }
    working = false;
  };

  return {
    change: (keys, change) =>
      new Promise((resolve, reject) => {
        const run = (draft: Draft) => {
          try {
            const result = change(draft);
            return () => resolve(result);
          } catch (error) {
            return () => reject(error);
          }
        };
        waiting.push({ keys, run, reject });
        if (!working) void work();
      }),
  };
}

async function commitBatch(store: Store, batch: readonly Waiting[]): Promise<void> {
  const keys = [...new Set(batch.flatMap((each) => each.keys))];
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const records = await store.get(keys);
    const draft = new RecordDraft(keys.map((key, place) => [key, records[place]?.value]));
    const done = batch.map(({ run }) => run(draft));
    const versions = new Map(keys.map((key, place) => [key, records[place]?.version ?? 0]));
    const step = draft.step(versions);
    const outcome = step === undefined ? { ok: true } : await store.commit(step);
    if (!outcome.ok) continue;
    for (const tell of done) tell();
    return;
  }
  throw new AuthError("conflict", { detail: `counters changed ${maxAttempts} times` });
}

class RecordDraft implements Draft {
  readonly #values: Map<RecordKey, JsonObject | undefined>;
  readonly #written = new Map<RecordKey, number | undefined>();
  /** The last change of each member. */
  readonly #members = new Map<string, IndexMember & { readonly linked: boolean }>();

  constructor(values: readonly (readonly [RecordKey, JsonObject | undefined])[]) {
    this.#values = new Map(values);
  }

  get(key: RecordKey): JsonObject | undefined {
    return this.#values.get(key);
  }

  put(key: RecordKey, value: JsonObject, expiresAt: number): void {
    this.#values.set(key, value);
    this.#written.set(key, expiresAt);
  }

  remove(key: RecordKey): void {
    this.#values.set(key, undefined);
    this.#written.set(key, undefined);
  }

  link(member: IndexMember): void {
    this.#members.set(member.member, { ...member, linked: true });
  }

  unlink(member: IndexMember): void {
    this.#members.set(member.member, { ...member, linked: false });
  }

  /** Undefined when nothing was written. */
  step(versions: ReadonlyMap<RecordKey, number>): Step | undefined {
    if (this.#written.size === 0) return undefined;
    const check = [...this.#written.keys()].map((key) => ({ key, version: versions.get(key) ?? 0 }));
    const put: NonNullable<Step["put"]>[number][] = [];
    const remove: RecordKey[] = [];
    for (const [key, expiresAt] of this.#written) {
      const value = this.#values.get(key);
      if (value === undefined || expiresAt === undefined) remove.push(key);
      else put.push({ key, value, expiresAt });
    }
    const members = [...this.#members.values()];
    const which = (wanted: boolean) =>
      members.filter(({ linked }) => linked === wanted).map(({ index, member }) => ({ index, member }));
    return { check, put, remove, link: which(true), unlink: which(false) };
  }
}
