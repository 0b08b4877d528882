import { createSecretKey } from "node:crypto";
import jwt from "jsonwebtoken";
import { type Mint, padding } from "../support/minting.ts";

/** HS256 tokens, each for another user. One process accepts what another one minted. */
export class Tokens {
  /**
   * A key object, as the documentation of `jsonwebtoken` allows. It tries to read a string as a public key at every
   * check, which costs many times the check itself.
   */
  readonly key = createSecretKey(Buffer.from("benchmark".padEnd(64, "-")));
  #users = 10_000_000;

  mint({ n, bytes }: Mint): string[] {
    const pad = padding(bytes, this.#sign("").length);
    return Array.from({ length: n }, () => this.#sign(pad));
  }

  #sign(pad: string): string {
    this.#users += 1;
    const options = { algorithm: "HS256", subject: String(this.#users), expiresIn: 3600 };
    return jwt.sign({ iss: "http://127.0.0.1:8123", pad }, this.key, options);
  }

  /** Throws if it is forged or has expired. */
  verify(token: unknown): { readonly sub: string } {
    return jwt.verify(token, this.key, { algorithms: ["HS256"] });
  }
}
