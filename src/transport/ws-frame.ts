import type { Frame } from "../codec/codec.ts";

/** Opcodes of RFC 6455 section 5.2. */
export const opcodes = {
  continuation: 0x0,
  text: 0x1,
  binary: 0x2,
  close: 0x8,
  ping: 0x9,
  pong: 0xa,
} as const;

const FIN = 0x80;
/** Longest payload that the first length byte can tell, and that the two bytes after it can. */
const SHORT = 125;
const MEDIUM = 0xffff;

/** A whole frame as a server sends it, header and payload in one buffer: text for a string, binary for bytes. */
export function dataFrame(frame: Frame): Buffer {
  if (typeof frame !== "string") return frameOf(opcodes.binary, frame);
  const length = Buffer.byteLength(frame);
  const whole = begun(opcodes.text, length);
  whole.write(frame, whole.length - length);
  return whole;
}

/** A ping or a pong; `payload` has at most 125 bytes. */
export function controlFrame(opcode: 0x9 | 0xa, payload: Uint8Array): Buffer {
  return frameOf(opcode, payload);
}

/** A close frame; without a code it is empty. `reason` has at most 123 bytes. */
export function closeFrame(code: number | undefined, reason: string): Buffer {
  if (code === undefined) return begun(opcodes.close, 0);
  const whole = begun(opcodes.close, 2 + Buffer.byteLength(reason));
  whole.writeUInt16BE(code, 2);
  whole.write(reason, 4);
  return whole;
}

function frameOf(opcode: number, payload: Uint8Array): Buffer {
  const whole = begun(opcode, payload.byteLength);
  whole.set(payload, whole.length - payload.byteLength);
  return whole;
}

/** The header (FIN, no extension, no mask) and room for `length` bytes after it. */
function begun(opcode: number, length: number): Buffer {
  const headerLength = length <= SHORT ? 2 : length <= MEDIUM ? 4 : 10;
  const whole = Buffer.allocUnsafe(headerLength + length);
  whole[0] = FIN | opcode;
  if (headerLength === 2) whole[1] = length;
  else if (headerLength === 4) {
    whole[1] = 126;
    whole.writeUInt16BE(length, 2);
  } else {
    whole[1] = 127;
    whole.writeBigUInt64BE(BigInt(length), 2);
  }
  return whole;
}
