import { reasonOf } from "../unavailable.ts";
import type { RedisAddress, RedisHost } from "./address.ts";
import { connectClient, createSentinelClient, withDeadline } from "./client.ts";
import { hostName, sentinelTimeoutMs } from "./sentinels.ts";

/** Where connections to the primary go; behind Sentinels only. */
export class PrimaryFinder {
  readonly #address: RedisAddress;
  #named: () => RedisHost | undefined = () => undefined;

  constructor(address: RedisAddress) {
    this.#address = address;
  }

  /** Whoever watches the Sentinels, and so knows what a majority of them says, is believed without a question. */
  believe(named: () => RedisHost | undefined): void {
    this.#named = named;
  }

  async find(): Promise<RedisHost> {
    return this.#named() ?? (await findPrimary(this.#address));
  }
}

/**
 * Asks the configured Sentinels, all at once, where the primary is: as soon as a majority of them agrees, else, when
 * each has answered or had its time, what most of those say who answered (at a tie the one that comes first in the URL).
 * Rejects with an Error that names what was wrong at each when nobody knows.
 */
export async function findPrimary(address: RedisAddress): Promise<RedisHost> {
  const majority = Math.floor(address.hosts.length / 2) + 1;
  const answers = address.hosts.map((host) => ask(address, host));
  const all = Promise.allSettled(answers).then((settled) => {
    const named = settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    const [most] = named.sort((a, b) => count(named, b) - count(named, a));
    if (most !== undefined) return most;
    const reasons = settled.map((one) => (one.status === "rejected" ? reasonOf(one.reason) : ""));
    throw new Error(`no Sentinel names the primary: ${[...new Set(reasons)].join("; ")}`);
  });
  return await Promise.race([agreed(answers, majority), all]);
}

/** Resolves once so many say the same, if ever. */
function agreed(answers: readonly Promise<RedisHost>[], majority: number): Promise<RedisHost> {
  const heard: RedisHost[] = [];
  return new Promise((resolve) => {
    for (const answer of answers) {
      answer.then(
        (host) => {
          heard.push(host);
          if (count(heard, host) >= majority) resolve(host);
        },
        // `all` tells of those that do not answer.
        () => undefined,
      );
    }
  });
}

function count(hosts: readonly RedisHost[], host: RedisHost): number {
  return hosts.filter((other) => hostName(other) === hostName(host)).length;
}

async function ask(address: RedisAddress, sentinel: RedisHost): Promise<RedisHost> {
  const client = createSentinelClient(address, sentinel, sentinelTimeoutMs);
  try {
    await connectClient(client, sentinelTimeoutMs);
    const reply = await withDeadline(
      client.call("sentinel", "GET-MASTER-ADDR-BY-NAME", address.primary ?? ""),
      sentinelTimeoutMs,
      "no answer",
    );
    if (!Array.isArray(reply)) throw new Error(`it does not know "${address.primary}"`);
    return { host: String(reply[0]), port: Number(reply[1]) };
  } catch (error) {
    throw new Error(`${hostName(sentinel)}: ${reasonOf(error)}`, { cause: error });
  } finally {
    client.disconnect();
  }
}
