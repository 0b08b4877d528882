import { AuthError } from "../auth/errors.ts";

/** The store cannot answer now. `detail` is for the log: it names the fault and holds no secret and no value. */
export function unavailable(detail: string, cause?: unknown): AuthError {
  return new AuthError("unavailable", {
    detail,
    retryAfterSeconds: 1,
    cause,
  });
}

/** The message of anything that was thrown, on one line. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll(/\s+/g, " ").slice(0, 300);
}
