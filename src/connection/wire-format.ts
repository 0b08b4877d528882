import { HA_VERSION, limits, PROTOCOL_VERSION } from "../../protocol/features.ts";
import type { AuthInvalid, AuthOk, AuthRequired } from "../../protocol/frames.ts";
import type { Codec, Frame } from "../codec/codec.ts";

/** A codec, with the frames that never change encoded once. */
export interface WireFormat {
  readonly codec: Codec;
  readonly authRequired: Frame;
  readonly authOk: Frame;
}

export function createWireFormat(codec: Codec): WireFormat {
  const required: AuthRequired = {
    type: "auth_required",
    ha_version: HA_VERSION,
    gatehouse: { protocol: PROTOCOL_VERSION },
  };
  const ok: AuthOk = { type: "auth_ok", ha_version: HA_VERSION };
  return { codec, authRequired: codec.encode(required), authOk: codec.encode(ok) };
}

export function authInvalid(codec: Codec, message: string): Frame {
  const invalid: AuthInvalid = { type: "auth_invalid", message };
  return codec.encode(invalid);
}

/** Whether a frame is longer than `limit` bytes on the wire. */
export function isLonger(frame: Frame, limit: number): boolean {
  if (typeof frame !== "string") return frame.byteLength > limit;
  if (frame.length > limit) return true;
  // A UTF-16 unit is at most three bytes of UTF-8, so most frames need no counting.
  return frame.length * 3 > limit && Buffer.byteLength(frame) > limit;
}

/** How many full `size` bytes a frame has. Most frames are too short for one, and are not counted. */
export function fullParts(frame: Frame, size: number): number {
  if (typeof frame !== "string") return Math.floor(frame.byteLength / size);
  return frame.length * 3 < size ? 0 : Math.floor(Buffer.byteLength(frame) / size);
}

/** Times and sizes of the protocol that a test may shorten. */
export interface PhaseLimits {
  readonly authDeadlineMs: number;
  readonly loginDeadlineMs: number;
  readonly heartbeatMs: number;
  readonly suspensionMs: number;
}

export const protocolPhaseLimits: PhaseLimits = {
  authDeadlineMs: limits.authDeadlineMs,
  loginDeadlineMs: limits.loginDeadlineMs,
  heartbeatMs: limits.heartbeatMs,
  suspensionMs: limits.suspensionMs,
};
