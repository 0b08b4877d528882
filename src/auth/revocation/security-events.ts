import type { DemandState } from "../factors/demand-table.ts";
import type { AuditRecord, RevocationCause, Rights } from "../model.ts";
import type { GroupState } from "../permissions/group-table.ts";
import type { ResourceState } from "../permissions/resource-table.ts";

/**
 * What a revocation or a change means for live connections. A listener closes them or reads their records again,
 * synchronously, and returns how many it closed.
 */
export type SecurityEvent =
  | {
      readonly kind: "sessions";
      readonly userId: string;
      readonly sessionIds: readonly string[];
      readonly cause: RevocationCause;
    }
  | {
      readonly kind: "user";
      readonly userId: string;
      /** Connections with a lower epoch in their principal are closed, except those of the session `except`. */
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
      /** The user's rights from now on. Absent if the commit did not decide on them, or a later one did. */
      readonly rights?: Rights;
      /** The commit left the rights as they were. Without it and without `rights` they are not known. */
      readonly keepsRights?: true;
    }
  /** `userId` is the owner now. Closes no connection. */
  | { readonly kind: "owner_changed"; readonly userId: string; readonly previousId: string }
  /** Closes no connection. */
  | { readonly kind: "group_changed"; readonly group: GroupState }
  /** Closes no connection. */
  | { readonly kind: "resources_changed"; readonly states: readonly ResourceState[] }
  /** Closes no connection: whoever changed the demands ends the sessions that are below. */
  | { readonly kind: "factor_demands_changed"; readonly demands: DemandState }
  | { readonly kind: "session_changed"; readonly sessionId: string }
  /** Connections whose token was signed with one of these keys are closed. Their sessions stay live. */
  | { readonly kind: "keys"; readonly keyIds: readonly string[] }
  /** Closes no connection: a command line process has an audit record to relay. */
  | { readonly kind: "audited"; readonly record: AuditRecord };
export type SecurityEventListener = (event: SecurityEvent) => number;

/** A listener that throws stops neither the others nor the revocation. */
export interface SecurityEventListeners {
  /** Calls all of them synchronously. Returns how many sockets they closed. */
  notify(event: SecurityEvent): number;
  add(listener: SecurityEventListener): () => void;
}

export function createSecurityEventListeners(onFault: (error: unknown) => void): SecurityEventListeners {
  const listeners = new Set<{ readonly listener: SecurityEventListener }>();
  const notifyOne = (listener: SecurityEventListener, event: SecurityEvent): number => {
    try {
      return listener(event);
    } catch (error) {
      onFault(error);
      return 0;
    }
  };
  return {
    notify(event) {
      let closed = 0;
      for (const { listener } of listeners) closed += notifyOne(listener, event);
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
