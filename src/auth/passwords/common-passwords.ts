/** Nobody's list has the words that come to mind here. */
const ownWords = ["gatehouse", "homeassistant", "home-assistant", "home assistant", "hassio", "dashboard"];
/** What people add to a word to make it long enough. */
const endings = /[\d!.?@#$*_-]*$/;
/** Rows of keys, the alphabet and the digits, there and back, as often as people go on with them. */
const rows = ["abcdefghijklmnopqrstuvwxyz", "1234567890", "0123456789", "qwertyuiop", "asdfghjkl", "zxcvbnm"];
const runs = [...rows, "qwertyuiopasdfghjklzxcvbnm"]
  .flatMap((row) => [row, [...row].reverse().join("")])
  .map((row) => row.repeat(8));

let loading: Promise<ReadonlySet<string>> | undefined;

/**
 * Whether a password is among the most common ones, whatever its case: the list of zxcvbn-ts (49,000 passwords) and the
 * names of this product, also several times, or with digits behind; one character or two again and again; a run of neighbours on
 * the keyboard or in the alphabet. It stops the guesses that fit into a budget of tries. It is no list of breached passwords.
 */
export async function isCommonPassword(password: string): Promise<boolean> {
  loading ??= load();
  const listed = await loading;
  const isCommon = (text: string): boolean => {
    const unit = repeatedUnit(text);
    return (
      listed.has(text) ||
      ownWords.includes(text) ||
      isMonotonous(text) ||
      (unit !== undefined && isCommon(unit))
    );
  };
  const text = password.toLowerCase();
  if (isCommon(text)) return true;
  const [ending = ""] = endings.exec(text) ?? [];
  const word = text.slice(0, text.length - ending.length);
  const isEasyEnding = ending.length <= 4 || isMonotonous(ending);
  return (isEasyEnding || ownWords.includes(word)) && isCommon(word);
}

function isMonotonous(text: string): boolean {
  const unit = repeatedUnit(text);
  return (
    (unit !== undefined && unit.length <= 2) || (text.length > 3 && runs.some((run) => run.includes(text)))
  );
}

/** The shortest text that the whole is a repetition of, for instance `ab` of `ababab`. Undefined: it repeats nothing. */
function repeatedUnit(text: string): string | undefined {
  const length = (text + text).indexOf(text, 1);
  return length > 0 && length < text.length ? text.slice(0, length) : undefined;
}

/** 0.1 s and some megabytes, for a process that sets a password. */
async function load(): Promise<ReadonlySet<string>> {
  const { dictionary } = await import("@zxcvbn-ts/language-common");
  return new Set(dictionary["passwords-common"].map(String));
}
