import { setTimeout } from "node:timers/promises";

import { AuthError } from "../auth/errors.ts";
import type { Log } from "../observability/log.ts";
import { isDamage } from "../store/embedded/damage.ts";
import { reasonOf } from "../store/unavailable.ts";

/** How long a start waits for a store that answers late, ms. */
const retryForMs = 5_000;
const pauseMs = 250;

/**
 * Retries a store operation that the start depends on, while the store reports that it is unavailable. Each retry is
 * logged; `what` follows "could not". An attempt may have been carried out although its answer was lost. Rejects with
 * `unavailable` after 5 s plus the attempt in progress at that time.
 */
export async function retryAtStartup<T>(
  what: string,
  log: Pick<Log, "warn"> | undefined,
  attempt: () => Promise<T>,
): Promise<T> {
  const end = performance.now() + retryForMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!isTemporary(error)) throw error;
      const detail = reasonOf(error);
      if (performance.now() >= end) throw givenUp(what, detail, error);
      log?.warn({ detail }, `the store does not answer in time; could not ${what} yet, trying again`);
      await setTimeout(pauseMs);
    }
  }
}

/** A temporary error of the store gives a time to retry after. Damage is permanent. */
function isTemporary(error: unknown): boolean {
  if (isDamage(error)) return false;
  return error instanceof AuthError && error.code === "unavailable" && error.retryAfterSeconds !== undefined;
}

function givenUp(what: string, detail: string, cause: unknown): AuthError {
  return new AuthError("unavailable", {
    detail: `could not ${what} within ${retryForMs / 1_000} s: ${detail}`,
    cause,
  });
}
