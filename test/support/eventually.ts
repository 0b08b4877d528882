import { setTimeout } from "node:timers/promises";

const pollMs = 20;

/**
 * Waits until `holds` gives true; what it rejects with counts as not yet. For what tells nobody when it is done, such as a
 * real server. Gives the moment (`performance.now()`) at which it held. The default deadline is for a busy machine: it says that something hangs, never how fast it should be.
 */
export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
  ms = 60_000,
): Promise<number> {
  const end = performance.now() + ms;
  let fault: unknown;
  for (;;) {
    try {
      if (await holds()) return performance.now();
      fault = undefined;
    } catch (error) {
      fault = error;
    }
    if (performance.now() > end) throw new Error(`waited ${ms} ms for ${what}`, { cause: fault });
    await setTimeout(pollMs);
  }
}
