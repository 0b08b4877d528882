import type { ErrorName } from "../../protocol/errors.ts";

/** Codes that only the client has, beside those of the protocol's error table. */
export type ClientErrorName =
  /** The socket closed while the call was under way; it may or may not have been carried out. */
  | "connection_lost"
  /** No answer within the call's deadline. */
  | "call_timeout"
  /** The socket did not open in time, or could not be opened. */
  | "cannot_connect"
  /** There are no tokens, or the server will not take them any more: log in. */
  | "login_required"
  /** The server said that coming back is useless (close code 4400-4499). */
  | "refused"
  /** `close()` was called, or the call came before `connect()`. */
  | "not_connected";

export interface GatewayErrorOptions {
  readonly retryAfterSeconds?: number | undefined;
  readonly close?: { readonly code: number; readonly reason: string } | undefined;
  readonly cause?: unknown;
}

/** The SDK's one error. `switch (error.code)` tells the cases apart. */
export class GatewayError extends Error {
  readonly code: ErrorName | ClientErrorName | (string & {});
  /** Present on retryable codes when the server gave a time. */
  readonly retryAfterSeconds: number | undefined;
  /** The close frame that ended the connection, where there was one. */
  readonly close: { readonly code: number; readonly reason: string } | undefined;

  constructor(code: GatewayError["code"], message: string, options: GatewayErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "GatewayError";
    this.code = code;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.close = options.close;
  }
}
