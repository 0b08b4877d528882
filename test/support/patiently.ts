import { setTimeout } from "node:timers/promises";

const passing: ReadonlySet<unknown> = new Set(["unavailable", "overloaded", "conflict"]);

/** Tries again while the gateway says that it cannot just now: a busy machine may be too slow for its lease. */
export async function patiently<Result>(work: () => Promise<Result>, tries = 40): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (tries === 0 || !passing.has((error as { readonly code?: unknown }).code)) throw error;
    await setTimeout(250);
    return await patiently(work, tries - 1);
  }
}
