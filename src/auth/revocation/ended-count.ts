import type { Clock } from "../clock.ts";
import { indexKeys, recordKeys } from "../record-keys.ts";
import { type Epochs, highestEpoch, readEpochsOfClients } from "../sessions/session-epochs.ts";
import { bornAt, readableSession, sessionState, type VersionedSession } from "../sessions/session-record.ts";
import type { IndexKey, Store } from "../store.ts";
import type { EpochTarget } from "./revocation.ts";

/** How much counting may cost: milliseconds, and reads of the store. */
export interface CountLimits {
  readonly withinMs: number;
  readonly reads: number;
}

/** A user costs one read, or three with sessions. 5000 took 0.1 to 0.2 s of this process, and 0.03 s of Redis. */
export const countLimits: CountLimits = { withinMs: 1_000, reads: 5_000 };

/** A raise of an epoch that has been committed. */
export interface Raised {
  readonly target: EpochTarget;
  /** The epoch before it. */
  readonly before: number;
  readonly epoch: number;
  /** When it was committed, ms since the epoch. */
  readonly at: number;
}

interface CountTools {
  readonly store: Store;
  readonly clock: Clock;
}

const userPage = 500;
const sessionPage = 500;
/** Users whose sessions are read at the same time. */
const width = 16;

/**
 * How many sessions were live and ended with this raise, by their records, which stay: user by user. Null where that takes
 * more than the limits, or where the store does not answer; the last read may go beyond the time. NOT counted: a session
 * whose record something else has removed since. Never rejects.
 */
export async function countEnded(
  tools: CountTools,
  raised: Raised,
  limits: CountLimits,
): Promise<number | null> {
  try {
    return await new EndedCount(tools, raised, limits).run();
  } catch {
    return null;
  }
}

class EndedCount {
  readonly #tools: CountTools;
  readonly #raised: Raised;
  readonly #deadline: number;
  #readsLeft: number;

  constructor(tools: CountTools, raised: Raised, limits: CountLimits) {
    this.#tools = tools;
    this.#raised = raised;
    this.#readsLeft = limits.reads;
    this.#deadline = tools.clock.monotonic() + limits.withinMs;
  }

  async run(): Promise<number> {
    let total = 0;
    try {
      for await (const userIds of this.#pages(indexKeys.users, userPage))
        total += await this.#ofUsers(userIds);
    } finally {
      // Of several at the same time one has failed: the others stop too.
      this.#readsLeft = 0;
    }
    return total;
  }

  async #ofUsers(userIds: readonly string[]): Promise<number> {
    const waiting = userIds.values();
    const work = async () => {
      let count = 0;
      for (const userId of waiting) count += await this.#ofUser(userId);
      return count;
    };
    const counts = await Promise.all(Array.from({ length: width }, work));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async #ofUser(userId: string): Promise<number> {
    let count = 0;
    for await (const ids of this.#pages(indexKeys.sessionsOf(userId), sessionPage)) {
      this.#spend();
      const records = await this.#tools.store.get(ids.map(recordKeys.session));
      const meant = records.flatMap((record) => {
        const session = record && readableSession(record);
        return record !== undefined && session !== undefined && this.#means(session.clientId)
          ? [{ session, version: record.version }]
          : [];
      });
      count += await this.#endedOf(userId, meant);
    }
    return count;
  }

  async #endedOf(userId: string, sessions: readonly VersionedSession[]): Promise<number> {
    if (sessions.length === 0) return 0;
    this.#spend();
    const clientIds = sessions.map(({ session }) => session.clientId);
    const epochOf = await readEpochsOfClients(this.#tools.store, userId, clientIds);
    return sessions.filter((found) => this.#ended(found, epochOf(found.session.clientId))).length;
  }

  #means(clientId: string | null): boolean {
    const { target } = this.#raised;
    return target.kind === "all" || target.clientId === clientId;
  }

  /** What was raised since says nothing of that moment. */
  #ended(found: VersionedSession, epochs: Epochs): boolean {
    const { before, epoch, at } = this.#raised;
    const then = (version: number) => (version < epoch ? version : 0);
    const { user, all, client } = epochs;
    const others = highestEpoch({ user: then(user), all: then(all), client: then(client) });
    return (
      bornAt(found) < epoch && sessionState(found, Math.max(before, others), { now: () => at }) === "live"
    );
  }

  async *#pages(index: IndexKey, limit: number): AsyncIterable<readonly string[]> {
    let after: string | undefined;
    for (;;) {
      this.#spend();
      const page = await this.#tools.store.list(index, { limit, ...(after === undefined ? {} : { after }) });
      if (page.length > 0) yield page;
      after = page.at(-1);
      if (page.length < limit) return;
    }
  }

  #spend(): void {
    this.#readsLeft -= 1;
    if (this.#readsLeft < 0 || this.#tools.clock.monotonic() >= this.#deadline)
      throw new RangeError("there is more to count than the limits allow");
  }
}
