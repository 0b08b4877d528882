import { STATUS_CODES } from "node:http";
import type { ErrorName } from "../../protocol/errors.ts";
import type { HttpMessage } from "../../protocol/http.ts";

/** An HTTP answer that a transport gives itself, before any handler runs. */
export interface Refusal {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Codes of the statuses that have one in protocol/errors.ts. */
const codes: Readonly<Record<number, ErrorName>> = {
  400: "invalid_format",
  404: "not_found",
  405: "method_not_allowed",
  413: "payload_too_large",
  426: "upgrade_required",
  500: "unknown_error",
};

/** A refusal in the shape of every other HTTP error. `message` is public and holds no input. */
export function refusal(status: number, message: string, headers: Record<string, string> = {}): Refusal {
  const code = codes[status];
  const body: HttpMessage = code === undefined ? { message } : { message, code };
  const fixed = { "content-type": "application/json", "cache-control": "no-store" };
  return { status, headers: { ...fixed, ...headers }, body: JSON.stringify(body) };
}

export const bodyTooLarge = refusal(413, "Request body is too large");
export const bodyTooSlow = refusal(408, "Request body did not arrive in time");
export const internalError = refusal(500, "Internal error");

/** The status line's number and phrase: "404 Not Found". */
export function statusLine(status: number): string {
  return `${status} ${STATUS_CODES[status] ?? "Unknown"}`;
}
