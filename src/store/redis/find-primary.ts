import { reasonOf } from "../unavailable.ts";
import type { RedisAddress, RedisHost } from "./address.ts";
import { connectClient, createSentinelClient, withDeadline } from "./client.ts";
import { hostName, latest, type SentinelReport, sentinelTimeoutMs, stateOf } from "./sentinels.ts";

/** Where connections to the primary go. Used behind Sentinels only. */
export class PrimaryFinder {
  readonly #address: RedisAddress;
  #named: () => Promise<RedisHost | undefined> = async () => undefined;

  constructor(address: RedisAddress) {
    this.#address = address;
  }

  /**
   * Sets the lookup. `SentinelWatch` has connections to the Sentinels and remembers the last answers of those that are
   * unreachable now.
   */
  useLookup(named: () => Promise<RedisHost | undefined>): void {
    this.#named = named;
  }

  /** Asks now: a lost connection may mean that earlier answers are outdated. */
  async find(): Promise<RedisHost> {
    return (await this.#named()) ?? (await findPrimary(this.#address));
  }
}

/**
 * Asks all configured Sentinels at once where the primary is. Only answers that know of the last failover count; of
 * these the most frequent wins, and at a tie the one that comes first in the URL. If no Sentinel knows, it rejects with
 * an Error that names each one's fault.
 */
export async function findPrimary(address: RedisAddress): Promise<RedisHost> {
  const settled = await Promise.allSettled(address.hosts.map((host) => ask(address, host)));
  const reports = latest(settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : [])));
  const named = reports.map((report) => report.named);
  const [mostNamed] = named.toSorted((a, b) => count(named, b) - count(named, a));
  if (mostNamed !== undefined) return mostNamed;
  const reasons = settled.map((one) => (one.status === "rejected" ? reasonOf(one.reason) : ""));
  throw new Error(`no Sentinel names the primary: ${[...new Set(reasons)].join("; ")}`);
}

function count(hosts: readonly RedisHost[], host: RedisHost): number {
  return hosts.filter((other) => hostName(other) === hostName(host)).length;
}

async function ask(
  address: RedisAddress,
  sentinel: RedisHost,
): Promise<Pick<SentinelReport, "named" | "state">> {
  const client = createSentinelClient(address, sentinel, sentinelTimeoutMs);
  try {
    await connectClient(client, sentinelTimeoutMs);
    const primary = address.primary ?? "";
    const asking = Promise.all([
      client.call("sentinel", "GET-MASTER-ADDR-BY-NAME", primary),
      stateOf(client, primary),
    ]);
    const [reply, state] = await withDeadline(asking, sentinelTimeoutMs, "no answer");
    if (!Array.isArray(reply)) throw new Error(`it does not know "${address.primary}"`);
    return { named: { host: String(reply[0]), port: Number(reply[1]) }, state };
  } catch (error) {
    throw new Error(`${hostName(sentinel)}: ${reasonOf(error)}`, { cause: error });
  } finally {
    client.disconnect();
  }
}
