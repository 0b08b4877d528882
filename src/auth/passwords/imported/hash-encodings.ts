import { problemOfCost } from "./import-bounds.ts";
import type { ImportedCost } from "./imported-cost.ts";
import type { ImportedHash } from "./imported-hash.ts";

/** A hash, or why the text is none that can be imported. The reason quotes nothing of the hash. */
export type ReadHash = ImportedHash | { readonly problem: string };

/** Shorter ones are matched by wrong passwords too often; longer ones are not made. */
const bytesOf = { salt: { most: 64 }, hash: { least: 16, most: 64 } } as const;

/**
 * Reads the encodings that other programs store: bcrypt (`$2a$`, `$2b$`, `$2y$`), Argon2 and scrypt as PHC strings
 * (`$argon2id$v=19$m=..,t=..,p=..$`, `$scrypt$ln=..,r=..,p=..$`), PBKDF2 of passlib (`$pbkdf2-sha256$`) and of Django
 * (`pbkdf2_sha256$`).
 */
export function readHash(text: string): ReadHash {
  for (const read of [bcrypt, argon2, scrypt, passlibPbkdf2, djangoPbkdf2]) {
    const found = read(text);
    if (found !== undefined) return found;
  }
  return refused(
    "not a known encoding: bcrypt ($2a$, $2b$, $2y$), $argon2id$, $argon2i$, $argon2d$, $scrypt$, passlib's ($pbkdf2-sha256$, $pbkdf2-sha512$, $pbkdf2$) and Django's (pbkdf2_sha256$, pbkdf2_sha512$, pbkdf2_sha1$) are",
  );
}

function bcrypt(text: string): ReadHash | undefined {
  const found = /^\$2([a-z]?)\$(\d\d)\$([./A-Za-z0-9]{22})([./A-Za-z0-9]{31})$/.exec(text);
  if (found === null) return /^\$2[a-z]?\$/.test(text) ? refused("a damaged bcrypt hash") : undefined;
  const [, minor = "", cost = "", salt = "", hash = ""] = found;
  // $2$ ends a password differently, and $2x$ marks hashes of a faulty program.
  if (!["a", "b", "y"].includes(minor)) return refused(`bcrypt of the kind $2${minor}$ is not supported`);
  return checked({ kdf: "bcrypt", cost: Number(cost) }, radix64(salt), radix64(hash));
}

function argon2(text: string): ReadHash | undefined {
  const named = /^\$(argon2(?:id|i|d))\$/.exec(text);
  if (named === null) return undefined;
  const found = /^\$argon2[id]{1,2}\$v=(\d+)\$m=(\d+),t=(\d+),p=(\d+)(?:,[^$]*)?\$([^$]*)\$([^$]*)$/.exec(
    text,
  );
  if (found === null) return refused("an Argon2 hash without v=, m=, t=, p=, salt and hash");
  const [, version, memoryKiB, passes, lanes, salt = "", hash = ""] = found;
  if (version !== "19") return refused(`Argon2 of version ${version} is not supported, 19 is`);
  if (/,(?:keyid|data)=/.test(text)) return refused("Argon2 with a key or with data is not supported");
  const kdf = named[1] === "argon2id" ? "argon2id" : named[1] === "argon2i" ? "argon2i" : "argon2d";
  const cost = { kdf, memoryKiB: Number(memoryKiB), passes: Number(passes), lanes: Number(lanes) } as const;
  const bytes = base64(salt);
  if (bytes !== undefined && bytes.length < 8) return refused("Argon2 needs a salt of at least 8 bytes");
  return checked(cost, bytes, base64(hash));
}

function scrypt(text: string): ReadHash | undefined {
  if (!text.startsWith("$scrypt$")) return undefined;
  const found = /^\$scrypt\$ln=(\d{1,2}),r=(\d+),p=(\d+)\$([^$]*)\$([^$]*)$/.exec(text);
  if (found === null) return refused("an scrypt hash without ln=, r=, p=, salt and hash");
  const [, ln, r, p, salt = "", hash = ""] = found;
  return checked(
    { kdf: "scrypt", N: 2 ** Number(ln), r: Number(r), p: Number(p) },
    base64(salt),
    base64(hash),
  );
}

/** Its base64 has `.` for `+`. */
function passlibPbkdf2(text: string): ReadHash | undefined {
  if (!text.startsWith("$pbkdf2")) return undefined;
  const found = /^\$pbkdf2(-sha256|-sha512|)\$(?:i=)?(\d+)(?:,l=\d+)?\$([^$]*)\$([^$]*)$/.exec(text);
  if (found === null) return refused("a PBKDF2 hash without iterations, salt and hash");
  const [, name = "", iterations, salt = "", hash = ""] = found;
  const digest = name === "-sha256" ? "sha256" : name === "-sha512" ? "sha512" : "sha1";
  const [saltBytes, hashBytes] = [salt, hash].map((part) => base64(part.replaceAll(".", "+")));
  return pbkdf2(digest, Number(iterations), saltBytes, hashBytes);
}

/** The salt is text. */
function djangoPbkdf2(text: string): ReadHash | undefined {
  if (!text.startsWith("pbkdf2_")) return undefined;
  const found = /^pbkdf2_(sha1|sha256|sha512)\$(\d+)\$([^$]+)\$([^$]+)$/.exec(text);
  if (found === null) return refused("a Django hash without iterations, salt and hash");
  const [, name, iterations, salt = "", hash = ""] = found;
  const digest = name === "sha256" ? "sha256" : name === "sha512" ? "sha512" : "sha1";
  return pbkdf2(digest, Number(iterations), Buffer.from(salt), base64(hash));
}

function pbkdf2(
  digest: "sha1" | "sha256" | "sha512",
  iterations: number,
  salt: Buffer | undefined,
  hash: Buffer | undefined,
): ReadHash {
  return checked({ kdf: "pbkdf2", digest, iterations, bytes: hash?.length ?? 1 }, salt, hash);
}

function checked(cost: ImportedCost, salt: Buffer | undefined, hash: Buffer | undefined): ReadHash {
  if (salt === undefined || hash === undefined) return refused("salt or hash is not base64");
  if (salt.length === 0 || salt.length > bytesOf.salt.most)
    return refused(`a salt has 1 to ${bytesOf.salt.most} bytes`);
  const { least, most } = bytesOf.hash;
  if (hash.length < least || hash.length > most) return refused(`a hash has ${least} to ${most} bytes`);
  const numbers = Object.values(cost).filter((each) => typeof each === "number");
  if (!numbers.every((each) => Number.isSafeInteger(each) && each >= 1))
    return refused("a parameter is not a positive number");
  const problem = problemOfCost(cost);
  if (problem !== undefined) return refused(problem);
  return { cost, salt: salt.toString("base64url"), hash: hash.toString("base64url") };
}

function refused(problem: string): ReadHash {
  return { problem };
}

/** Base64 with or without padding; undefined for anything else. */
function base64(text: string): Buffer | undefined {
  return /^[A-Za-z0-9+/]*={0,2}$/.test(text) ? Buffer.from(text, "base64") : undefined;
}

const ofBcrypt = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const ofBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** The base64 of bcrypt, which has its own alphabet. */
function radix64(text: string): Buffer {
  const usual = [...text].map((each) => ofBase64.charAt(ofBcrypt.indexOf(each))).join("");
  return Buffer.from(usual, "base64");
}
