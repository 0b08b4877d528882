import type { Store } from "../store.ts";
import { LoopTurns } from "./loop-turns.ts";

/**
 * The same store. If many commits are answered at once, which is what stores do that write them together, their callers
 * continue in turns, in the order of the answers. Revocations do not wait for that: they are applied from the log.
 */
export function commitsInTurns(store: Store, turns = new LoopTurns()): Store {
  return {
    kind: store.kind,
    get: (keys) => store.get(keys),
    list: (index, page) => store.list(index, page),
    hasMoreThan: (index, count) => store.hasMoreThan(index, count),
    async commit(step) {
      try {
        return await store.commit(step);
      } finally {
        await turns.next();
      }
    },
    follow: (since, onEntries, onBreak) => store.follow(since, onEntries, onBreak),
    comparePositions: (a, b) => store.comparePositions(a, b),
    guarantee: () => store.guarantee(),
    primaryConfirmedAt: () => store.primaryConfirmedAt(),
    time: () => store.time(),
    health: () => store.health(),
    close: () => store.close(),
  };
}
