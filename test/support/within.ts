/**
 * Waits for `promise`, at most `ms`, and names what did not arrive. The default suits a busy machine: it detects a hang
 * and says nothing about speed.
 */
export async function within<T>(promise: Promise<T>, what: string, ms = 60_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms);
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/**
 * How long a page may take to show something, ms. It ends what hangs, a little before the test does, so that the error
 * names what was awaited. It says nothing about speed: a busy machine takes a minute for what takes a second elsewhere.
 */
export const pageWaitMs = 240_000;

/** The same for one answer of a server to a client that has nothing else to do, ms. */
export const answerWaitMs = 120_000;
