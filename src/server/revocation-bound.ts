import { leaseHeartbeatMs, leaseMarginMs, leaseMs } from "../auth/revocation/lease.ts";
import type { Store, StoreGuarantee } from "../auth/store.ts";
import type { Log } from "../observability/log.ts";

/** The longest time, under any single fault, for which a socket is served after its rights were revoked. */
export interface RevocationBound {
  /** From the store's settings at the last check; Infinity before the first one. */
  stalePrimaryWindowMs(): number;
  /** Lease plus stale-primary window plus clock margin, seconds; null: unbounded. */
  seconds(): number | null;
  /** Settings to change, and how. */
  problems(): readonly string[];
  /** Checks now, and until `stop` every hour, or every minute while there is no bound. Never rejects. */
  start(): Promise<void>;
  stop(): void;
}

const checkIntervalMs = 3_600_000;
/** How soon to check again, ms: the store may not have answered, or an operator may be changing its settings. */
const recheckMs = 60_000;
const unknown: StoreGuarantee = {
  stalePrimaryWindowMs: Number.POSITIVE_INFINITY,
  detail: "the store has not reported its settings",
  problems: ["The store has not reported its settings, so the bound of revocations is unknown."],
};

/** `storeTimeoutMs` is the deadline of one exchange with the store. */
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
      logBound(log, known);
    if (stopped) return;
    timer = setTimeout(() => void look(), seconds() === null ? recheckMs : checkIntervalMs).unref();
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

/** Adds problems for a store with a slow network path. */
export function withSlowStore(guarantee: StoreGuarantee, storeTimeoutMs: number): StoreGuarantee {
  const { roundTripMs = 0 } = guarantee;
  const trip = `a round trip to the store takes ${Math.ceil(roundTripMs)} ms`;
  const problems = [...guarantee.problems];
  // A script that Redis has not cached yet takes two round trips.
  if (2 * roundTripMs > storeTimeoutMs) {
    problems.push(
      `${trip}, and store_timeout_ms is ${storeTimeoutMs}: heartbeats that are answered later do not count, and a node ` +
        `without them lets nobody in. Set "store_timeout_ms: ${4 * Math.ceil(roundTripMs)}", or run the node nearer to the store`,
    );
  }
  if (2 * roundTripMs > leaseMs - leaseHeartbeatMs) {
    problems.push(
      `${trip}: too long for a lease of ${leaseMs / 1_000} s, so sockets are suspended now and then. Run the node nearer to the store`,
    );
  }
  return { ...guarantee, problems };
}

function logBound(log: Log, known: StoreGuarantee): void {
  const fields = { revocation_bound_s: boundSeconds(known), detail: known.detail, problems: known.problems };
  if (known.problems.length === 0) log.info(fields, "revocations are bounded");
  else log.warn(fields, "the bound of revocations is longer than necessary");
}
