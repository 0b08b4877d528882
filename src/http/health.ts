/** What this process is. No secret, nothing that changes by the second. */
export interface LiveReport {
  readonly version: string;
  readonly transport: string;
  readonly store: string;
  readonly codecs: readonly string[];
}

export interface ReadyReport {
  readonly ready: boolean;
  /** Why not: `store_unavailable`, `draining`, `revocation_not_followed`, `starting`. */
  readonly reasons: readonly string[];
}

export interface Health {
  live(): LiveReport;
  /** Bounded in cost however often it is asked: strangers may ask. */
  ready(): Promise<ReadyReport>;
}
