import { eventually } from "../support/eventually.ts";
import type { RedisServer } from "../support/redis-server.ts";
import { connectFrom } from "../support/source-address.ts";
import { type SplitSentinels, startSplitSentinels } from "../support/split-sentinels.ts";
import type { Heal } from "./deployment.ts";
import type { DeploymentStore } from "./deployment-store.ts";
import { replicationLagMs } from "./schedule.ts";

/** As the README recommends, so that a bound exists. */
const recommended = ["min-replicas-to-write 1", "min-replicas-max-lag 2"];

export interface SplitStoreOptions {
  readonly config?: readonly string[];
  /** How many of the three replicas stay with the old primary. */
  readonly replicasOfOld?: number;
}

const sourceOf = (node: number) => `127.0.2.${node + 1}`;

/**
 * Sentinels, Redis servers and gateways as on machines of their own. In the partition the first gateway is with the
 * Sentinels, and the others are with the old primary.
 */
export async function split({
  config = recommended,
  replicasOfOld = 1,
}: SplitStoreOptions = {}): Promise<DeploymentStore> {
  const group = await startSplitSentinels({ replicas: 3, downAfterMs: 5_000, config });
  const withOld: string[] = [];
  return {
    reach: ["--store", group.url],
    async placeFor(node) {
      if (node > 0) withOld.push(sourceOf(node));
      return { store: group.url, env: connectFrom(sourceOf(node)) };
    },
    can: ["isolated_primary", "primary_kill"],
    servers: group.servers,
    async injectFault({ kind }) {
      const side = { replicas: replicasOfOld, sources: withOld };
      return kind === "primary_kill" ? await killPrimary(group) : await isolatePrimary(group, side);
    },
    dispose: () => group.dispose(),
  };
}

/** Has begun once another primary accepts writes. */
async function isolatePrimary(
  group: SplitSentinels,
  side: Parameters<SplitSentinels["isolatePrimary"]>[0],
): Promise<Heal> {
  const forgotSince = performance.now();
  const old = await group.named();
  group.isolatePrimary(side);
  await anotherTakesWrites(group, old);
  return async () => {
    group.heal();
    return { forgotSince };
  };
}

/** Has begun once another primary accepts writes. The old one is restarted as its replica. */
async function killPrimary(group: SplitSentinels): Promise<Heal> {
  const forgotSince = performance.now() - replicationLagMs;
  const old = await group.named();
  await old?.kill();
  await anotherTakesWrites(group, old);
  return async () => {
    await old?.restart();
    return { forgotSince };
  };
}

async function anotherTakesWrites(group: SplitSentinels, old: RedisServer | undefined): Promise<void> {
  await eventually("it to hold", async () => {
    const named = await group.named();
    return named !== old && (await named?.command("DEL", "nothing")) === "0";
  });
}
