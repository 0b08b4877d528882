import type { Keyring } from "./keyring.ts";

const retryMs = 1_000;

/** Keeps this node's keyring what the log says it is; a reload that fails is tried again until it succeeds. */
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
        // The store is away. The keys at hand go on; a new one signs only long after it was published.
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
