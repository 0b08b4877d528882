import { closeRule } from "../../protocol/close-codes.ts";
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
  /** The call came before `connect()`, or `close()` or a later `connect()` or `login()` took its place. */
  | "not_connected";

/** How a socket was closed: RFC 6455's code and reason. */
export interface CloseInfo {
  readonly code: number;
  readonly reason: string;
}

export interface GatewayErrorOptions {
  readonly retryAfterSeconds?: number | undefined;
  readonly close?: CloseInfo | undefined;
  readonly cause?: unknown;
}

/** The SDK's one error. `switch (error.code)` tells the cases apart. */
export class GatewayError extends Error {
  readonly code: ErrorName | ClientErrorName | (string & {});
  /** Present on retryable codes when the server gave a time. */
  readonly retryAfterSeconds: number | undefined;
  /** The close frame that ended the connection, where there was one. */
  readonly close: CloseInfo | undefined;

  constructor(code: GatewayError["code"], message: string, options: GatewayErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "GatewayError";
    this.code = code;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.close = options.close;
  }
}

/** A close as an error whose code follows the rule of the close code's range. */
export function errorOfClose(close: CloseInfo): GatewayError {
  const rule = closeRule(close.code);
  const text = close.reason || `The connection was closed (${close.code})`;
  if (rule.need === "login") return new GatewayError("login_required", text, { close });
  if (rule.reconnect === "never") return new GatewayError("refused", text, { close });
  return new GatewayError("connection_lost", text, { close });
}

/**
 * Why an attempt to connect failed. A request that was lost with its socket says what the close says: that the server
 * wants a login, or nobody to come back.
 */
export function attemptError(error: unknown): GatewayError {
  if (!(error instanceof GatewayError)) {
    const message = error instanceof Error ? error.message : String(error);
    return new GatewayError("cannot_connect", message, { cause: error });
  }
  return error.code === "connection_lost" && error.close !== undefined ? errorOfClose(error.close) : error;
}

/** Calls an application's callback. What it throws is the runtime's to report and breaks nothing here. */
export function tell<Args extends readonly unknown[]>(
  callback: (...args: Args) => void,
  ...args: Args
): void {
  try {
    callback(...args);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
