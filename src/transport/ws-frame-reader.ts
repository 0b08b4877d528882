import { isUtf8 } from "node:buffer";
import type { Frame } from "../codec/codec.ts";
import { sendableCode } from "./close-frame.ts";
import { opcodes } from "./ws-frame.ts";

/** What a peer did that RFC 6455 does not allow, or that is more than is taken here. */
export type Breach = "protocol_error" | "invalid_payload" | "message_too_big" | "too_many_parts";

/** Takes what a `FrameReader` has read, in the order of the wire, from inside `read`. */
export interface FrameSink {
  /** A whole message. Bytes are only valid during the call. */
  message(frame: Frame): void;
  /** `payload` is only valid during the call. */
  pinged(payload: Buffer): void;
  ponged(): void;
  /** A close frame; 1005 for one without a code. Nothing follows. */
  closing(code: number, reason: string): void;
  /** Nothing follows. */
  broken(breach: Breach): void;
}

export interface ReadLimits {
  /** Largest message in bytes, all of its frames together. */
  readonly maxMessageBytes: number;
  /** Frames of one message. */
  readonly maxFragments: number;
  /** Reads that one frame may take to arrive. */
  readonly maxChunks: number;
}

/** A message of which more frames follow. */
interface Unfinished {
  readonly opcode: number;
  readonly parts: Buffer[];
  bytes: number;
  frames: number;
}

const FIN = 0x80;
const RESERVED = 0x70;
const OPCODE = 0x0f;
const MASKED = 0x80;
const MASK_BYTES = 4;
const nothing = Buffer.alloc(0);

