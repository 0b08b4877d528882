import type { Principal, RevocationCause } from "../model.ts";
import type { LogEntry, Step } from "../store.ts";

export type RevokeTarget =
  | { readonly kind: "sessions"; readonly userId: string; readonly sessionIds: readonly string[] }
  /**
   * All sessions of the user, also those that are being made; `spare`, the session that asks for it, goes on. Once that one
   * is over nothing is done for it any more: `revoke` throws `unauthorized`.
   */
  | { readonly kind: "user"; readonly userId: string; readonly spare?: string };

/** What a revoke did. `effective` is what is known at the return, never a hope. */
export interface RevokeReceipt {
  readonly revocationId: string;
  /** Sessions that were live and are not any more. */
  readonly sessions: number;
  /** Sockets that this node closed. */
  readonly socketsClosed: number;
  /** `node`: applied here and durable; other nodes follow by the log. (`all` comes with the lease.) */
  readonly effective: "node";
}

/** What a cut-off means for live connections. A listener closes or re-reads, at once, and says how many it closed. */
export type Cut =
  | { readonly kind: "sessions"; readonly sessionIds: readonly string[]; readonly cause: RevocationCause }
  | {
      readonly kind: "user";
      readonly userId: string;
      /** Connections whose principal has a lower epoch end, but the spared session's. */
      readonly epoch: number;
      readonly spare: string | null;
      readonly cause: RevocationCause;
    }
  | {
      readonly kind: "user_changed";
      readonly userId: string;
      readonly change: "added" | "updated" | "removed";
    }
  | { readonly kind: "session_changed"; readonly sessionId: string };

export type Judgement =
  | { readonly state: "live" }
  | { readonly state: "dead"; readonly cause: RevocationCause }
  /** The token is older than the view, or its user changed since: look it up in the store. */
  | { readonly state: "unknown" };

/** What this node knows about what was taken away; fed by its own commits and by the log. */
export interface RevocationView {
  /** Hot path: map look-ups only. */
  judge(principal: Principal): Judgement;
  /** False while the node cannot know (no tail, no lease): then nobody is authenticated (D10). */
  readonly trusted: boolean;
}

/**
 * The one way to take something away (D2): every removal path calls `revoke`. One commit marks, raises and logs, and
 * is the point from which it holds; local sockets close in the same tick.
 */
export interface Revocation {
  readonly view: RevocationView;
  revoke(
    target: RevokeTarget,
    cause: RevocationCause,
    options?: { readonly also?: Step },
  ): Promise<RevokeReceipt>;
  /** The log's way in, called by the revocation feed; idempotent. Entries of own commits come here too. */
  apply(entries: readonly LogEntry[]): void;
  /** The feed says how far back the view reaches and whether the tail is in step. */
  setFeed(state: { readonly since: number; readonly following: () => boolean }): void;
  /** Returns the undo. The listener's number is how many sockets it closed. */
  onCut(listener: (cut: Cut) => number): () => void;
}
