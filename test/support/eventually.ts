import { setTimeout } from "node:timers/promises";

const pollMs = 20;

/** Thrown by what `eventually` polls: it will never hold. */
export class Hopeless extends Error {}

/**
 * Polls until `holds` returns true; a rejection counts as "not yet", except `Hopeless`, which ends it. For conditions without an event, such as the state
 * of a real server. Resolves with the moment (`performance.now()`) at which it held. The default deadline suits a busy
 * machine: it detects a hang and says nothing about speed.
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
      if (error instanceof Hopeless) throw error;
      fault = error;
    }
    if (performance.now() > end) throw new Error(`waited ${ms} ms for ${what}`, { cause: fault });
    await setTimeout(pollMs);
  }
}
