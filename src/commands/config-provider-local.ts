import { type ErrorName, errorCodes } from "../../protocol/errors.ts";
import { AuthError } from "../auth/errors.ts";
import { type Command, TranslatedError } from "../connection/command.ts";
import { answeredBeforeCut } from "./answered-before-cut.ts";
import { userNotFound } from "./config-auth.ts";
import { defineCommand } from "./guarded-command.ts";
import { requireOwnerForOwner } from "./owner-only.ts";
import type { CommandParts } from "./registry.ts";

/** Home Assistant's `config/auth_provider/homeassistant/*`. */
export function localProviderCommands({
  authority: { users, localLogins },
  authorityOf,
}: CommandParts): readonly Command[] {
  const prefix = "config/auth_provider/homeassistant";
  return [
    defineCommand(`${prefix}/create`, users, async ({ user_id, username, password }, session) => {
      await requireOwnerForOwner(users, user_id, session);
      await authorityOf(session)
        .localLogins.create(user_id, username, password)
        .catch(userNotFound)
        .catch(translated(usernameErrors, { username }));
      return null;
    }),
    defineCommand(`${prefix}/delete`, users, async ({ id, username }, session) => {
      await requireOwnerForOwner(users, await localLogins.userIdOf(username), session);
      await answeredBeforeCut({ id, session, cause: "credential_removed" }, () =>
        authorityOf(session)
          .credentialRemovals.removeLocal(username)
          .catch(translated(["user_not_found"])),
      );
      return null;
    }),
    defineCommand(`${prefix}/change_password`, users, async (message, session) => {
      const { principal, peer } = session;
      await authorityOf(session).localLogins.changeOwnPassword(
        principal,
        message.current_password,
        message.new_password,
        peer,
      );
      return null;
    }),
    defineCommand(`${prefix}/admin_change_password`, users, async ({ id, user_id, password }, session) => {
      await answeredBeforeCut({ id, session, cause: "password_changed" }, () =>
        authorityOf(session).localLogins.setPassword(user_id, password),
      );
      return null;
    }),
    defineCommand(`${prefix}/admin_change_username`, users, async ({ user_id, username }, session) => {
      await authorityOf(session)
        .localLogins.changeUsername(user_id, username)
        .catch(translated(usernameErrors, { username }));
      return null;
    }),
  ];
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
