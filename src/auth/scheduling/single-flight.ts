/** A task that is run again and again, one run after the other. */
export interface SingleFlight {
  /** Runs now, or waits for the run that is under way. Never rejects. */
  now(): Promise<void>;
  /** Runs at once, or `ms` after the last such run began; asking again meanwhile asks for the same run. */
  within(ms: number): void;
  /** Nothing runs any more; a run that is under way ends. */
  stop(): void;
}

export function createSingleFlight(options: {
  readonly run: () => Promise<void>;
  readonly onFault: (error: unknown) => void;
}): SingleFlight {
  let running: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let hurriedAt = Number.NEGATIVE_INFINITY;
  let stopped = false;

  const now = (): Promise<void> => {
    if (stopped) return Promise.resolve();
    running ??= options
      .run()
      .catch(options.onFault)
      .finally(() => {
        running = undefined;
      });
    return running;
  };
  const hurried = async () => {
    timer = undefined;
    await running;
    hurriedAt = performance.now();
    await now();
  };
  return {
    now,
    within(ms) {
      if (stopped || timer !== undefined) return;
      const wait = Math.max(0, hurriedAt + ms - performance.now());
      timer = setTimeout(() => void hurried(), wait).unref();
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
