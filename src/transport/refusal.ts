import { STATUS_CODES } from "node:http";
import type { ErrorName } from "../../protocol/errors.ts";
import type { HttpMessage } from "../../protocol/http.ts";
import { dataHeaders } from "../http/security-headers.ts";

/** An HTTP answer that a transport gives itself, before any handler runs. */
export interface Refusal {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What a transport refuses with, and the code that goes with it. */
const codes = {
  400: "invalid_format",
  404: "not_found",
  405: "method_not_allowed",
  408: "timeout",
  413: "payload_too_large",
  417: "not_supported",
  426: "upgrade_required",
  431: "payload_too_large",
  500: "unknown_error",
  501: "method_not_allowed",
} as const satisfies Readonly<Record<number, ErrorName>>;

/** A refusal in the shape of every other HTTP error, headers too. `message` is public and holds no input. */
export function refusal(
  status: keyof typeof codes,
  message: string,
  headers: Record<string, string> = {},
): Refusal {
  const body: HttpMessage = { message, code: codes[status] };
  const fixed = { "content-type": "application/json", "cache-control": "no-store", ...dataHeaders };
  return { status, headers: { ...fixed, ...headers }, body: JSON.stringify(body) };
}

export const malformed = refusal(400, "Malformed request");
export const bodyTooLarge = refusal(413, "Request body is too large");
export const requestTooSlow = refusal(408, "Request did not arrive in time");
export const headerTooLarge = refusal(431, "Request header is too large");
export const expectationFailed = refusal(417, "Expectation is not met");
export const internalError = refusal(500, "Internal error");

/** The Connection field of a refusal: an offer of another protocol is named there too (RFC 9110 section 7.8). */
export function connectionOf(refused: Refusal): string {
  return refused.headers.upgrade === undefined ? "close" : "close, upgrade";
}

/** The status line's number and phrase: "404 Not Found". */
export function statusLine(status: number): string {
  return `${status} ${STATUS_CODES[status] ?? "Unknown"}`;
}
