import jwt from "jsonwebtoken";
import { type Mint, padding } from "../support/minting.ts";

/** HS256 tokens, each of another user. What one process mints is good in another one. */
export class Tokens {
  readonly key = "benchmark".padEnd(64, "-");
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

  /** Throws when it is forged or over. */
  verify(token: unknown): { readonly sub: string } {
    return jwt.verify(token, this.key, { algorithms: ["HS256"] });
  }
}
