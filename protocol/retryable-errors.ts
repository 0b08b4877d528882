import type { ErrorName } from "./errors.ts";

/**
 * The codes of `errors.ts` with `retryable`, for clients: the table's texts would be an eighth of what they load. A
 * test compares the two.
 */
export const retryableErrors: readonly ErrorName[] = [
  "timeout",
  "unavailable",
  "overloaded",
  "rate_limited",
  "conflict",
  "too_many_flows",
  "provider_unavailable",
];
