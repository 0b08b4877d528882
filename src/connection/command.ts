import { AuthError, type AuthErrorOptions } from "../auth/errors.ts";
import type { SocketSession } from "./session.ts";

/** A message of which only id and type were checked. */
export interface Envelope {
  readonly id: number;
  readonly type: string;
}

/** One command as the command phase runs it. `run` checks the guard first, then the schema. */
export interface Command {
  readonly type: string;
  /**
   * The result is the returned value, or what the promise resolves to. It is `answered` if the handler has sent its
   * own answer. Throws or rejects with `AuthError`; every other error becomes `unknown_error`.
   */
  run(message: Envelope, session: SocketSession): unknown;
}

/** The commands of an authenticated client by type. */
export type Dispatch = (type: string) => Command | undefined;

/** The result of a handler that has sent its own answer. */
export const answered: unique symbol = Symbol("answered");

/**
 * Home Assistant's errors with a translation: code `home_assistant_error` and the key of a text that the client has.
 */
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
