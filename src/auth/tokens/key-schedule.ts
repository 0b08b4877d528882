import type { SigningKeyInfo } from "./keyring.ts";

/** When keys sign and how long they are needed: a pure function of the record and the clock, so every node agrees. */
export interface ScheduledKey {
  readonly kid: string;
  readonly createdAt: number;
  readonly signsFrom: number;
  /** Long-lived tokens need the key until then, beyond its normal retirement (ms since the epoch). 0: none. */
  readonly promisedUntil: number;
}

/**
 * How long after a switch a node that does not know of it yet (its clock is behind, its reload is late) may still
 * sign with the old key, ms.
 */
export const switchSlackMs = 5 * 60_000;

/**
 * The key that signs now: the last added one of those whose `signsFrom` has passed. So a key that was rotated in at
 * once also supersedes one that is not due yet. If the clock is before all of them, the first key signs.
 */
export function signingKeyAt<Key extends ScheduledKey>(keys: readonly Key[], now: number): Key {
  const key = keys.findLast((candidate) => candidate.signsFrom <= now) ?? keys[0];
  if (key === undefined) throw new RangeError("a keyring has at least one key");
  return key;
}

/** When a later key replaces the key at `position`. Undefined if none is planned. */
export function retiresAt(keys: readonly ScheduledKey[], position: number): number | undefined {
  const later = keys.slice(position + 1).map((key) => key.signsFrom);
  return later.length === 0 ? undefined : Math.min(...later);
}

/**
 * When the last token that the key may have signed expires. Undefined while it may still sign. `longestTokenMs` is
 * the longest life of a token that is issued without a promise.
 */
export function neededUntil(
  keys: readonly ScheduledKey[],
  position: number,
  longestTokenMs: number,
): number | undefined {
  const retired = retiresAt(keys, position);
  if (retired === undefined) return undefined;
  return Math.max(retired + longestTokenMs + switchSlackMs, keys[position]?.promisedUntil ?? 0);
}

/** The keys that verify at `now`, oldest first, each with its state. */
export function describeKeys(
  keys: readonly ScheduledKey[],
  now: number,
  longestTokenMs: number,
): readonly SigningKeyInfo[] {
  const signing = keys.indexOf(signingKeyAt(keys, now));
  return keys.flatMap((key, position) => {
    const until = neededUntil(keys, position, longestTokenMs) ?? Number.POSITIVE_INFINITY;
    if (until <= now) return [];
    const state = position === signing ? "active" : position < signing ? "retired" : "published";
    return {
      kid: key.kid,
      alg: "ES256",
      state,
      createdAt: key.createdAt,
      signsFrom: key.signsFrom,
      neededUntil: state === "retired" ? until : null,
    } as const;
  });
}
