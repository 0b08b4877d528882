/** By name. Digits alone are a code, which is only a secret where it stands by itself. */
export type Secrets = Readonly<Record<string, string | Uint8Array>>;

/** The names of the secrets that are in there: as they are, or in an encoding that everybody can undo. */
export function toldIn(text: string | Buffer, secrets: Secrets): readonly string[] {
  const bytes = Buffer.from(text);
  return Object.entries(secrets)
    .filter(([, secret]) => isToldIn(bytes, secret))
    .map(([name]) => name);
}

function isToldIn(bytes: Buffer, secret: string | Uint8Array): boolean {
  if (secret.length === 0) throw new Error("an empty secret is told by everything");
  if (typeof secret !== "string")
    return encodingsOf(Buffer.from(secret)).some((form) => bytes.includes(form));
  const spellings = new Set([secret, secret.toLowerCase(), secret.replaceAll("-", "")]);
  return [...spellings].some((text) => isSpelledIn(bytes, text));
}

function isSpelledIn(bytes: Buffer, text: string): boolean {
  const [plain, ...encoded] = encodingsOf(Buffer.from(text));
  if (encoded.some((form) => bytes.includes(form)) || bytes.includes(Buffer.from(text, "utf16le")))
    return true;
  if (!/^[0-9]+$/.test(text)) return plain !== undefined && bytes.includes(plain);
  // Six digits in a row are also in a time, a hash or an id, by chance. There they are part of a longer word.
  return new RegExp(`(?<![\\w.-])${text}(?![\\w-])`).test(bytes.toString("latin1"));
}

/** The bytes first, then hex and base64, also where they are the middle of something that was encoded as a whole. */
function encodingsOf(secret: Buffer): readonly Buffer[] {
  const inBase64 = [0, 1, 2].map((before) => {
    const whole = Buffer.concat([Buffer.alloc(before), secret]);
    // Without the characters in which other bytes have a part.
    const [start, end] = [Math.ceil((before * 8) / 6), Math.floor((whole.length * 8) / 6)];
    return whole.toString("base64").slice(start, end);
  });
  const hex = secret.toString("hex");
  const texts = [
    hex,
    hex.toUpperCase(),
    ...inBase64,
    ...inBase64.map((text) => text.replaceAll("+", "-").replaceAll("/", "_")),
  ];
  return [secret, ...texts.map((text) => Buffer.from(text))];
}
