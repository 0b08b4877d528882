import { AuthError } from "../../src/auth/errors.ts";
import type { Step, Store } from "../../src/auth/store.ts";
import { openEmbeddedStore } from "../../src/store/embedded/embedded-store.ts";
import type { HandClock } from "./hand-clock.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/** A real store with hooks on reads and before commits. */
export interface InterposedStore extends Store {
  /**
   * Runs once before the next commit that matches `when`; the commit waits for it. Commits made inside pass. If it
   * fails as `unavailable`, because another connection to the store is not back yet, it runs again.
   */
  beforeCommit(when: (step: Step) => boolean, run: () => Promise<unknown>): void;
  /** Reads, and commits that are no heartbeat: a slow machine may see one in between. */
  readonly calls: { get: number; commit: number };
  get: Store["get"];
  list: Store["list"];
}

export function interposed(store: Store): InterposedStore {
  let waiting: { readonly when: (step: Step) => boolean; readonly run: () => Promise<unknown> } | undefined;
  const calls = { get: 0, commit: 0 };
  return {
    kind: store.kind,
    calls,
    get(keys) {
      calls.get += 1;
      return store.get(keys);
    },
    list: (index, page) => store.list(index, page),
    hasMoreThan: (index, count) => store.hasMoreThan(index, count),
    async commit(step) {
      if (!isHeartbeat(step)) calls.commit += 1;
      const interruption = waiting;
      if (interruption?.when(step) === true) {
        waiting = undefined;
        await insistently(interruption.run);
      }
      return store.commit(step);
    },
    follow: (since, onEntries, onBreak) => store.follow(since, onEntries, onBreak),
    comparePositions: (a, b) => store.comparePositions(a, b),
    guarantee: () => store.guarantee(),
    primaryConfirmedAt: () => store.primaryConfirmedAt(),
    time: () => store.time(),
    health: () => store.health(),
    close: () => store.close(),
    beforeCommit(when, run) {
      waiting = { when, run };
    },
  };
}

function isHeartbeat({ log = [], ...rest }: Step): boolean {
  return Object.keys(rest).length === 0 && log.every(({ type }) => type === "heartbeat");
}

async function insistently(run: () => Promise<unknown>): Promise<void> {
  const end = performance.now() + 30_000;
  for (;;) {
    try {
      await run();
      return;
    } catch (error) {
      if (!(error instanceof AuthError) || error.code !== "unavailable" || performance.now() > end)
        throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** A temporary embedded store on `clock`, with the hooks. */
export async function interposedEmbeddedStore(clock: HandClock): Promise<{
  readonly store: InterposedStore;
  close(): Promise<void>;
}> {
  const folder = temporaryFolder();
  const storeClock = { now: clock.now, monotonic: () => performance.now() };
  const store = interposed(
    await openEmbeddedStore({ folder: folder.path, role: "gateway", clock: storeClock }),
  );
  return {
    store,
    async close() {
      await store.close();
      folder.remove();
    },
  };
}
