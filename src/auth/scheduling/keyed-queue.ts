/** Runs the tasks of one key one after another, in the order of asking; tasks of different keys at the same time. */
export interface KeyedQueue {
  run<Result>(key: string, task: () => Promise<Result>): Promise<Result>;
  /** Keys with a task that is waiting or at work. */
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
      // The next task follows whether this one fails or not.
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
