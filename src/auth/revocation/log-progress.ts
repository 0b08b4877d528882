/** How far this node has applied the log, for what other nodes decide on after an entry. */
export interface LogProgress {
  /**
   * The number of the newest commit that took rights away or changed them, as far as this node has applied it. Own
   * commits count at once.
   */
  readonly newestChange: number;
  /** Every entry up to this commit number was read and applied, in the log's order. */
  readonly readUpTo: number;
  /** Called after `readUpTo` has risen. Returns a function that removes the listener. */
  onRead(listener: () => void): () => void;
  /** Resolves with true once `readUpTo` has reached the version. False: that took longer than `timeoutMs`. */
  whenRead(version: number, timeoutMs: number): Promise<boolean>;
}

export interface MutableLogProgress extends LogProgress {
  changed(version: number): void;
  read(version: number): void;
  /** Calls the listeners, once for several entries. */
  notify(): void;
}

export function createLogProgress(onFault: (error: unknown) => void): MutableLogProgress {
  const listeners = new Set<{ readonly listener: () => void }>();
  let newestChange = 0;
  let readUpTo = 0;
  let notified = 0;
  const onRead = (listener: () => void) => {
    const entry = { listener };
    listeners.add(entry);
    return () => {
      listeners.delete(entry);
    };
  };
  return {
    get newestChange() {
      return newestChange;
    },
    get readUpTo() {
      return readUpTo;
    },
    changed(version) {
      newestChange = Math.max(newestChange, version);
    },
    read(version) {
      readUpTo = Math.max(readUpTo, version);
    },
    notify() {
      if (notified === readUpTo) return;
      notified = readUpTo;
      for (const { listener } of [...listeners]) {
        try {
          listener();
        } catch (error) {
          onFault(error);
        }
      }
    },
    onRead,
    async whenRead(version, timeoutMs) {
      if (version <= readUpTo) return true;
      return await new Promise((resolve) => {
        const settle = (isRead: boolean) => {
          clearTimeout(timer);
          stop();
          resolve(isRead);
        };
        const timer = setTimeout(() => settle(false), timeoutMs).unref();
        const stop = onRead(() => {
          if (version <= readUpTo) settle(true);
        });
      });
    },
  };
}
