import { AuthError, type AuthErrorOptions } from "../auth/errors.ts";
import type { Session } from "./session.ts";

/** A message whose id and type were checked, and nothing else yet. */
export interface Envelope {
  readonly id: number;
  readonly type: string;
}

/** One command as the command phase runs it. The guard and the schema are inside `run`, in this order. */
export interface Command {
  readonly type: string;
  /**
   * The value, or what the promise gives, is the result; `answered` when the handler
   * has sent its own answer. Throws or rejects with `AuthError`; anything else becomes `unknown_error`.
   */
  run(message: Envelope, session: Session): unknown;
}

/** The commands of an authenticated client by type. */
export type Dispatch = (type: string) => Command | undefined;

/** A handler's result when it has answered by itself. */
export const answered: unique symbol = Symbol("answered");

/** Home Assistant's errors with a translation: `home_assistant_error` and the key of a text in the client. */
export class TranslatedError extends AuthError {
  readonly translationKey: string;
  readonly translationDomain: string;
  readonly placeholders: Readonly<Record<string, string>> | undefined;

  constructor(
    translation: {
      readonly key: string;
      readonly domain: string;
      readonly placeholders?: Readonly<Record<string, string>> | undefined;
    },
    options: AuthErrorOptions = {},
  ) {
    super("home_assistant_error", options);
    this.name = "TranslatedError";
    this.translationKey = translation.key;
    this.translationDomain = translation.domain;
    this.placeholders = translation.placeholders;
  }
}
