import { type ErrorName, errorCodes } from "../../protocol/errors.ts";
import type { ErrorBody } from "../../protocol/frames.ts";
import { AuthError } from "../auth/errors.ts";
import { TranslatedError } from "./command.ts";
import type { ConnectionLog } from "./observer.ts";

/** The code's own text, or one that says more. */
export function errorBody(code: ErrorName, message: string = errorCodes[code].text): ErrorBody {
  return { code, message };
}

/** For a message that comes while the node stops. Another node may take it soon. */
export function stoppingBody(): ErrorBody {
  return { ...errorBody("unavailable"), retry_after: 1 };
}

/**
 * What the client reads if a message fails. An `AuthError` shows its code, public text and retry time. Every other
 * error is a defect of ours: `unknown_error` for the client, details for the log.
 */
export function bodyOfFailure(error: unknown, type: string, log: ConnectionLog): ErrorBody {
  if (!(error instanceof AuthError)) {
    log.error({ err: error, type }, "message failed");
    return errorBody("unknown_error");
  }
  if (error.detail !== undefined)
    log.warn({ code: error.code, detail: error.detail, type }, "message refused");
  const body = errorBody(error.code, error.publicMessage);
  const retry = error.retryAfterSeconds === undefined ? {} : { retry_after: error.retryAfterSeconds };
  return { ...body, ...retry, ...translationOf(error) };
}

function translationOf(error: AuthError): Partial<ErrorBody> {
  if (!(error instanceof TranslatedError)) return {};
  const { translationKey: translation_key, translationDomain: translation_domain, placeholders } = error;
  if (placeholders === undefined) return { translation_key, translation_domain };
  return { translation_key, translation_domain, translation_placeholders: { ...placeholders } };
}

/** The code of a failure, for metrics. */
export function codeOfFailure(error: unknown): ErrorName {
  return error instanceof AuthError ? error.code : "unknown_error";
}
