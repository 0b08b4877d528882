import { watch } from "node:fs";

/**
 * Reports writes of any process to a file (inotify, kqueue). If the system cannot watch the file, or stops watching it,
 * nothing is reported. So the caller must poll as well.
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
