/** Nobody's list has the words that come to mind here. */
const ownWords = ["gatehouse", "homeassistant", "home-assistant", "home assistant", "hassio", "dashboard"];
/** What people add to a word to make it long enough. */
const endings = /^[\d!.?@#$*_-]*$/;

let loading: Promise<ReadonlySet<string>> | undefined;

/**
 * Whether a password is among the most common ones, whatever its case: the list of zxcvbn-ts (49,000 passwords), and the
 * names of this product with digits behind. It stops the guesses that fit into a budget of tries. It is no list of breached
 * passwords.
 */
export async function isCommonPassword(password: string): Promise<boolean> {
  const text = password.toLowerCase();
  if (ownWords.some((word) => text.startsWith(word) && endings.test(text.slice(word.length)))) return true;
  loading ??= load();
  return (await loading).has(text);
}

/** 0.1 s and some megabytes, for a process that sets a password. */
async function load(): Promise<ReadonlySet<string>> {
  const { dictionary } = await import("@zxcvbn-ts/language-common");
  return new Set(dictionary["passwords-common"].map(String));
}
