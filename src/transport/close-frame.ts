import { closeCodes } from "../../protocol/close-codes.ts";

/** Most bytes of a close frame's reason: a control frame's 125 less the code (RFC 6455 section 5.5). */
const MAX_REASON_BYTES = 123;

/** `reason` as it fits into a close frame, cut at a character. */
export function cutReason(reason: string): string {
  if (reason.length <= MAX_REASON_BYTES / 3) return reason;
  const bytes = Buffer.from(reason);
  if (bytes.length <= MAX_REASON_BYTES) return reason;
  let end = MAX_REASON_BYTES;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString("utf8", 0, end);
}

/** `code` if it may stand in a close frame (RFC 6455 section 7.4), else 1011: a wrong code is a fault of ours. */
export function sendableCode(code: number): number {
  const standard = code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
  const ours = code >= 3000 && code <= 4999;
  return Number.isInteger(code) && (standard || ours) ? code : closeCodes.internal_error.number;
}
