import { STATUS_CODES } from "node:http";

/** An HTTP answer that a transport gives itself, before any handler runs. */
export interface Refusal {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A refusal in plain text. `text` is public and holds no input. */
export function refusal(status: number, text: string, headers: Record<string, string> = {}): Refusal {
  return { status, headers: { "content-type": "text/plain; charset=utf-8", ...headers }, body: `${text}\n` };
}

export const bodyTooLarge = refusal(413, "Request body is too large");
export const bodyTooSlow = refusal(408, "Request body did not arrive in time");
export const internalError = refusal(500, "Internal error");

/** The status line's number and phrase: "404 Not Found". */
export function statusLine(status: number): string {
  return `${status} ${STATUS_CODES[status] ?? "Unknown"}`;
}
