import { setTimeout } from "node:timers/promises";

import { AuthError } from "../auth/errors.ts";
import type { Log } from "../observability/log.ts";
import { isDamage } from "../store/embedded/damage.ts";
import { reasonOf } from "../store/unavailable.ts";

/** How long a start waits for a store that answers late, or not at once. */
const patienceMs = 5_000;
const pauseMs = 250;

/**
 * What a start asks of the store, and has to be done or the gateway cannot start: tried again while the store says that
 * it cannot answer now, with a line in the log for each time. `what` follows "could not". An attempt may have been carried
 * out although its answer was lost. Rejects with `unavailable` after 5 s and the attempt that is under way then.
 */
export async function retryAtStartup<T>(
  what: string,
  log: Pick<Log, "warn"> | undefined,
  attempt: () => Promise<T>,
): Promise<T> {
  const end = performance.now() + patienceMs;
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

/** An error of the store that may pass says when to come again. Damage does not pass. */
function isTemporary(error: unknown): boolean {
  if (isDamage(error)) return false;
  return error instanceof AuthError && error.code === "unavailable" && error.retryAfterSeconds !== undefined;
}

function givenUp(what: string, detail: string, cause: unknown): AuthError {
  return new AuthError("unavailable", {
    detail: `could not ${what} within ${patienceMs / 1_000} s: ${detail}`,
    cause,
  });
}
