import { createRemoteJWKSet, customFetch, type RemoteJWKSet } from "jose";
import { type BoundedFetch, UpstreamRequestError } from "../../../net/bounded-fetch.ts";
import type { Clock } from "../../clock/clock.ts";
import { retryMs } from "./upstream-cache.ts";

/** After a failure nothing is sent for a while: anybody may send logout tokens, and each one asks for keys. */
function pausing(clock: Pick<Clock, "monotonic">, fetch: BoundedFetch): BoundedFetch {
  let pausedUntil = Number.NEGATIVE_INFINITY;
  return async (url, init) => {
    if (clock.monotonic() < pausedUntil)
      throw new UpstreamRequestError("the provider's keys could not be read a moment ago", true);
    try {
      const response = await fetch(url, init);
      if (response.status !== 200) pausedUntil = clock.monotonic() + retryMs;
      return response;
    } catch (error) {
      pausedUntil = clock.monotonic() + retryMs;
      throw error;
    }
  };
}

/** Gives the keys of a `jwks_uri`. They are cached, and read again for a key id that is not known, once in a while. */
export function createRemoteKeys(
  clock: Pick<Clock, "monotonic">,
  boundedFetch: BoundedFetch,
  timeoutMs: number,
): (uri: string) => RemoteJWKSet {
  const fetch = pausing(clock, boundedFetch);
  let known: { readonly uri: string; readonly keys: RemoteJWKSet } | undefined;
  return (uri) => {
    if (known?.uri !== uri) {
      const keys = createRemoteJWKSet(new URL(uri), { [customFetch]: fetch, timeoutDuration: timeoutMs });
      known = { uri, keys };
    }
    return known.keys;
  };
}
