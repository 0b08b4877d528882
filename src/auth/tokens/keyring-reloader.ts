import type { Keyring } from "./keyring.ts";

const retryMs = 1_000;

/** Reloads this node's keyring when the log reports a change. A failed reload is retried until it succeeds. */
export interface KeyringReloader {
  changed(): void;
  stop(): void;
}

export function createKeyringReloader(keyring: Pick<Keyring, "reload">): KeyringReloader {
  let timer: NodeJS.Timeout | undefined;
  let running = false;
  let due = false;
  let stopped = false;

  const run = async (): Promise<void> => {
    running = true;
    while (due && !stopped) {
      due = false;
      try {
        await keyring.reload();
      } catch {
        // The store is unavailable. The loaded keys stay in use; a new key signs only long after it was published.
        due = true;
        break;
      }
    }
    running = false;
    if (due && !stopped) timer = setTimeout(start, retryMs).unref();
  };
  const start = () => {
    clearTimeout(timer);
    if (!running && !stopped) void run();
  };

  return {
    changed() {
      due = true;
      start();
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
