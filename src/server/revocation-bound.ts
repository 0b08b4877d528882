import { leaseHeartbeatMs, leaseMarginMs, leaseMs } from "../auth/revocation/lease.ts";
import type { Store, StoreGuarantee } from "../auth/store.ts";
import type { Log } from "../observability/log.ts";

/** How long, at most and under any single fault, a socket is served after what it stands on was revoked. */
export interface RevocationBound {
  /** As the store's settings had it at the last look; Infinity before the first one. */
  stalePrimaryWindowMs(): number;
  /** The lease, the isolation and the margin for clocks; null: there is no bound. */
  seconds(): number | null;
  /** What should be set up otherwise, and how. */
  problems(): readonly string[];
  /** Looks now, and until `stop` every hour, every minute while there is no bound. Never rejects. */
  start(): Promise<void>;
  stop(): void;
}

const lookEveryMs = 3_600_000;
/** The store may not have answered, or somebody is just setting it up. */
const lookAgainMs = 60_000;
const unknown: StoreGuarantee = {
  stalePrimaryWindowMs: Number.POSITIVE_INFINITY,
  detail: "the store has not told how it is set up",
  problems: ["The store has not told how it is set up, so that no bound of revocations is known."],
};

/** `storeTimeoutMs`: the deadline of one exchange with the store. */
export function createRevocationBound(
  store: Pick<Store, "guarantee">,
  log: Log,
  storeTimeoutMs: number,
): RevocationBound {
  let known = unknown;
  let timer: NodeJS.Timeout | undefined;
  const seconds = () => boundSeconds(known);
  let stopped = false;
  const look = async () => {
    const before = known;
    known = await store.guarantee().then(
      (guarantee) => withSlowStore(guarantee, storeTimeoutMs),
      () => unknown,
    );
    if (before.stalePrimaryWindowMs !== known.stalePrimaryWindowMs || before.detail !== known.detail)
      tell(log, known);
    if (stopped) return;
    timer = setTimeout(() => void look(), seconds() === null ? lookAgainMs : lookEveryMs).unref();
  };
  return {
    stalePrimaryWindowMs: () => known.stalePrimaryWindowMs,
    seconds,
    problems: () => known.problems,
    start: look,
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

export function boundSeconds({
  stalePrimaryWindowMs,
}: Pick<StoreGuarantee, "stalePrimaryWindowMs">): number | null {
  if (!Number.isFinite(stalePrimaryWindowMs)) return null;
  return (leaseMs + stalePrimaryWindowMs + leaseMarginMs) / 1000;
}

/** With what is to be said of a store that is far away. */
export function withSlowStore(guarantee: StoreGuarantee, storeTimeoutMs: number): StoreGuarantee {
  const { roundTripMs = 0 } = guarantee;
  const trip = `a round trip to the store takes ${Math.ceil(roundTripMs)} ms`;
  const problems = [...guarantee.problems];
  // A script that Redis does not know yet takes two.
  if (2 * roundTripMs > storeTimeoutMs) {
    problems.push(
      `${trip}, and store_timeout_ms is ${storeTimeoutMs}: heartbeats that are answered later do not count, and a node ` +
        `without them lets nobody in. Set "store_timeout_ms: ${4 * Math.ceil(roundTripMs)}", or run the node nearer to the store`,
    );
  }
  if (2 * roundTripMs > leaseMs - leaseHeartbeatMs) {
    problems.push(
      `${trip}: too long for a lease of ${leaseMs / 1_000} s, so that sockets are suspended now and then. Run the node nearer to the store`,
    );
  }
  return { ...guarantee, problems };
}

function tell(log: Log, known: StoreGuarantee): void {
  const fields = { revocation_bound_s: boundSeconds(known), detail: known.detail, problems: known.problems };
  if (known.problems.length === 0) log.info(fields, "revocations are bounded");
  else log.warn(fields, "revocations are bounded less than they could be");
}
