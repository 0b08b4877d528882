import type { AuditRecord, RevocationCause, Rights } from "../model.ts";

/** What a cut-off means for live connections. A listener closes or re-reads, at once, and says how many it closed. */
export type RevocationEvent =
  | { readonly kind: "sessions"; readonly sessionIds: readonly string[]; readonly cause: RevocationCause }
  | {
      readonly kind: "user";
      readonly userId: string;
      /** Connections whose principal has a lower epoch end, but the spared session's. */
      readonly epoch: number;
      readonly except: string | null;
      readonly cause: RevocationCause;
    }
  | {
      readonly kind: "client";
      readonly clientId: string;
      readonly epoch: number;
      readonly cause: RevocationCause;
    }
  | { readonly kind: "all"; readonly epoch: number; readonly cause: RevocationCause }
  | {
      readonly kind: "user_changed";
      readonly userId: string;
      readonly change: "added" | "updated" | "removed";
      /** What the user may from now on; absent where nothing was decided on, or something later was. */
      readonly rights?: Rights;
    }
  | { readonly kind: "session_changed"; readonly sessionId: string }
  /** Connections end whose token one of these keys signed; their sessions go on. */
  | { readonly kind: "keys"; readonly keyIds: readonly string[] }
  /** No connection ends: a command has decided this. */
  | { readonly kind: "audited"; readonly record: AuditRecord };
export type RevocationListener = (cut: RevocationEvent) => number;

/** Whoever acts on cuts. One that throws stops neither the others nor the revocation. */
export interface RevocationListeners {
  /** Tells all of them, now, and returns how many sockets they closed. */
  notify(cut: RevocationEvent): number;
  add(listener: RevocationListener): () => void;
}

export function createRevocationListeners(onFault: (error: unknown) => void): RevocationListeners {
  const listeners = new Set<{ readonly listener: RevocationListener }>();
  const tellOne = (listener: RevocationListener, cut: RevocationEvent): number => {
    try {
      return listener(cut);
    } catch (error) {
      onFault(error);
      return 0;
    }
  };
  return {
    notify(cut) {
      let closed = 0;
      for (const { listener } of listeners) closed += tellOne(listener, cut);
      return closed;
    },
    add(listener) {
      const entry = { listener };
      listeners.add(entry);
      return () => {
        listeners.delete(entry);
      };
    },
  };
}
