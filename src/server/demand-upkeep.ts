import type { SecondFactors } from "../auth/factors/second-factors.ts";
import { createSingleFlight } from "../auth/scheduling/single-flight.ts";
import type { Hub } from "../connection/hub.ts";
import type { Log } from "../observability/log.ts";

const everyMs = 60_000;

/**
 * Ends, within a minute, sessions of this node's sockets that are below what is demanded. Whoever changes a demand, a
 * membership or the owner ends such sessions at once. These are left if that node stops in between, and a socket
 * needs no new token for a long time.
 */
export function startDemandUpkeep(options: {
  readonly hub: Pick<Hub, "members">;
  readonly secondFactors: Pick<SecondFactors, "demandingGroups" | "enforce">;
  readonly log: Pick<Log, "warn">;
  /** For tests. */
  readonly everyMs?: number;
}): { stop(): void } {
  const { hub, secondFactors, log } = options;
  const upkeep = createSingleFlight({
    async run() {
      if ((await secondFactors.demandingGroups()).length === 0) return;
      const below = new Set<string>();
      for (const { principal } of hub.members())
        if (principal.assurance === 1 && principal.sessionType !== "system") below.add(principal.userId);
      await secondFactors.enforce([...below]);
    },
    onFault: (error) =>
      log.warn({ err: error }, "whether sessions are below what is demanded was not looked at"),
  });
  const timer = setInterval(() => void upkeep.now(), options.everyMs ?? everyMs).unref();
  return {
    stop() {
      clearInterval(timer);
      upkeep.stop();
    },
  };
}
