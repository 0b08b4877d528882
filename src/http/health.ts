/** What this process is. No secret, and nothing that changes from second to second. */
export interface LiveReport {
  readonly version: string;
  readonly transport: string;
  readonly store: string;
  readonly codecs: readonly string[];
}

/** The state of revocation at this gateway. */
export interface RevocationReport {
  /** The longest time that a socket is served after its session was revoked, seconds. Null: there is no bound. */
  readonly revocation_bound_s: number | null;
  /** For operators: what should be configured differently. */
  readonly problems: readonly string[];
  readonly revocation: {
    /** The node knows all revocations up to now. */
    readonly trusted: boolean;
    readonly policy: string;
    /** Null: there is no lease. */
    readonly lease_age_ms: number | null;
    /** Nodes that hold a lease, including this one. */
    readonly nodes: number;
  };
}

export interface ReadyReport extends Partial<RevocationReport> {
  readonly ready: boolean;
  /**
   * Why the node is not ready: `store_unavailable`, `draining`, `revocation_not_followed`, `starting`, `clock_drift`
   * (this machine's clock and the store's are more than 5 s apart).
   */
  readonly reasons: readonly string[];
}

export interface Health {
  live(): LiveReport;
  /** Costs the same however often it is asked: anybody may ask. */
  ready(): Promise<ReadyReport>;
}
