import type { Clock } from "../../clock/clock.ts";
import type { AuthError } from "../../errors.ts";
import { upstreamError } from "./upstream-error.ts";

const freshMs = 3_600_000;
/** A provider that failed is asked again after this time, ms. */
export const retryMs = 5_000;

/** One request at a time, one value for `freshMs`, and a pause after a failure. A value outlives later failures. */
export function cachedUpstream<Value>(
  clock: Pick<Clock, "monotonic">,
  read: () => Promise<Value>,
): () => Promise<Value> {
  let known: { readonly value: Value; readonly at: number } | undefined;
  let failed: { readonly error: AuthError; readonly at: number } | undefined;
  let reading: Promise<Value> | undefined;
  const readNow = async () => {
    try {
      const value = await read();
      known = { value, at: clock.monotonic() };
      failed = undefined;
      return value;
    } catch (error) {
      failed = { error: upstreamError(error), at: clock.monotonic() };
      if (known !== undefined) return known.value;
      throw failed.error;
    } finally {
      reading = undefined;
    }
  };
  return async () => {
    const now = clock.monotonic();
    if (known !== undefined && now - known.at < freshMs) return known.value;
    if (failed !== undefined && now - failed.at < retryMs) {
      if (known !== undefined) return known.value;
      throw failed.error;
    }
    reading ??= readNow();
    return await reading;
  };
}
