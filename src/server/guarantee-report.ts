import type { StoreGuarantee } from "../auth/store.ts";
import { openStore } from "../store/open.ts";
import type { Config } from "./config/schema.ts";
import { boundSeconds, withSlowStore } from "./revocation-bound.ts";

/** How soon a revocation takes effect, given the configuration and the store's settings. */
export interface GuaranteeReport {
  /** How long a socket may be served after its rights were revoked, seconds; null: unbounded. */
  readonly revocation_bound_s: number | null;
  readonly policy: string;
  readonly detail: string;
  /** For operators: what makes the bound longer than necessary, and how to repair it. */
  readonly problems: readonly string[];
}

/**
 * Asks the servers of a Redis store for their settings. Rejects with an error that an operator can read if they cannot
 * be reached.
 */
export async function guaranteeOf(config: Config): Promise<GuaranteeReport> {
  const { detail, stalePrimaryWindowMs, problems } = await storeGuarantee(config);
  const { policy } = config.revocation;
  if (policy !== "serve_until_exp")
    return { revocation_bound_s: boundSeconds({ stalePrimaryWindowMs }), policy, detail, problems };
  const weak =
    "revocation.policy is serve_until_exp: while the store cannot say what was revoked a socket is served until its " +
    `access token ends, ${config.tokens.access_ttl_seconds} s at most, a long-lived token's as long as it lives`;
  return { revocation_bound_s: null, policy, detail, problems: [weak, ...problems] };
}

async function storeGuarantee(config: Config): Promise<StoreGuarantee> {
  if (config.store === null) {
    // Opening the embedded store would create its file.
    const { embeddedGuarantee } = await import("../store/embedded/embedded-store.ts");
    return embeddedGuarantee;
  }
  const store = await openStore({ url: config.store, folder: config.data, role: "cli", timeoutMs: 5_000 });
  try {
    return withSlowStore(await store.guarantee(), config.store_timeout_ms);
  } finally {
    await store.close();
  }
}
