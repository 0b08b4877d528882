import { AuthError } from "./errors.ts";

const mostAttempts = 8;

/**
 * Optimistic concurrency: runs `attempt`, which reads, decides and commits, until its commit was not in conflict
 * (undefined means that it was). Throws `conflict` when others were faster every time.
 */
export async function retryConflicts<Result>(attempt: () => Promise<Result | undefined>): Promise<Result> {
  for (let count = 0; count < mostAttempts; count += 1) {
    const result = await attempt();
    if (result !== undefined) return result;
  }
  throw new AuthError("conflict", { detail: `a commit was in conflict ${mostAttempts} times` });
}
