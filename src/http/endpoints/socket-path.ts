import { errorCodes } from "../../../protocol/errors.ts";
import { json } from "../answers.ts";
import type { Endpoint } from "../exchange.ts";

/** `GET /api/websocket` without an upgrade (RFC 9110 section 15.5.22). */
export function socketPathEndpoint(): Endpoint {
  const { text: message, status } = errorCodes.upgrade_required;
  return () => json({ message, code: "upgrade_required" }, { status, headers: { upgrade: "websocket" } });
}
