import type { Store } from "../auth/store.ts";

/** Told of every call: what it was, how long it took, whether it was rejected. */
export type StoreCallObserver = (operation: string, seconds: number, failed: boolean) => void;

/** The same store; reads and commits are measured. */
export function measuredStore(store: Store, observe: StoreCallObserver): Store {
  const measured = async <T>(operation: string, call: () => Promise<T>): Promise<T> => {
    const began = performance.now();
    let failed = true;
    try {
      const result = await call();
      failed = false;
      return result;
    } finally {
      observe(operation, (performance.now() - began) / 1000, failed);
    }
  };
  return {
    kind: store.kind,
    get: (keys) => measured("get", () => store.get(keys)),
    list: (index, page) => measured("list", () => store.list(index, page)),
    hasMoreThan: (index, count) => measured("count", () => store.hasMoreThan(index, count)),
    commit: (step) => measured("commit", () => store.commit(step)),
    follow: (since, onEntries, onBreak) => store.follow(since, onEntries, onBreak),
    comparePositions: (a, b) => store.comparePositions(a, b),
    guarantee: () => store.guarantee(),
    primaryConfirmedAt: () => store.primaryConfirmedAt(),
    time: () => store.time(),
    health: () => store.health(),
    close: () => store.close(),
  };
}
