import type { Store, StoreHealth } from "../auth/store.ts";
import type { Health, LiveReport, ReadyReport, RevocationReport } from "../http/health.ts";

export interface GatewayHealthOptions {
  readonly live: LiveReport;
  readonly store: Store;
  readonly revocationTrusted: () => boolean;
  /** Milliseconds between this machine's clock and the store's. */
  readonly driftMs?: () => number;
  readonly revocation?: (() => RevocationReport) | undefined;
}

export interface GatewayHealth extends Health {
  /** The phase only moves forward. */
  enter(phase: "serving" | "draining"): void;
  /** The result of a store check that is at most 1 s old. Never rejects. */
  storeUp(): Promise<boolean>;
}

/** Above this drift, the lifetimes of tokens and codes differ between machines. */
const maxDriftMs = 5_000;
/** One check of the store is reused for this long, ms. */
const storeCheckMs = 1_000;

export function createGatewayHealth(options: GatewayHealthOptions): GatewayHealth {
  let phase: "starting" | "serving" | "draining" = "starting";
  let last: { readonly at: number; readonly health: Promise<StoreHealth> } | undefined;

  const checkStore = async (): Promise<boolean> => {
    const now = performance.now();
    if (last === undefined || now - last.at >= storeCheckMs)
      last = { at: now, health: options.store.health() };
    try {
      return (await last.health).ok;
    } catch {
      return false;
    }
  };
  const ready = async (): Promise<ReadyReport> => {
    const reasons: string[] = [];
    if (phase !== "serving") reasons.push(phase);
    if (phase !== "draining" && !(await checkStore())) reasons.push("store_unavailable");
    if (phase === "serving" && !options.revocationTrusted()) reasons.push("revocation_not_followed");
    if (Math.abs(options.driftMs?.() ?? 0) > maxDriftMs) reasons.push("clock_drift");
    return { ready: reasons.length === 0, reasons, ...options.revocation?.() };
  };
  return {
    live: () => options.live,
    ready,
    enter(next) {
      if (phase !== "draining") phase = next;
    },
    storeUp: checkStore,
  };
}
