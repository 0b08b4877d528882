/**
 * Write transactions of this process that have not ended, for each file. lmdb-js opens a file with a synchronous write,
 * and an asynchronous write holds the file's write lock until this thread has run its callback. So opening a file a
 * second time in one process could deadlock. lmdb has one environment for each file and process, so this registry is
 * global to the process, not part of a store. It is the only state of that kind.
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
export function trackWrite<T>(path: string, write: () => Promise<T>): Promise<T> {
  const writes = underWay(path);
  const promise = write().finally(() => writes.delete(promise));
  writes.add(promise);
  return promise;
}

export function isWriting(path: string): boolean {
  return underWay(path).size > 0;
}

/** After this resolves, and until the caller's next await, this process has no write transaction open. */
export async function writesSettled(path: string): Promise<void> {
  while (isWriting(path)) await Promise.allSettled([...underWay(path)]);
}
