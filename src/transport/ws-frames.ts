import { Sender } from "ws";
import type { Frame } from "../codec/codec.ts";
import "./ws-package.ts";

/** A frame's header and its payload; one part where the payload is empty. */
export type FrameParts = ReturnType<typeof Sender.frame>;

/** Opcodes of RFC 6455 section 5.2; whole frames, without extensions, not masked: a server's. */
const framing = { fin: true, mask: false, readOnly: true, rsv1: false } as const;
const text = { ...framing, opcode: 0x1 };
const binary = { ...framing, opcode: 0x2 };
const close = { ...framing, opcode: 0x8 };
const ping = { ...framing, opcode: 0x9 };
const pong = { ...framing, opcode: 0xa };

const nothing = Buffer.alloc(0);

/** Text for a string, binary for bytes, of which the frame keeps a view. */
export function dataFrame(frame: Frame): FrameParts {
  if (typeof frame === "string") return Sender.frame(Buffer.from(frame), text);
  return Sender.frame(Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength), binary);
}

/** Whole frames, one behind the other. */
export function joinedFrames(frames: readonly Frame[]): Buffer {
  return Buffer.concat(frames.flatMap((frame) => dataFrame(frame).filter((part) => part !== undefined)));
}

export const pingFrame: FrameParts = Sender.frame(nothing, ping);

/** `payload` has at most 125 bytes. */
export function pongFrame(payload: Buffer): FrameParts {
  return Sender.frame(payload, pong);
}

/** A close frame; without a code it is empty. `reason` has at most 123 bytes. */
export function closeFrame(code: number | undefined, reason: string): FrameParts {
  if (code === undefined) return Sender.frame(nothing, close);
  const payload = Buffer.allocUnsafe(2 + Buffer.byteLength(reason));
  payload.writeUInt16BE(code, 0);
  payload.write(reason, 2);
  return Sender.frame(payload, close);
}
