import type { FormField } from "../../../protocol/flow.ts";
import { countedName } from "./counted-name.ts";
import type { AskingForm, LoginProvider, ProviderContext, ProviderStep } from "./provider.ts";

const fields: readonly FormField[] = [
  { name: "username", type: "string", required: true },
  { name: "password", type: "string", required: true },
];

/** Home Assistant's form for a login name and a password. */
export const passwordForm: AskingForm = { kind: "form", stepId: "init", fields };
/** The answer for an unknown name, a wrong password, and a user who may not log in, after the same work. */
export const refusedPassword: AskingForm = { ...passwordForm, errors: { base: "invalid_auth" } };

/** The steps of a provider whose login is that form. `logIn` gets the name without spaces around it. */
export function passwordLogin(
  logIn: (
    given: { readonly username: string; readonly password: string },
    context: ProviderContext,
  ) => Promise<ProviderStep>,
): Required<Pick<LoginProvider, "guessedName" | "begin" | "advance">> {
  return {
    guessedName: (_stepId, { username }) =>
      typeof username === "string" ? countedName(username) : undefined,
    begin: () => Promise.resolve(passwordForm),
    async advance(_stepId, { username, password }, _state, context) {
      if (typeof username !== "string" || typeof password !== "string") return refusedPassword;
      return await logIn({ username: username.trim(), password }, context);
    },
  };
}
