import { watch } from "node:fs";

/**
 * Tells of writes to a file (inotify, kqueue), also those of other processes. Where the system cannot watch, or stops to,
 * nothing is told: whoever needs to know looks from time to time as well.
 */
export function watchFile(path: string, onWrite: () => void): () => void {
  try {
    const watcher = watch(path, { persistent: false }, onWrite);
    watcher.on("error", () => watcher.close());
    return () => watcher.close();
  } catch {
    return () => undefined;
  }
}
