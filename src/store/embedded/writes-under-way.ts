/**
 * Write transactions of this process that have not ended, per file. lmdb-js opens a file with a synchronous write,
 * while an asynchronous one holds the file's write lock until this thread has run its callback: opening a file a second
 * time in one process would wait for itself for ever. lmdb has one environment per file and process, so this belongs to
 * the process too, and not to a store: the only state of that kind here.
 */
const registry = Symbol.for("gatehouse.embedded.writes-under-way");

function underWay(path: string): Set<Promise<unknown>> {
  const holder = globalThis as { [registry]?: Map<string, Set<Promise<unknown>>> };
  holder[registry] ??= new Map();
  const writes = holder[registry].get(path) ?? new Set();
  holder[registry].set(path, writes);
  return writes;
}

/** Starts a write transaction and counts it until it has ended. */
export function countWrite<T>(path: string, write: () => Promise<T>): Promise<T> {
  const writes = underWay(path);
  const promise = write().finally(() => writes.delete(promise));
  writes.add(promise);
  return promise;
}

export function isWriting(path: string): boolean {
  return underWay(path).size > 0;
}

/** After this resolves, and until the caller's next await, no write of this process is under way. */
export async function noWriteUnderWay(path: string): Promise<void> {
  while (isWriting(path)) await Promise.allSettled([...underWay(path)]);
}
