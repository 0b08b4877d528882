import { AuthError } from "../../errors.ts";
import type { Credentials } from "../../users/credentials.ts";
import { caseFolded } from "./case-folding.ts";
import { type LocalProviderId, localType } from "./login-record.ts";

const longest = 128;
/**
 * Control, format (zero width, bidirectional) and private-use characters, lone surrogates, line and paragraph
 * separators.
 */
const unseen = /[\p{Cc}\p{Cf}\p{Co}\p{Surrogate}\p{Zl}\p{Zp}]/u;

/**
 * A login name as it is stored and looked up: NFKC, case folded, trimmed, as Home Assistant's strip and casefold. All
 * spellings of a name share one record, and with it one counter.
 */
export function normaliseLoginName(name: string): string {
  return caseFolded(name.normalize("NFKC")).normalize("NFKC").trim();
}

/** The form in which earlier versions stored names: lower case, which keeps `straße` and `strasse` apart. */
export function lowerCasedLoginName(name: string): string {
  return name.normalize("NFKC").toLowerCase().normalize("NFKC").trim();
}

/**
 * Throws `invalid_username` for an empty or too long name or one with invisible characters, and
 * `username_not_normalized` for one that is not in normal form: the stored name is exactly what the administrator
 * entered.
 */
export function checkLoginName(name: string): void {
  const normal = normaliseLoginName(name);
  if (normal === "" || name.length > longest || unseen.test(normal)) throw new AuthError("invalid_username");
  if (normal !== name) throw new AuthError("username_not_normalized");
}

/**
 * The name that the login of a typed name is stored under. Earlier versions did not fold case. A stored name that
 * folding would change stays as it is and works, typed as before, until it is renamed. For the few names that folding
 * changes there is one more look-up, whether or not the name exists.
 */
export async function storedLoginName(
  credentials: Pick<Credentials, "find">,
  providerId: LocalProviderId,
  typed: string,
): Promise<string> {
  const name = normaliseLoginName(typed);
  const earlier = lowerCasedLoginName(typed);
  if (earlier === name) return name;
  const found = await credentials.find(localType, providerId, earlier);
  return found === undefined ? name : earlier;
}
