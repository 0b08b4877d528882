import { limits } from "../../../protocol/features.ts";
import { isResetCode } from "../../../protocol/reset-code.ts";
import { AuthError } from "../errors.ts";
import { caseFolded } from "../providers/homeassistant/case-folding.ts";
import { isCommonPassword } from "./common-passwords.ts";

/** Passwords are compared and hashed in NFKC, so that input from different keyboards gives the same password. */
export function normalisePassword(password: string): string {
  return password.normalize("NFKC");
}

/**
 * Rejects with `invalid_password` if the password has fewer characters than `minLength` or more than 1024 bytes of UTF-8
 * (both after NFKC), has the form of a reset code, contains a lone surrogate (UTF-8 encodes all of them alike), or is a common
 * password or a simple pattern (NIST SP 800-63B-4 section 3.1.1.2). There is no rule about kinds of characters.
 */
export async function checkPassword(password: string, minLength: number): Promise<void> {
  const text = normalisePassword(password);
  // Whoever has sent or read the code would know the password.
  if (isResetCode(text)) throw refusal("Password must not be a reset code");
  if (/\p{Surrogate}/u.test(text)) throw refusal("Password is not well-formed Unicode");
  if ([...text].length < minLength) throw refusal(`Password must have at least ${minLength} characters`);
  if (Buffer.byteLength(text) > limits.password) throw refusal("Password is too long");
  if (await isCommonPassword(text)) throw refusal("Password is a common one, or a simple pattern");
}

/** Throws `invalid_password` for a password that is the login name, once or several times, with at most four characters or eight digits and signs beside. */
export function checkPasswordIsNotName(password: string, username: string): void {
  const folded = (text: string) => caseFolded(normalisePassword(text)).replaceAll(/[\s._-]+/g, "");
  const name = folded(username);
  const beside = folded(password).replaceAll(name, "");
  if (name !== "" && folded(password) !== beside && /^(?:.{0,4}|\P{L}{0,8})$/su.test(beside))
    throw refusal("Password must not be the username");
}

/** Throws `invalid_password` if both are the same password. */
export function checkPasswordIsNew(password: string, current: string): void {
  if (normalisePassword(password) === normalisePassword(current))
    throw refusal("Password must not be the current one");
}

function refusal(publicMessage: string): AuthError {
  return new AuthError("invalid_password", { publicMessage });
}
