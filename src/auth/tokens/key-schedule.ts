import type { SigningKeyInfo } from "./keyring.ts";

/** When keys sign and how long they are needed: a pure function of the record and the clock, alike on every node. */
export interface ScheduledKey {
  readonly kid: string;
  readonly createdAt: number;
  readonly signsFrom: number;
  /** Tokens were promised to verify with it until then, beyond what its retirement gives. 0: none. */
  readonly promisedUntil: number;
}

/**
 * How long after a switch a node that has not learned of it yet (its clock behind, its reload late) may still sign with
 * the old key.
 */
export const switchSlackMs = 5 * 60_000;

/**
 * The key that signs now: of those whose time has come, the one that was added last. So a key that was rotated in at
 * once also supersedes one that is still waiting. The first key signs when a clock is behind all of them.
 */
export function signingKeyAt<Key extends ScheduledKey>(keys: readonly Key[], now: number): Key {
  const key = keys.findLast((candidate) => candidate.signsFrom <= now) ?? keys[0];
  if (key === undefined) throw new RangeError("a keyring has at least one key");
  return key;
}

/** When a later key takes over from the key at `position`; undefined while none is planned. */
export function retiresAt(keys: readonly ScheduledKey[], position: number): number | undefined {
  const later = keys.slice(position + 1).map((key) => key.signsFrom);
  return later.length === 0 ? undefined : Math.min(...later);
}

/**
 * The end of the last token that the key may have signed; undefined while it may still sign. `longestTokenMs` is the
 * life of the longest token that is handed out without a promise.
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
