import { retireParameters } from "../passwords/parameters-in-use.ts";
import { createAttempts } from "../throttling/attempts.ts";
import { changeOwnPassword, setPassword } from "./change-password.ts";
import { localProvider } from "./local-login-record.ts";
import type { LocalLogins } from "./local-logins.ts";
import { createLogin, createUserWithLogin, prepareLogin } from "./new-login.ts";
import { isLocalCredential, type LocalLoginTools } from "./own-login.ts";
import { removeLogin } from "./remove-login.ts";
import { renameLogin } from "./rename-login.ts";
import { storedLoginName } from "./stored-login-name.ts";
import { findUsedParameters } from "./used-parameters.ts";

/** Guesses at one's own password, by who has a session. */
const guesses = { tries: 5, regainMs: 60_000 } as const;

/** Composes the administration of the local provider. */
export function createLocalLogins(tools: LocalLoginTools): LocalLogins {
  const { store, clock } = tools;
  const charge = createAttempts({ store, clock, budget: guesses });
  return {
    create: (userId, username, password) => createLogin(tools, userId, username, password),
    createUser: (request) => createUserWithLogin(tools, request),
    prepareLogin: (userId, username, password) => prepareLogin(tools, userId, username, password),
    remove: (username) => removeLogin(tools, username),
    changeOwnPassword: (principal, current, next) =>
      changeOwnPassword(tools, charge, principal, { current, next }),
    setPassword: (userId, password) => setPassword(tools, userId, password),
    changeUsername: (userId, username) => renameLogin(tools, userId, username),
    retireParameters: () => retireParameters(tools.store, () => findUsedParameters(tools)),
    async usernameOf(userId) {
      const owned = await tools.credentials.listOf(userId);
      return owned.find(isLocalCredential)?.subject ?? null;
    },
    async userIdOf(username) {
      const { type, id } = localProvider;
      const stored = await storedLoginName(tools.credentials, username);
      const found = await tools.credentials.find(type, id, stored);
      return found?.credential.userId;
    },
  };
}
