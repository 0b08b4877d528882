import { hash } from "node:crypto";
import { readFileSync } from "node:fs";

import type { RedisClient } from "./client.ts";

/** A Lua file beside this one. It is called by its hash, and sent whole if the server does not know it. */
export class Script {
  readonly #text: string;
  readonly #hash: string;

  /**
   * `flags` are those of Redis 7's first line. With them a script of the same text runs where the other one is refused.
   */
  constructor(name: string, flags?: "allow-oom") {
    const text = readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), "utf8");
    this.#text = flags === undefined ? text : text.replace(/^#!lua$/m, `#!lua flags=${flags}`);
    this.#hash = hash("sha1", this.#text, "hex");
  }

  async run(client: RedisClient, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    try {
      return await client.call("evalsha", this.#hash, keys.length, ...keys, ...args);
    } catch (error) {
      // NOSCRIPT: the script did not run, so sending it again runs it once.
      if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
      return await client.call("eval", this.#text, keys.length, ...keys, ...args);
    }
  }
}
