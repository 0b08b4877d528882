/**
 * Lets long work yield to the event loop. Of all callers that wait for `next`, one continues in each iteration of the
 * loop, in the order of the calls. So an iteration takes at most one slice longer, however many lists are being read.
 */
export interface LoopYielder {
  next(): Promise<void>;
}

/** Records that are read and checked in one slice: about a millisecond. */
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
