import { neededUntil } from "./key-schedule.ts";
import type { DroppedKey, KeyringContents } from "./keyring-record.ts";
import { headerSegmentOf, type StoredKey, scheduleOf } from "./signing-keys.ts";

/** Key ids that this node knows to be dropped, by the record or by the log. Only grows: a store may go back in time. */
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
    add(more) {
      for (const kid of more) {
        if (kids.has(kid)) continue;
        kids.add(kid);
        headers.add(headerSegmentOf(kid));
      }
    },
    has: (kid) => kids.has(kid),
    hasHeader: (headerSegment) => headers.has(headerSegment),
  };
}

/** Beyond so many the oldest are forgotten. Their tokens are refused all the same, as those of unknown keys. */
const maxDropped = 1024;

/** `next` in place of all keys, which are listed as dropped until the last token that they may have signed has ended. */
export function withAllDropped(
  { keys, dropped }: KeyringContents,
  next: StoredKey,
  longestTokenMs: number,
): KeyringContents {
  const schedule = [...keys, next].map(scheduleOf);
  const gone = keys.map(({ kid }, position) => ({
    kid,
    until: neededUntil(schedule, position, longestTokenMs) ?? next.signs_from,
  }));
  return { keys: [next], dropped: [...dropped, ...gone].slice(-maxDropped) };
}

/** Without those whose tokens have all ended. */
export function notExpired(dropped: readonly DroppedKey[], now: number): readonly DroppedKey[] {
  return dropped.filter(({ until }) => until > now);
}

/**
 * The record as it has to be when it holds keys that were dropped: the store went back in time. Keys that this node `held`
 * and the store has lost come back, so that their tokens stay good; where there are none, `fresh` makes one. The record
 * itself where nothing is wrong with it.
 */
export async function dropRevived(
  present: KeyringContents,
  tools: {
    readonly dropped: Pick<DroppedKeys, "has">;
    readonly held: readonly StoredKey[];
    readonly fresh: () => Promise<StoredKey>;
    readonly longestTokenMs: number;
  },
): Promise<KeyringContents> {
  const isRevived = ({ kid }: StoredKey) => tools.dropped.has(kid);
  const revived = present.keys.filter(isRevived);
  if (revived.length === 0) return present;
  const isThere = new Set(present.keys.map(({ kid }) => kid));
  const lost = tools.held.filter(({ kid }) => !isThere.has(kid));
  const left = [...present.keys, ...lost].filter((key) => !isRevived(key));
  const [next = await tools.fresh(), ...others] = left;
  const { dropped } = withAllDropped({ ...present, keys: revived }, next, tools.longestTokenMs);
  return { keys: [next, ...others], dropped };
}
