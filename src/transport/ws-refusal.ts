import type { Duplex } from "node:stream";
import {
  bodyTooLarge,
  connectionOf,
  headerTooLarge,
  malformed,
  type Refusal,
  requestTooSlow,
  statusLine,
} from "./refusal.ts";

/** The answer to what node:http's parser or its time-outs refused; undefined when the connection itself broke. */
export function refusalOf(error: unknown): Refusal | undefined {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return requestTooSlow;
  if (code === "HPE_HEADER_OVERFLOW") return headerTooLarge;
  if (code === "HPE_CHUNK_EXTENSIONS_OVERFLOW") return bodyTooLarge;
  return code.startsWith("HPE_") ? malformed : undefined;
}

/**
 * Writes `refused` on a connection where no ServerResponse can, and ends it. A client that does not read the refusal
 * does not keep the connection longer than `waitMs`.
 */
export function refuseConnection(raw: Duplex, refused: Refusal, waitMs: number): void {
  raw.once("finish", () => raw.destroy());
  const headers = Object.entries({
    ...refused.headers,
    "content-length": Buffer.byteLength(refused.body),
    connection: connectionOf(refused),
  });
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  raw.end(`HTTP/1.1 ${statusLine(refused.status)}\r\n${lines}\r\n${refused.body}`);
  setTimeout(() => raw.destroy(), waitMs).unref();
}
