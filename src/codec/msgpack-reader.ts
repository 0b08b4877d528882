import { limits } from "../../protocol/features.ts";
import { invalidPayload, isPlainNumber, isPoisonedKey } from "./plain-data.ts";

/** Up to this many bytes a loop is faster than a call of TextDecoder. */
const SHORT_TEXT = 24;

/**
 * Reads the one msgpack value in `bytes`: nil, booleans, numbers, str, array, and map with str keys. Ext (also
 * timestamp) and bin are refused, so no records, references or classes can result.
 *
 * Lengths are compared with the remaining bytes before anything is allocated. Strings must be UTF-8. Everything is
 * copied out of `bytes`. msgpackr's own reader is not used: its handling of a byte order mark depends on whether its
 * native part is present, bad UTF-8 becomes U+FFFD, `__proto__` becomes another key, and its errors quote the data.
 */
export class MsgpackReader {
  readonly #bytes: Uint8Array;
  readonly #utf8: TextDecoder;
  #at = 0;
  #membersLeft: number;

  /** `utf8` must be fatal and must keep a byte order mark. */
  constructor(bytes: Uint8Array, utf8: TextDecoder, maxMembers: number) {
    this.#membersLeft = maxMembers;
    this.#bytes = bytes;
    this.#utf8 = utf8;
  }

  readAll(): unknown {
    const value = this.#value(0);
    if (this.#at !== this.#bytes.length) throw invalidPayload("bytes after the value");
    return value;
  }

  #value(depth: number): unknown {
    const head = this.#unsigned(1);
    if (head < 0x80) return head;
    if (head < 0x90) return this.#map(head & 0x0f, depth + 1);
    if (head < 0xa0) return this.#array(head & 0x0f, depth + 1);
    if (head < 0xc0) return this.#text(head & 0x1f);
    if (head >= 0xe0) return head - 0x100;
    return this.#wide(head, depth);
  }

  #wide(head: number, depth: number): unknown {
    switch (head) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#text(this.#unsigned(1 << (head - 0xd9)));
      case 0xdc:
      case 0xdd:
        return this.#array(this.#unsigned(head === 0xdc ? 2 : 4), depth + 1);
      case 0xde:
      case 0xdf:
        return this.#map(this.#unsigned(head === 0xde ? 2 : 4), depth + 1);
      default:
        return this.#number(head);
    }
  }

  #number(head: number): number {
    const value = this.#anyNumber(head);
    if (!isPlainNumber(value)) throw invalidPayload("number out of range");
    return value;
  }

  #anyNumber(head: number): number {
    switch (head) {
      case 0xca:
        return this.#view(4).getFloat32(0);
      case 0xcb:
        return this.#view(8).getFloat64(0);
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#unsigned(1 << (head - 0xcc));
      case 0xcf:
        return this.#unsigned(4) * 2 ** 32 + this.#unsigned(4);
      case 0xd0:
        return this.#view(1).getInt8(0);
      case 0xd1:
        return this.#view(2).getInt16(0);
      case 0xd2:
        return this.#view(4).getInt32(0);
      case 0xd3:
        return this.#view(4).getInt32(0) * 2 ** 32 + this.#unsigned(4);
      default:
        throw invalidPayload("type that messages do not use");
    }
  }

  #array(length: number, depth: number): unknown[] {
    this.#enter(depth, length);
    const items: unknown[] = [];
    for (let index = 0; index < length; index++) items.push(this.#value(depth));
    return items;
  }

  #map(length: number, depth: number): Record<string, unknown> {
    this.#enter(depth, length * 2);
    this.#membersLeft -= length;
    if (this.#membersLeft < 0) throw invalidPayload("too many members");
    const members: Record<string, unknown> = {};
    for (let index = 0; index < length; index++) {
      const key = this.#key();
      if (isPoisonedKey(key)) throw invalidPayload("poisoned key");
      members[key] = this.#value(depth);
    }
    if (Object.keys(members).length !== length) throw invalidPayload("duplicate key");
    return members;
  }

  #key(): string {
    const head = this.#unsigned(1);
    if (head >= 0xa0 && head < 0xc0) return this.#text(head & 0x1f);
    if (head >= 0xd9 && head <= 0xdb) return this.#text(this.#unsigned(1 << (head - 0xd9)));
    throw invalidPayload("key is not a string");
  }

  #text(length: number): string {
    const start = this.#take(length);
    const end = start + length;
    return (length <= SHORT_TEXT ? this.#ascii(start, end) : undefined) ?? this.#utf8Text(start, end);
  }

  /** Reads four characters at a time. Undefined if the text is not ASCII. */
  #ascii(start: number, end: number): string | undefined {
    const bytes = this.#bytes;
    let text = "";
    let at = start;
    for (; at + 4 <= end; at += 4) {
      const [a, b, c, d] = [bytes[at] ?? 0, bytes[at + 1] ?? 0, bytes[at + 2] ?? 0, bytes[at + 3] ?? 0];
      if ((a | b | c | d) >= 0x80) return undefined;
      text += String.fromCharCode(a, b, c, d);
    }
    for (; at < end; at++) {
      const byte = bytes[at] ?? 0;
      if (byte >= 0x80) return undefined;
      text += String.fromCharCode(byte);
    }
    return text;
  }

  #utf8Text(start: number, end: number): string {
    try {
      return this.#utf8.decode(this.#bytes.subarray(start, end));
    } catch {
      throw invalidPayload("string is not UTF-8");
    }
  }

  /** Each item takes at least one byte, so a length beyond the remaining bytes is false. */
  #enter(depth: number, items: number): void {
    if (depth > limits.depth) throw invalidPayload("nested too deeply");
    if (items > this.#bytes.length - this.#at) throw invalidPayload("length beyond the end");
  }

  #unsigned(size: number): number {
    const start = this.#take(size);
    let value = 0;
    for (let at = start; at < start + size; at++) value = value * 256 + (this.#bytes[at] ?? 0);
    return value;
  }

  #view(size: number): DataView {
    const start = this.#take(size);
    return new DataView(this.#bytes.buffer, this.#bytes.byteOffset + start, size);
  }

  /** Skips `size` bytes and returns their start. */
  #take(size: number): number {
    const start = this.#at;
    if (size > this.#bytes.length - start) throw invalidPayload("ends in the middle of a value");
    this.#at = start + size;
    return start;
  }
}
