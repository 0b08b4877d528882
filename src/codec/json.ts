import { JSON_SUBPROTOCOL } from "../../protocol/features.ts";
import { type Codec, CodecError, type CodecOptions, type Frame } from "./codec.ts";
import { scanJson } from "./json-scan.ts";
import { invalidPayload, isPlainNumber, isPoisonedKey, isWellFormed } from "./plain-data.ts";

/** JSON (RFC 8259) in text frames. */
export function createJsonCodec({ maxMembers = Number.POSITIVE_INFINITY }: CodecOptions = {}): Codec {
  return {
    name: "json",
    subprotocol: JSON_SUBPROTOCOL,
    encode: (message) => JSON.stringify(message) ?? "null",
    encodeEvent: (id, event) => `{"id":${id},"type":"event","event":${asText(event)}}`,
    join: (frames) => (frames.length === 1 ? asText(frames[0]) : `[${frames.map(asText).join(",")}]`),
    decode: (data) => decodeText(asText(data), maxMembers),
  };
}

function asText(frame: Frame | undefined): string {
  if (typeof frame !== "string") throw new CodecError("unsupported_frame", "binary frame on a JSON socket");
  return frame;
}

function decodeText(text: string, maxMembers: number): unknown {
  const { members, escaped } = scanJson(text, maxMembers);
  if (!isWellFormed(text)) throw invalidPayload("lone surrogate");
  const value = parse(text);
  // JSON.parse keeps the last of equal keys, however they are spelled. So fewer members than were written mean a
  // duplicate.
  if (membersOf(value, escaped) !== members) throw invalidPayload("duplicate key");
  return value;
}

/** JSON.parse without its error message, which quotes the input. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalidPayload("not JSON");
  }
}

/** Counts the members of all objects in `value`. Throws if a part is not plain data. The scan has bounded the depth. */
function membersOf(value: unknown, escaped: boolean): number {
  switch (typeof value) {
    case "string":
      checkText(value, escaped);
      return 0;
    case "number":
      if (!isPlainNumber(value)) throw invalidPayload("number out of range");
      return 0;
    case "object":
      if (value === null) return 0;
      return Array.isArray(value) ? membersOfItems(value, escaped) : membersOfObject(value, escaped);
    default:
      return 0;
  }
}

function membersOfItems(items: readonly unknown[], escaped: boolean): number {
  let members = 0;
  for (const item of items) members += membersOf(item, escaped);
  return members;
}

function membersOfObject(object: object, escaped: boolean): number {
  const entries = object as Readonly<Record<string, unknown>>;
  const keys = Object.keys(entries);
  let members = keys.length;
  for (const key of keys) {
    if (isPoisonedKey(key)) throw invalidPayload("poisoned key");
    checkText(key, escaped);
    members += membersOf(entries[key], escaped);
  }
  return members;
}

/** Without an escape each string is a piece of the text, which was checked as a whole. */
function checkText(text: string, escaped: boolean): void {
  if (escaped && !isWellFormed(text)) throw invalidPayload("lone surrogate");
}
