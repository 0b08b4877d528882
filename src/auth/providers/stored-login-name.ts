import type { Credentials } from "../users/credentials.ts";
import { localProvider } from "./local-login-record.ts";
import { lowerCasedLoginName, normaliseLoginName } from "./login-name.ts";

/**
 * The name under which the login of a typed one is stored. Earlier versions did not fold case: a name of theirs that
 * folding changes stays where it is and goes on working, typed as before, until it is renamed. For the few names that
 * folding changes there is a look-up more, whether or not somebody has the name.
 */
export async function storedLoginName(
  credentials: Pick<Credentials, "find">,
  typed: string,
): Promise<string> {
  const name = normaliseLoginName(typed);
  const earlier = lowerCasedLoginName(typed);
  if (earlier === name) return name;
  const found = await credentials.find(localProvider.type, localProvider.id, earlier);
  return found === undefined ? name : earlier;
}
