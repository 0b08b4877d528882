import type { Durability } from "../store.ts";

export type RevokeTarget =
  | { readonly kind: "sessions"; readonly userId: string; readonly sessionIds: readonly string[] }
  /**
   * All sessions of the user, also those that are being made; `except`, the session that asks for it, goes on. Once that one
   * is over nothing is done for it any more: `revoke` throws `unauthorized`.
   */
  | { readonly kind: "user"; readonly userId: string; readonly except?: string }
  /** All sessions of a client id, of every user. */
  | { readonly kind: "client"; readonly clientId: string }
  /** All sessions of the installation. */
  | { readonly kind: "all" };

export type EpochTarget = Extract<RevokeTarget, { kind: "client" | "all" }>;

/** Nodes that may serve sockets, by what is known of them and one revocation. */
export interface NodeCounts {
  /** They have applied it. This node is one of them. */
  readonly applied: number;
  /** They may still serve what was revoked. */
  readonly pending: number;
  /** They have not been heard of, and their lease has run out: they serve nobody until they have applied it. */
  readonly fenced: number;
}

/** What a revoke did, as it is known at the return, never as it is hoped. */
export interface RevokeReceipt {
  readonly revocationId: string;
  /**
   * Sessions that were live and are not any more. Null for a client and for all: counting them would read every session.
   */
  readonly sessions: number | null;
  /** Sockets that this node closed. */
  readonly socketsClosed: number;
  readonly nodes: NodeCounts;
  /** What held the commit when it was answered: the weakest of several. */
  readonly durability: Durability;
  /** `all`: no node serves what was revoked any more. `pending`: that is not known yet. */
  readonly effective: "all" | "pending";
}
