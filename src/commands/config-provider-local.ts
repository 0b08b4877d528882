import { type ErrorName, errorCodes } from "../../protocol/errors.ts";
import { AuthError } from "../auth/errors.ts";
import type { LocalLogins } from "../auth/providers/homeassistant/local-logins.ts";
import { type Command, TranslatedError } from "../connection/command.ts";
import { answeredBeforeCut } from "./answered-before-cut.ts";
import { userNotFound } from "./config-auth.ts";
import { defineCommand } from "./guarded-command.ts";
import type { CommandAuthority, CommandParts } from "./registry.ts";
import { requireStepUpForLoginOf, requireStepUpForOneself } from "./step-up-for-rights.ts";
import { requireOwnerForOwner } from "./who-may-decide.ts";

/**
 * Home Assistant's `config/auth_provider/homeassistant/*`, for the first local provider, or for that with
 * `auth_provider_id`. Throws `invalid_handler` if there is none.
 */
export function localProviderCommands({ authority, authorityOf }: CommandParts): readonly Command[] {
  const { users } = authority;
  const prefix = "config/auth_provider/homeassistant";
  return [
    defineCommand(`${prefix}/create`, authority, async ({ user_id, username, password, ...at }, session) => {
      await requireOwnerForOwner(users, user_id, session);
      await requireStepUpForLoginOf(authority, user_id, session);
      await loginsAt(authorityOf(session), at)
        .create(user_id, username, password)
        .catch(userNotFound)
        .catch(translated(usernameErrors, { username }));
      return null;
    }),
    defineCommand(`${prefix}/delete`, authority, async ({ id, username, ...at }, session) => {
      const audited = authorityOf(session);
      const userId = await loginsAt(audited, at).userIdOf(username);
      await requireOwnerForOwner(users, userId, session);
      await requireStepUpForOneself(authority, userId, session);
      await answeredBeforeCut({ id, session, cause: "credential_removed" }, () =>
        audited.credentialRemovals
          .removeLocal(username, at.auth_provider_id)
          .catch(translated(["user_not_found"])),
      );
      return null;
    }),
    defineCommand(`${prefix}/change_password`, authority, async (message, session) => {
      const { principal, peer } = session;
      await loginsAt(authorityOf(session), message).changeOwnPassword(
        principal,
        message.current_password,
        message.new_password,
        peer,
      );
      return null;
    }),
    defineCommand(
      `${prefix}/admin_change_password`,
      authority,
      async ({ id, user_id, password, ...at }, session) => {
        await requireStepUpForLoginOf(authority, user_id, session);
        await answeredBeforeCut({ id, session, cause: "password_changed" }, () =>
          loginsAt(authorityOf(session), at).setPassword(user_id, password),
        );
        return null;
      },
    ),
    defineCommand(
      `${prefix}/admin_change_username`,
      authority,
      async ({ user_id, username, ...at }, session) => {
        await loginsAt(authorityOf(session), at)
          .changeUsername(user_id, username)
          .catch(translated(usernameErrors, { username }));
        return null;
      },
    ),
  ];
}

/** Throws `invalid_handler` if there is no such local provider. */
export function loginsAt(
  { localLogins, localLoginsOf }: CommandAuthority,
  { auth_provider_id: id }: { readonly auth_provider_id?: string | null },
): LocalLogins {
  const found = id === undefined ? localLogins : localLoginsOf(id);
  if (found === undefined) throw new AuthError("invalid_handler");
  return found;
}

const usernameErrors: readonly ErrorName[] = ["username_already_exists", "username_not_normalized"];

/** Home Assistant answers these with `home_assistant_error` and a key of its translations, in the domain `auth`. */
function translated(codes: readonly ErrorName[], placeholders?: Readonly<Record<string, string>>) {
  return (error: unknown): never => {
    if (!(error instanceof AuthError) || !codes.includes(error.code)) throw error;
    const key = error.code;
    throw new TranslatedError({ key, domain: "auth", placeholders }, { publicMessage: errorCodes[key].text });
  };
}
