import type { JsonObject, LogEntry, LogPosition } from "../../auth/store.ts";

/**
 * How long the log is kept: at least this many entries, unless they are older than `ageMs` or the opener's `logKeptMs`.
 */
export const logBounds = { ageMs: 48 * 3_600_000, entries: 200_000 } as const;

/** The time part of a stream id: Redis' clock at the commit. It never falls within one stream. */
export function timeOf(position: LogPosition): number {
  return Number(position.split("-", 1)[0]);
}

/** Below 0 when `a` came before `b`. */
export function comparePositions(a: LogPosition, b: LogPosition): number {
  const [aTime = 0, aPart = 0] = a.split("-").map(Number);
  const [bTime = 0, bPart = 0] = b.split("-").map(Number);
  return aTime - bTime || aPart - bPart;
}

/** One entry of the log: its position, and its whole content as text. */
export interface StreamEntry {
  readonly entry: LogEntry;
  readonly content: string;
}

/** The content of an entry that commit.lua appends. */
export function contentOf(version: number | string, json: string): string {
  return `${version}|${json}`;
}

/**
 * Parses an XRANGE reply: `[[id, [field, value, ...]], ...]`. An entry that the store did not write gets an event
 * without members.
 */
export function entriesOf(reply: unknown): readonly StreamEntry[] {
  return asList(reply).map((entry) => {
    const [position, fields] = asList(entry);
    const [, version = "", , event = ""] = asList(fields).map(String);
    const id = String(position);
    return {
      entry: { position: id, at: timeOf(id), version: Number(version) || 0, event: eventOf(event) },
      content: contentOf(version, event),
    };
  });
}

function eventOf(json: string): JsonObject {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
  } catch {
    return {};
  }
}

export interface StreamInfo {
  readonly lastPosition: LogPosition;
  /** Undefined if the log is empty. */
  readonly firstPosition: LogPosition | undefined;
  /** How many entries were ever appended. `trimmed`: how many of them are gone. */
  readonly added: number;
  readonly trimmed: number;
}

/** Parses an XINFO STREAM reply: a flat list of names and values. */
export function streamInfoOf(reply: unknown): StreamInfo {
  const flat = asList(reply);
  const field = (name: string) => flat[flat.indexOf(name) + 1];
  const first = field("first-entry");
  const added = Number(field("entries-added"));
  return {
    lastPosition: String(field("last-generated-id")),
    firstPosition: Array.isArray(first) ? String(first[0]) : undefined,
    added,
    trimmed: added - Number(field("length")),
  };
}

/** `at` of the newest entry that may have been trimmed; undefined if none was. */
export function trimmedBefore({ firstPosition, lastPosition, trimmed }: StreamInfo): number | undefined {
  return trimmed > 0 ? timeOf(firstPosition ?? lastPosition) : undefined;
}

function asList(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error("Redis' answer has an unexpected shape");
  return value;
}
