import { once } from "node:events";
import { Worker } from "node:worker_threads";

import { AuthError } from "../errors.ts";

/** Nobody's list has the words that come to mind here. */
const ownWords = [
  "gatehouse",
  "homeassistant",
  "hassio",
  "dashboard",
  "correcthorsebatterystaple",
  "thequickbrownfox",
];
/** What people put between words: everything that is neither a letter nor a digit, and what nobody sees. */
const separators = /[^\p{L}\p{N}]+/gu;
/** What people add to a word to make it long enough, in front and behind. The look-behind: one try for each row of them. */
const added = /^([\d\p{P}\p{S}\p{Cf}]*).*?((?<![\d\p{P}\p{S}\p{Cf}])[\d\p{P}\p{S}\p{Cf}]*)$/su;
const mostAdded = 8;
/** Rows of keys (also of German and French keyboards), the alphabet and the digits, there and back, as often as people go on with them. */
const rows = [
  "abcdefghijklmnopqrstuvwxyz",
  "1234567890",
  "0123456789",
  "aabbccddeeffgghhiijjkkllmmnnoopp",
  "11223344556677889900",
  "qwertyuiop",
  "asdfghjkl",
  "zxcvbnm",
  "qwertyuiopasdfghjklzxcvbnm",
  "1q2w3e4r5t6y7u8i9o0p",
  "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik",
  "qwertzuiop",
  "yxcvbnm",
  "qwertzuiopasdfghjklyxcvbnm",
  "azertyuiop",
  "qsdfghjklm",
  "wxcvbn",
  "azertyuiopqsdfghjklmwxcvbn",
];
const runs = rows.flatMap((row) => [row, [...row].reverse().join("")]).map((row) => row.repeat(8));

/** One password a line, in UTF-8, with a line end at both ends. */
type List = Buffer;

/**
 * Whether a password is among the most common ones, whatever its case: the list of zxcvbn-ts (49,000 passwords) and the
 * names of this product, also several times, or with digits in front or behind; up to four characters again and again; runs of
 * neighbours on the keyboard or in the alphabet; all of that also with separators in between. It stops the guesses that fit into a budget of tries. It is no list of breached passwords.
 *
 * Rejects with `unavailable` if the list cannot be read; the next call tries again.
 */
export const isCommonPassword = createCommonPasswords(readInThread);

/** Reads the list with the first password. */
export function createCommonPasswords(read: () => Promise<List>): (password: string) => Promise<boolean> {
  let reading: Promise<List> | undefined;
  const list = () => {
    reading ??= read().catch((cause: unknown) => {
      reading = undefined;
      const detail = "the list of common passwords could not be read";
      throw new AuthError("unavailable", { detail, cause });
    });
    return reading;
  };
  return async (password) => {
    const text = password.toLowerCase();
    const joined = text.replaceAll(separators, "");
    const words = await list();
    return isCommon(text, words) || (joined !== text && isCommon(joined, words));
  };
}

function isCommon(text: string, list: List): boolean {
  if (isCommonWord(text, list)) return true;
  const [, before = "", after = ""] = added.exec(text) ?? [];
  const word = text.slice(before.length, text.length - after.length);
  if (word === text || word === "") return false;
  const isEasy = [before, after].every((part) => part.length <= mostAdded || isMonotonous(part));
  return (isEasy || ownWords.includes(word)) && isCommonWord(word, list);
}

function isCommonWord(text: string, list: List): boolean {
  const unit = repeatedUnit(text);
  return (
    list.includes(`\n${text}\n`) ||
    ownWords.includes(text) ||
    isMonotonous(text) ||
    (unit !== undefined && isCommon(unit, list))
  );
}

/** Also with up to four other characters in front or behind. */
function isMonotonous(text: string): boolean {
  for (let beside = 0; beside <= Math.min(4, Math.max(0, text.length - 8)); beside += 1)
    for (let before = 0; before <= beside; before += 1)
      if (isPattern(text.slice(before, text.length - (beside - before)))) return true;
  return false;
}

function isPattern(text: string): boolean {
  const units = [1, 2, 3, 4].filter((length) => text.length >= 2 * length);
  return units.some((length) => text.slice(length) === text.slice(0, -length)) || isOfRuns(text);
}

/** Longer texts are not looked at, since that takes milliseconds. If they repeat something, that is. */
const longestRuns = 128;

/** Each part has four characters at least, and the longest part of a run is taken first. */
function isOfRuns(text: string): boolean {
  if (text.length > longestRuns) return false;
  let at = 0;
  while (at < text.length) {
    let end = Math.min(text.length, at + 4);
    if (end - at < 4 || !isInRun(text.slice(at, end))) return false;
    while (end < text.length && isInRun(text.slice(at, end + 1))) end += 1;
    at = end;
  }
  return at > 0;
}

function isInRun(text: string): boolean {
  return runs.some((run) => run.includes(text));
}

/** The shortest text that the whole is a repetition of, for instance `ab` of `ababab`. Undefined: it repeats nothing. */
function repeatedUnit(text: string): string | undefined {
  const length = (text + text).indexOf(text, 1);
  return length > 0 && length < text.length ? text.slice(0, length) : undefined;
}

/**
 * In a thread that ends after it: the event loop does not wait for it, and 0.4 MB stay, once for the process. A search in
 * them takes less than a millisecond.
 */
async function readInThread(): Promise<List> {
  const thread = new Worker(new URL("./common-passwords-worker.mjs", import.meta.url), {
    name: "gatehouse-common-passwords",
    env: {},
    execArgv: [],
    stdin: false,
  });
  const [bytes] = await Promise.race([once(thread, "message"), once(thread, "exit")]);
  if (!(bytes instanceof Uint8Array)) throw new Error(`the thread ended with ${bytes}`);
  return Buffer.from(bytes.buffer);
}
