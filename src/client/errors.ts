import { type CloseName, closeCodes, closeRule } from "../../protocol/close-codes.ts";
import type { ErrorName } from "../../protocol/errors.ts";

/** Codes of the client itself, beside those of the protocol's error table. */
export type ClientErrorName =
  /** The socket closed while the call was in progress; the server may or may not have carried it out. */
  | "connection_lost"
  /** No answer within the call's deadline. */
  | "call_timeout"
  /** The socket could not be opened, or not in time. */
  | "cannot_connect"
  /** There are no tokens, or the server no longer accepts them: log in. */
  | "login_required"
  /** The server said not to reconnect (close code 4400-4499). */
  | "refused"
  /** `connect()` was not called yet, or `close()` or a later `connect()` or `login()` replaced the connection. */
  | "not_connected"
  /** The server's part of a password's proof is wrong: it does not know the password, or somebody is in between. */
  | "server_not_trusted"
  /** The password's proof could not be computed here, for instance for want of memory. */
  | "proof_failed"
  /** A password would have to be sent, and the option `scram` is `require`. */
  | "proof_not_offered"
  /** A subscription ended because the user may not read any of its topics any more. */
  | "permission_lost";

/** How a socket was closed: the code and reason of RFC 6455. */
export interface CloseInfo {
  readonly code: number;
  readonly reason: string;
}

export interface GatewayErrorOptions {
  readonly retryAfterSeconds?: number | undefined;
  readonly close?: CloseInfo | undefined;
  readonly cause?: unknown;
}

/** The only error class of the SDK. `switch (error.code)` distinguishes the cases. */
export class GatewayError extends Error {
  readonly code: ErrorName | ClientErrorName | (string & {});
  /** Set on retryable codes if the server gave a time. */
  readonly retryAfterSeconds: number | undefined;
  /** The close frame that ended the connection, if there was one. */
  readonly close: CloseInfo | undefined;

  constructor(code: GatewayError["code"], message: string, options: GatewayErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "GatewayError";
    this.code = code;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.close = options.close;
  }
}

/** Turns a close into an error. Its code follows the rule of the close code's range. */
export function errorOfClose(close: CloseInfo): GatewayError {
  const rule = closeRule(close.code);
  const text = close.reason || `The connection was closed (${close.code})`;
  if (rule.need === "login") return new GatewayError("login_required", text, { close });
  if (rule.reconnect === "never") return new GatewayError("refused", text, { close });
  return new GatewayError("connection_lost", text, { close });
}

/**
 * Why an attempt to connect failed. If a request was lost with its socket, the close decides: login required, or do not
 * reconnect.
 */
export function attemptError(error: unknown): GatewayError {
  if (!(error instanceof GatewayError)) {
    const message = error instanceof Error ? error.message : String(error);
    return new GatewayError("cannot_connect", message, { cause: error });
  }
  return error.code === "connection_lost" && error.close !== undefined ? errorOfClose(error.close) : error;
}

/** Calls an application's callback. If it throws, the runtime reports the error, and the client goes on. */
export function invokeCallback<Args extends readonly unknown[]>(
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

/** The answer to ending one's own session may be lost with the socket that it closes. */
export function ignoreLoss(error: unknown): void {
  if (error instanceof GatewayError && error.code === "connection_lost") return;
  throw error;
}

/** True if the socket was closed because its access token has expired. */
export function isExpired(error: unknown): boolean {
  const expired: CloseName = "token_expired";
  return error instanceof GatewayError && error.close?.code === closeCodes[expired].number;
}
