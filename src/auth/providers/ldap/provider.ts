import { AuthError } from "../../errors.ts";
import { BoundedTries, queuePlaceOf } from "../bounded-tries.ts";
import { evenRefusal } from "../even-refusal.ts";
import { mappedGroups } from "../group-mapping.ts";
import { passwordLogin, refusedPassword } from "../password-form.ts";
import { profileName } from "../profile-name.ts";
import type { LoginProvider, NewUsers, ProviderContext, ProviderStep } from "../provider.ts";
import { shownName } from "../provider-type.ts";
import { DirectoryError } from "./connection.ts";
import { type DirectoryOptions, type DirectoryPerson, provePerson } from "./directory.ts";
import { comparable, isAskable } from "./escaping.ts";

export const ldapType = "ldap";

export interface LdapProviderOptions {
  readonly id: string | null;
  readonly name?: string | undefined;
  readonly directory: DirectoryOptions;
  readonly groupMapping: Readonly<Record<string, string>> | undefined;
  /** How many people are asked for at once, each on a connection of its own. */
  readonly concurrent: number;
  readonly newUsers: NewUsers;
}

/**
 * Asks a directory. The subject is the directory's identifier of the entry, not the login name: a name may be
 * given to somebody else later. An unknown name and a wrong password cause the same requests, and are answered
 * after the same time.
 */
export function createLdapProvider(options: LdapProviderOptions): LoginProvider {
  const tries = new BoundedTries(options.concurrent);
  return {
    type: ldapType,
    id: options.id,
    name: shownName("LDAP", options),
    supportsMfa: true,
    newUsers: options.newUsers,
    ...passwordLogin((given, context) => logIn(options, tries, given, context)),
  };
}

async function logIn(
  options: LdapProviderOptions,
  tries: BoundedTries,
  { username, password }: { readonly username: string; readonly password: string },
  context: ProviderContext,
): Promise<ProviderStep> {
  const leave = await tries.enter(queuePlaceOf(username, context));
  const startedAt = performance.now();
  try {
    const person =
      password === "" || !isAskable(username)
        ? undefined
        : await provePerson(options.directory, username, password);
    if (person !== undefined) return done(options, person);
  } catch (error) {
    if (!(error instanceof DirectoryError)) throw error;
    const provider = options.id === null ? ldapType : `${ldapType} ${options.id}`;
    throw new AuthError("unavailable", {
      detail: `the directory of the provider ${provider}: ${error.message}`,
      retryAfterSeconds: 5,
    });
  } finally {
    leave();
  }
  return await evenRefusal(startedAt, refusedPassword);
}

function done({ groupMapping }: LdapProviderOptions, person: DirectoryPerson): ProviderStep {
  const groupIds = mappedGroups(groupMapping, person.groups ?? [], comparable);
  const profile = { name: profileName(person.name), ...(groupIds === undefined ? {} : { groupIds }) };
  return { kind: "done", subject: person.subject, amr: ["pwd"], profile, evidence: [] };
}