/**
 * Reads the frames of a client (RFC 6455 section 5), without extensions. What it buffers is bounded by the limits: less
 * than one frame and the earlier frames of its message. A frame is refused as soon as its first bytes show that it must
 * be, before its payload arrives.
 */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #limits: ReadLimits;
  /** The beginning of a frame, and how many bytes of it must be there before it is looked at again. */
  #chunks: Buffer[] | undefined;
  #waiting = 0;
  #needed = 0;
  #unfinished: Unfinished | undefined;
  #ended = false;

  constructor(sink: FrameSink, limits: ReadLimits) {
    this.#sink = sink;
    this.#limits = limits;
  }

  /** Takes the next bytes of the connection, which it unmasks where they are. Inert after a close frame or a breach. */
  read(chunk: Buffer): void {
    if (this.#ended) return;
    if (this.#chunks === undefined) return void this.#frames(chunk);
    if (this.#chunks.length >= this.#limits.maxChunks) return void this.#break("too_many_parts");
    this.#chunks.push(chunk);
    this.#waiting += chunk.length;
    if (this.#waiting < this.#needed) return;
    const bytes = Buffer.concat(this.#chunks, this.#waiting);
    this.#chunks = undefined;
    this.#frames(bytes);
  }

  #frames(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length && !this.#ended) {
      const end = this.#frame(bytes, at);
      if (end === undefined) return;
      at = end;
    }
  }

  /** Reads the frame at `at` and says where it ends; undefined when it was broken or has not arrived whole. */
  #frame(bytes: Buffer, at: number): number | undefined {
    if (bytes.length < at + 2) return this.#wait(bytes, at, 2);
    const first = bytes[at] ?? 0;
    const second = bytes[at + 1] ?? 0;
    if (!this.#isAllowed(first, second)) return this.#break("protocol_error");
    const short = second & 0x7f;
    const lengthEnd = at + (short === 126 ? 4 : short === 127 ? 10 : 2);
    if (bytes.length < lengthEnd) return this.#wait(bytes, at, lengthEnd - at);
    const length = short < 126 ? short : longLength(bytes, at + 2, short);
    const opcode = first & OPCODE;
    if (opcode < opcodes.close && (this.#unfinished?.bytes ?? 0) + length > this.#limits.maxMessageBytes)
      return this.#break("message_too_big");
    const start = lengthEnd + MASK_BYTES;
    const end = start + length;
    if (bytes.length < end) return this.#wait(bytes, at, end - at);
    const payload = length === 0 ? nothing : bytes.subarray(start, end);
    unmask(payload, bytes, lengthEnd);
    this.#take((first & FIN) !== 0, opcode, payload);
    return end;
  }

  /** By the first two bytes: sections 5.1 (masked), 5.2 (reserved bits, opcodes), 5.4 (fragments), 5.5 (control frames). */
  #isAllowed(first: number, second: number): boolean {
    if ((first & RESERVED) !== 0 || (second & MASKED) === 0) return false;
    const opcode = first & OPCODE;
    switch (opcode) {
      case opcodes.continuation:
        return this.#unfinished !== undefined;
      case opcodes.text:
      case opcodes.binary:
        return this.#unfinished === undefined;
      case opcodes.close:
      case opcodes.ping:
      case opcodes.pong: {
        const length = second & 0x7f;
        return (first & FIN) !== 0 && length <= 125 && !(opcode === opcodes.close && length === 1);
      }
      default:
        return false;
    }
  }

  #wait(bytes: Buffer, at: number, needed: number): undefined {
    const rest = at === 0 ? bytes : bytes.subarray(at);
    this.#chunks = [rest];
    this.#waiting = rest.length;
    this.#needed = needed;
  }

  #break(breach: Breach): undefined {
    this.#end();
    this.#sink.broken(breach);
  }

  #end(): void {
    this.#ended = true;
    this.#chunks = undefined;
    this.#unfinished = undefined;
  }

  #take(isLast: boolean, opcode: number, payload: Buffer): void {
    if (opcode === opcodes.ping) this.#sink.pinged(payload);
    else if (opcode === opcodes.pong) this.#sink.ponged();
    else if (opcode === opcodes.close) this.#close(payload);
    else if (isLast && this.#unfinished === undefined) this.#deliver(opcode, payload);
    else this.#part(isLast, opcode, payload);
  }

  #part(isLast: boolean, opcode: number, payload: Buffer): void {
    this.#unfinished ??= { opcode, parts: [], bytes: 0, frames: 0 };
    const message = this.#unfinished;
    message.frames += 1;
    if (message.frames > this.#limits.maxFragments) return void this.#break("too_many_parts");
    message.bytes += payload.length;
    if (payload.length > 0) message.parts.push(payload);
    if (!isLast) return;
    this.#unfinished = undefined;
    this.#deliver(message.opcode, Buffer.concat(message.parts, message.bytes));
  }

  #deliver(opcode: number, payload: Buffer): void {
    if (opcode === opcodes.binary) this.#sink.message(payload);
    else if (isUtf8(payload)) this.#sink.message(payload.toString());
    else this.#break("invalid_payload");
  }

  #close(payload: Buffer): void {
    const code = payload.length === 0 ? 1005 : payload.readUInt16BE(0);
    const reason = payload.subarray(2);
    if (payload.length > 0 && sendableCode(code) !== code) return void this.#break("protocol_error");
    if (!isUtf8(reason)) return void this.#break("invalid_payload");
    this.#end();
    this.#sink.closing(code, reason.toString());
  }
}

/** Of the 16 or 64 bits at `at`; what is beyond 2^53 is inexact, and over every limit all the same. */
function longLength(bytes: Buffer, at: number, short: number): number {
  return short === 126
    ? bytes.readUInt16BE(at)
    : bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);
}

/** With the four bytes at `mask`, in place. */
function unmask(payload: Buffer, bytes: Buffer, mask: number): void {
  const keys = bytes.readUInt32BE(mask);
  if (keys === 0) return;
  for (let at = 0; at < payload.length; at += 1)
    payload[at] = (payload[at] ?? 0) ^ (keys >>> (24 - 8 * (at & 3)));
}
