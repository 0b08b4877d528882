import type { Random } from "../chaos/random.ts";

const edges = [
  ...["9007199254740991", "-1", "0", "1e308", "1e999", "-0", "null", "true", '""', "[]", "{}", '"\\ud800"'],
  ...['"__proto__"', '"\\u0000"', '"constructor"', "0.1", "[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]"],
];

/** Longer than any frame or body that is taken. */
const longest = 70_000;

/** A text with a few things done to it: bytes turned, cut, doubled, spliced with another, values replaced, much added. */
export function mutated(text: string, others: readonly string[], random: Random): string {
  let result = text;
  for (let turn = random.between(1, 4); turn > 0; turn -= 1)
    result = once(result, others, random).slice(0, longest);
  return result;
}

function once(text: string, others: readonly string[], random: Random): string {
  const at = random.between(0, text.length);
  const to = Math.min(text.length, at + random.between(1, 40));
  switch (random.between(0, 8)) {
    case 0:
      return text.slice(0, at) + String.fromCharCode(random.between(0, 0xff)) + text.slice(at + 1);
    case 1:
      return text.slice(0, at) + text.slice(to);
    case 2:
      return text.slice(0, to) + text.slice(at, to).repeat(random.between(1, 30)) + text.slice(to);
    case 3:
      return text.slice(0, at) + random.pick(others).slice(random.between(0, 30));
    case 4:
      return text.replace(/:("[^"]*"|[0-9.eE+-]+|true|false|null)/, `:${random.pick(edges)}`);
    case 5:
      return text.replace("{", `{${manyMembers(random)}`);
    case 6:
      return `[${Array(random.between(0, 300)).fill(text).join(",")}]`;
    case 7:
      return text.replace(/"[^"]{3,}"/, (found) => `"${found.slice(1, -1).repeat(random.between(1, 500))}"`);
    default:
      return text.slice(0, at) + random.pick(edges) + text.slice(at);
  }
}

function manyMembers(random: Random): string {
  const count = random.pick([10, 500, 3_000, 7_000]);
  return Array.from({ length: count }, (_, n) => `"k${n}":${n},`).join("");
}

/** Bytes with some of them turned, cut or added. */
export function mutatedBytes(bytes: Buffer, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  for (let turn = random.between(1, 6); turn > 0 && copy.length > 0; turn -= 1)
    copy[random.between(0, copy.length - 1)] = random.between(0, 0xff);
  if (random.chance(0.2)) return copy.subarray(0, random.between(0, copy.length));
  return random.chance(0.2) ? Buffer.concat([copy, copy]) : copy;
}
