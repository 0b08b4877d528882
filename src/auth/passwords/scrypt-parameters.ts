import type { ScryptParameters } from "./passwords.ts";

/** OWASP's minimum for scrypt (Password Storage Cheat Sheet): 128 MiB and about 0.35 s on a core of the 2020s. */
export const defaultParameters: ScryptParameters = { N: 2 ** 17, r: 8, p: 1 };

const bounds = { N: 2 ** 20, r: 32, p: 16, memoryBytes: 1.1 * 2 ** 30, work: 2 ** 24 } as const;

/** Bytes that one run needs (RFC 7914 section 2, and OpenSSL's working blocks). */
export function memoryOf({ N, r, p }: ScryptParameters): number {
  return 128 * r * (N + p + 2);
}

/** The time of a run is proportional to it. */
function workOf({ N, r, p }: ScryptParameters): number {
  return N * r * p;
}

/**
 * False for parameters that are never run: N is not a power of two of at most 2^20, or is not below 2^(16 r) (RFC 7914 section 2), r is over 32, p is over 16, a run
 * needs more than about 1 GiB, or more than 16 times the work of the defaults. Parameters from a store or an import
 * must be checked with this first.
 */
export function areParametersSane(parameters: ScryptParameters): boolean {
  const { N, r, p } = parameters;
  const whole = [N, r, p].every((value) => Number.isSafeInteger(value) && value >= 1);
  if (!whole || N < 2 || N > bounds.N || r > bounds.r || p > bounds.p) return false;
  if (!Number.isInteger(Math.log2(N)) || Math.log2(N) >= 16 * r) return false;
  return memoryOf(parameters) <= bounds.memoryBytes && workOf(parameters) <= bounds.work;
}

/** Less memory or less work than `today`. */
export function areWeaker(stored: ScryptParameters, today: ScryptParameters): boolean {
  return stored.N * stored.r < today.N * today.r || workOf(stored) < workOf(today);
}

export function areSame(a: ScryptParameters, b: ScryptParameters): boolean {
  return a.N === b.N && a.r === b.r && a.p === b.p;
}
