import { Packr } from "msgpackr";

import { MSGPACK_SUBPROTOCOL } from "../../protocol/features.ts";
import { type Codec, CodecError, type CodecOptions, type Frame } from "./codec.ts";
import { MsgpackReader } from "./msgpack-reader.ts";

/** msgpack in binary frames. It carries exactly what JSON can carry. */
export function createMsgpackCodec({ maxMembers = Number.POSITIVE_INFINITY }: CodecOptions = {}): Codec {
  const packer = new Packr(packing);
  const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  return {
    name: "msgpack",
    subprotocol: MSGPACK_SUBPROTOCOL,
    // A view of msgpackr's buffer. msgpackr writes the next message behind the view, never into it.
    encode: (message) => packer.pack(withWideIntegers(message)),
    encodeEvent: (id, event) =>
      concatenated([beforeId, packer.pack(withWideIntegers(id)), beforeEvent, asBytes(event)]),
    join: (frames) =>
      frames.length === 1
        ? asBytes(frames[0])
        : concatenated([arrayHead(frames.length), ...frames.map(asBytes)]),
    decode: (data) => new MsgpackReader(asBytes(data), utf8, maxMembers).readAll(),
  };
}

/**
 * Plain maps in their shortest form. Undefined is as in JSON: absent in an object, null in an array. msgpackr has
 * `skipValues`, although its types do not name it. Without `useToJSON: false` an object without a prototype would throw
 * for a member `toJSON`, which is an ordinary member in JSON.
 */
const packing = {
  useRecords: false,
  variableMapSize: true,
  skipValues: [undefined],
  encodeUndefinedAsNil: true,
  useToJSON: false,
};

/**
 * msgpackr writes integers of more than 32 bits as floats, but BigInts as integers. A decoder that is strict about
 * types would not recognise its own `id`. Visits each value once: a client decides how deep its `id` is nested, and gets it
 * back in errors. What has no such integer is returned itself.
 */
function withWideIntegers(value: unknown): unknown {
  if (typeof value === "number") return isWide(value) ? BigInt(value) : value;
  if (typeof value !== "object" || value === null) return value;
  return Array.isArray(value) ? arrayWithWide(value) : objectWithWide(value);
}

function arrayWithWide(value: readonly unknown[]): readonly unknown[] {
  let copy: unknown[] | undefined;
  for (let at = 0; at < value.length; at += 1) {
    const each = withWideIntegers(value[at]);
    if (Object.is(each, value[at])) continue;
    copy ??= [...value];
    copy[at] = each;
  }
  return copy ?? value;
}

function objectWithWide(value: object): object {
  const entries = Object.entries(value);
  let isChanged = false;
  for (const entry of entries) {
    const each = withWideIntegers(entry[1]);
    if (Object.is(each, entry[1])) continue;
    entry[1] = each;
    isChanged = true;
  }
  return isChanged ? Object.fromEntries(entries) : value;
}

function isWide(value: number): boolean {
  return (value > 0xffff_ffff || value < -0x8000_0000) && Number.isSafeInteger(value);
}

function asBytes(frame: Frame | undefined): Uint8Array {
  if (frame === undefined || typeof frame === "string") {
    throw new CodecError("unsupported_frame", "text frame on a msgpack socket");
  }
  return frame;
}

/** A map of three members, up to the value of `id`. */
const beforeId = Uint8Array.of(0x83, ...shortText("id"));
/** From behind that value up to the value of `event`. */
const beforeEvent = Uint8Array.of(...shortText("type"), ...shortText("event"), ...shortText("event"));

/** A text of at most 31 bytes. */
function shortText(text: string): readonly number[] {
  return [0xa0 | text.length, ...new TextEncoder().encode(text)];
}

function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function arrayHead(length: number): Uint8Array {
  if (length < 0x10) return Uint8Array.of(0x90 | length);
  if (length < 0x1_0000) return Uint8Array.of(0xdc, length >> 8, length & 0xff);
  return Uint8Array.of(0xdd, length >>> 24, (length >> 16) & 0xff, (length >> 8) & 0xff, length & 0xff);
}
