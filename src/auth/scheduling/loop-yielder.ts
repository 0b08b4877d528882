/**
 * Lets long work give way: of all that wait for `next`, one goes on in each turn of the event loop, in the order of
 * asking. So a turn takes one slice longer at most, however many lists are at work.
 */
export interface LoopYielder {
  next(): Promise<void>;
}

/** Records that are read and judged in one slice: about a millisecond. */
export const sliceSize = 100;

export function createLoopYielder(): LoopYielder {
  const waiting: (() => void)[] = [];
  const release = () => {
    waiting.shift()?.();
    if (waiting.length > 0) setImmediate(release);
  };
  return {
    next: () =>
      new Promise((resolve) => {
        if (waiting.push(resolve) === 1) setImmediate(release);
      }),
  };
}
