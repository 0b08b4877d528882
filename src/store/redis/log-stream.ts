import type { JsonObject, LogEntry, LogPosition } from "../../auth/store.ts";

/** How long the log is kept: at least this many entries, unless they are older than that. */
export const logBounds = { ageMs: 48 * 3_600_000, entries: 200_000 } as const;

/** The time part of a stream id: Redis' clock at the commit, which never falls within one stream. */
export function timeOf(position: LogPosition): number {
  return Number(position.split("-", 1)[0]);
}

/** Below 0 when `a` came before `b`. */
export function comparePositions(a: LogPosition, b: LogPosition): number {
  const [aTime = 0, aPart = 0] = a.split("-").map(Number);
  const [bTime = 0, bPart = 0] = b.split("-").map(Number);
  return aTime - bTime || aPart - bPart;
}

/** An XRANGE reply: `[[id, [field, value, ...]], ...]`. */
export function entriesOf(reply: unknown): readonly LogEntry[] {
  return asList(reply).map((entry) => {
    const [position, fields] = asList(entry);
    const [, version, , event] = asList(fields).map(String);
    return {
      position: String(position),
      at: timeOf(String(position)),
      version: Number(version),
      event: JSON.parse(event ?? "") as JsonObject,
    };
  });
}

/** An XREAD reply of one stream: null, or `[[name, entries]]`. */
export function readEntriesOf(reply: unknown): readonly LogEntry[] {
  return reply === null ? [] : entriesOf(asList(asList(reply)[0])[1]);
}

export interface StreamInfo {
  readonly lastPosition: LogPosition;
  /** `at` of the newest entry that may have been trimmed; undefined when nothing was. */
  readonly trimmedBefore: number | undefined;
}

/** An XINFO STREAM reply: a flat list of names and values. */
export function streamInfoOf(reply: unknown): StreamInfo {
  const flat = asList(reply);
  const field = (name: string) => flat[flat.indexOf(name) + 1];
  const lastPosition = String(field("last-generated-id"));
  const first = field("first-entry");
  const trimmed = Number(field("entries-added")) > Number(field("length"));
  const oldest = Array.isArray(first) ? timeOf(String(first[0])) : timeOf(lastPosition);
  return { lastPosition, trimmedBefore: trimmed ? oldest : undefined };
}

function asList(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error("Redis answered in another shape than expected");
  return value;
}
