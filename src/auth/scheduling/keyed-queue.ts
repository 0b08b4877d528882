/**
 * Runs the tasks of one key one after another, in the order of the calls. Tasks of different keys run concurrently.
 */
export interface KeyedQueue {
  run<Result>(key: string, task: () => Promise<Result>): Promise<Result>;
  /** How many keys have a task that waits or runs. */
  readonly keys: number;
}

export function createKeyedQueue(): KeyedQueue {
  const tails = new Map<string, Promise<unknown>>();
  return {
    get keys() {
      return tails.size;
    },
    run(key, task) {
      const result = (tails.get(key) ?? Promise.resolve()).then(task);
      // The next task runs whether or not this one fails.
      const tail = result.then(
        () => undefined,
        () => undefined,
      );
      tails.set(key, tail);
      void tail.then(() => {
        if (tails.get(key) === tail) tails.delete(key);
      });
      return result;
    },
  };
}
