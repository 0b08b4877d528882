import { neededUntil } from "./key-schedule.ts";
import type { DroppedKey, KeyringContents } from "./keyring-record.ts";
import { headerSegmentOf, type StoredKey, scheduleOf } from "./signing-keys.ts";

/**
 * Key ids that this node knows to be dropped, from the record or the log. It only grows, because a store may go back
 * in time.
 */
export interface DroppedKeys {
  add(kids: readonly string[]): void;
  has(kid: string): boolean;
  /** By the exact text of a token's protected header. */
  hasHeader(headerSegment: string): boolean;
}

export function createDroppedKeys(): DroppedKeys {
  const kids = new Set<string>();
  const headers = new Set<string>();
  return {
    add(added) {
      for (const kid of added) {
        if (kids.has(kid)) continue;
        kids.add(kid);
        headers.add(headerSegmentOf(kid));
      }
    },
    has: (kid) => kids.has(kid),
    hasHeader: (headerSegment) => headers.has(headerSegment),
  };
}

/** Beyond this number the oldest are removed. Their tokens are still refused, as tokens of unknown keys. */
const maxDropped = 1024;

/**
 * Replaces all keys with `next`. They are listed as dropped until the last token that they may have signed has
 * expired.
 */
export function withAllDropped(
  { keys, dropped }: KeyringContents,
  next: StoredKey,
  longestTokenMs: number,
): KeyringContents {
  const schedule = [...keys, next].map(scheduleOf);
  const droppedNow = keys.map(({ kid }, position) => ({
    kid,
    until: neededUntil(schedule, position, longestTokenMs) ?? next.signs_from,
  }));
  return { keys: [next], dropped: [...dropped, ...droppedNow].slice(-maxDropped) };
}

/** Removes keys whose tokens have all expired. */
export function notExpired(dropped: readonly DroppedKey[], now: number): readonly DroppedKey[] {
  return dropped.filter(({ until }) => until > now);
}

/**
 * Repairs a record that contains dropped keys again because the store went back in time. Keys that this node has
 * loaded and the store has lost are restored, so that their tokens stay valid. If there are none, `generate` makes
 * one. Returns the same object if nothing is wrong.
 */
export async function dropRevived(
  present: KeyringContents,
  tools: {
    readonly dropped: Pick<DroppedKeys, "has">;
    readonly loaded: readonly StoredKey[];
    readonly generate: () => Promise<StoredKey>;
    readonly longestTokenMs: number;
  },
): Promise<KeyringContents> {
  const isRevived = ({ kid }: StoredKey) => tools.dropped.has(kid);
  const revived = present.keys.filter(isRevived);
  if (revived.length === 0) return present;
  const presentIds = new Set(present.keys.map(({ kid }) => kid));
  const lost = tools.loaded.filter(({ kid }) => !presentIds.has(kid));
  const remaining = [...present.keys, ...lost].filter((key) => !isRevived(key));
  const [next = await tools.generate(), ...others] = remaining;
  const { dropped } = withAllDropped({ ...present, keys: revived }, next, tools.longestTokenMs);
  return { keys: [next, ...others], dropped };
}
