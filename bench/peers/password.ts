import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from "node:crypto";

const LENGTH = 32;

function derive(password: string, salt: Buffer, options: ScryptOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password, salt, LENGTH, options, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}

/** Node's scrypt with the parameters that every contender gets, for the hooks of a peer. */
export class PasswordHash {
  readonly #options: ScryptOptions;

  constructor(N: number, r: number, p: number) {
    this.#options = { N, r, p, maxmem: 256 * N * r };
  }

  /** Reads a server's arguments: N r p. */
  static ofArguments([N = "131072", r = "8", p = "1"]: readonly string[]): PasswordHash {
    return new PasswordHash(Number(N), Number(r), Number(p));
  }

  async hash(password: string): Promise<string> {
    const salt = randomBytes(16);
    return `${salt.toString("base64")}.${(await derive(password, salt, this.#options)).toString("base64")}`;
  }

  async verify(password: string, hash: string): Promise<boolean> {
    const [salt = "", key = ""] = hash.split(".");
    const expected = Buffer.from(key, "base64");
    const given = await derive(password, Buffer.from(salt, "base64"), this.#options);
    return given.length === expected.length && timingSafeEqual(given, expected);
  }
}

export const ACCOUNT = { email: "someone@example.org", password: "correct horse battery" } as const;
