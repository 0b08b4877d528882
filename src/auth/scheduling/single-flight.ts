/** A task that is run repeatedly, never twice at the same time. */
export interface SingleFlight {
  /** Runs now, or waits for the current run. Never rejects. */
  now(): Promise<void>;
  /**
   * Schedules a run: at once, or `ms` after the last scheduled run began. Further calls until then are for the same
   * run.
   */
  within(ms: number): void;
  /** Starts no further run. A current run ends normally. */
  stop(): void;
}

export function createSingleFlight(options: {
  readonly run: () => Promise<void>;
  readonly onFault: (error: unknown) => void;
}): SingleFlight {
  let running: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let lastScheduledAt = Number.NEGATIVE_INFINITY;
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
  const runScheduled = async () => {
    timer = undefined;
    await running;
    lastScheduledAt = performance.now();
    await now();
  };
  return {
    now,
    within(ms) {
      if (stopped || timer !== undefined) return;
      const wait = Math.max(0, lastScheduledAt + ms - performance.now());
      timer = setTimeout(() => void runScheduled(), wait).unref();
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
