import type { Store, StoreHealth } from "../auth/store.ts";
import type { Health, LiveReport, ReadyReport } from "../http/health.ts";

export interface GatewayHealthOptions {
  readonly live: LiveReport;
  readonly store: Store;
  readonly revocationTrusted: () => boolean;
}

export interface GatewayHealth extends Health {
  /** The phase only ever moves forward. */
  enter(phase: "serving" | "draining"): void;
  /** As a look at the store finds it, which is at most 1 s old. Never rejects. */
  storeUp(): Promise<boolean>;
}

/** One look at the store serves everybody who asks within this time. */
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
    return { ready: reasons.length === 0, reasons };
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
