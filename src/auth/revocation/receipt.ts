import type { Durability } from "../store.ts";

export type RevokeTarget =
  | { readonly kind: "sessions"; readonly userId: string; readonly sessionIds: readonly string[] }
  /**
   * All sessions of the user, also those that are being created. `except`, the session that asks for it, stays live.
   * If that session has ended itself, nothing is revoked and `revoke` throws `unauthorized`.
   */
  | { readonly kind: "user"; readonly userId: string; readonly except?: string }
  /** All sessions of a client id, of every user. */
  | { readonly kind: "client"; readonly clientId: string }
  /** All sessions of the installation. */
  | { readonly kind: "all" };

export type EpochTarget = Extract<RevokeTarget, { kind: "client" | "all" }>;

/** The nodes that may serve sockets, counted by their state for one revocation. */
export interface NodeCounts {
  /** Nodes that have applied it, this node included. */
  readonly applied: number;
  /** Nodes that may still serve what was revoked. */
  readonly pending: number;
  /**
   * Nodes that have not acknowledged it, and whose lease has expired: they serve nobody until they have applied it.
   */
  readonly fenced: number;
}

/** What a revoke did, as far as it is known when it returns. */
export interface RevokeReceipt {
  readonly revocationId: string;
  /** How many sessions it ended. Null for a client and for all: counting them would read every session. */
  readonly sessions: number | null;
  /** Sockets that this node closed. */
  readonly socketsClosed: number;
  readonly nodes: NodeCounts;
  /** How durable the commit was when it was acknowledged. The weakest of several commits. */
  readonly durability: Durability;
  /** `all`: no node serves what was revoked any more. `pending`: that is not known yet. */
  readonly effective: "all" | "pending";
}
