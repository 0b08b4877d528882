import { type ErrorName, errorCodes } from "../../protocol/errors.ts";

export interface AuthErrorOptions {
  /** What the client reads; the code's own text by default. Never input, never a secret. */
  readonly publicMessage?: string;
  /** What the log reads and the client never sees. */
  readonly detail?: string;
  readonly retryAfterSeconds?: number;
  /** Whom a refused login was about, for the audit log: asked once the client has its answer, so that it takes no time of it. */
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
