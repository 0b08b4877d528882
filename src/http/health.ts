/** What this process is. No secret, nothing that changes by the second. */
export interface LiveReport {
  readonly version: string;
  readonly transport: string;
  readonly store: string;
  readonly codecs: readonly string[];
}

/** How well revocations are kept, as a gateway tells it. */
export interface RevocationReport {
  /** A socket is served for so long at most after what it stands on was revoked, seconds; null: there is no bound. */
  readonly revocation_bound_s: number | null;
  /** For people: what about the store should be set up otherwise. */
  readonly problems: readonly string[];
  readonly revocation: {
    /** Revocations are known up to now. */
    readonly trusted: boolean;
    readonly policy: string;
    /** Null: there is no lease. */
    readonly lease_age_ms: number | null;
    /** Nodes that hold a lease, this one with them. */
    readonly nodes: number;
  };
}

export interface ReadyReport extends Partial<RevocationReport> {
  readonly ready: boolean;
  /**
   * Why not: `store_unavailable`, `draining`, `revocation_not_followed`, `starting`, `clock_drift` (this machine's clock
   * and the store's are more than 5 s apart).
   */
  readonly reasons: readonly string[];
}

export interface Health {
  live(): LiveReport;
  /** Bounded in cost however often it is asked: strangers may ask. */
  ready(): Promise<ReadyReport>;
}
