import { type ErrorName, errorCodes } from "../../protocol/errors.ts";

export interface AuthErrorOptions {
  /** The text for the client; the code's default text if absent. Never contains input or a secret. */
  readonly publicMessage?: string | undefined;
  /** The text for the log. The client never sees it. */
  readonly detail?: string;
  readonly retryAfterSeconds?: number;
  /**
   * The user of a refused login, for the audit log. Called after the client has its answer, so that the look-up does
   * not change the response time.
   */
  readonly userId?: () => Promise<string | undefined>;
  readonly cause?: unknown;
}

/**
 * The one error of Gatehouse: a code of the protocol's table, a public text and a private detail. Expected outcomes
 * (a wrong password, an expired code) are results where a flow can go on, and this error where a request ends.
 */
export class AuthError extends Error {
  readonly code: ErrorName;
  readonly publicMessage: string;
  readonly detail: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly userId: (() => Promise<string | undefined>) | undefined;

  constructor(code: ErrorName, options: AuthErrorOptions = {}) {
    const publicMessage = options.publicMessage ?? errorCodes[code].text;
    super(options.detail ?? publicMessage, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "AuthError";
    this.code = code;
    this.publicMessage = publicMessage;
    this.detail = options.detail;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.userId = options.userId;
  }
}
