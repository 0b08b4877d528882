import type { StoreGuarantee } from "../auth/store.ts";
import { openStore } from "../store/open.ts";
import type { Config } from "./config/schema.ts";
import { boundSeconds, withSlowStore } from "./revocation-bound.ts";

/** How soon a revocation is in effect, as configuration and store are set up. */
export interface GuaranteeReport {
  /** A socket is served for so long at most after what it stands on was revoked, seconds; null: there is no bound. */
  readonly revocation_bound_s: number | null;
  readonly policy: string;
  readonly detail: string;
  /** For people: what makes the bound longer than it could be, and how to mend it. */
  readonly problems: readonly string[];
}

/** Asks the servers of a Redis store for their settings. Rejects with an error for people when they cannot be reached. */
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
    // Opening it would make the file.
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
