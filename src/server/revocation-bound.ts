import { leaseMarginMs, leaseMs } from "../auth/revocation/lease.ts";
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

export function createRevocationBound(store: Pick<Store, "guarantee">, log: Log): RevocationBound {
  let known = unknown;
  let timer: NodeJS.Timeout | undefined;
  const seconds = () => boundSeconds(known);
  let stopped = false;
  const look = async () => {
    const before = known;
    known = await store.guarantee().catch(() => unknown);
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

function tell(log: Log, known: StoreGuarantee): void {
  const fields = { revocation_bound_s: boundSeconds(known), detail: known.detail, problems: known.problems };
  if (known.problems.length === 0) log.info(fields, "revocations are bounded");
  else log.warn(fields, "revocations are bounded less than they could be");
}
