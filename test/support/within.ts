/**
 * Waits for `promise`, at most `ms`; names what was waited for when it did not come. The default is for a machine that is
 * busy with other things: it says that something hangs, never how fast it should have been.
 */
export async function within<T>(promise: Promise<T>, what: string, ms = 60_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms);
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
