import type { LogEvent } from "../model.ts";
import type { DisabledSafeguards } from "../safeguards.ts";
import type { LogEntry } from "../store.ts";
import type { ClusterMembers } from "./cluster-members.ts";
import type { LeaseManager, RevocationObserver } from "./lease-manager.ts";
import { isUnknownRevocation, logEventOf } from "./log-events.ts";
import type { LogMac } from "./log-mac.ts";
import { createLogProgress, type LogProgress } from "./log-progress.ts";
import type { PropagationTracker } from "./propagation.ts";
import type { SecurityEventListeners } from "./security-events.ts";
import type { MutableRevocationView } from "./view.ts";

/** Applies the entries of the log to this node. */
export interface LogConsumer {
  readonly progress: LogProgress;
  /** Applies what the follower has read. */
  deliver(entries: readonly LogEntry[]): void;
  /** Applies what this node has committed, before or after the follower reads it. */
  applyOwn(entries: readonly LogEntry[]): void;
  /** From now on the sockets that this revocation closes on this node are counted. */
  startCounting(revocationId: string): void;
  /** Returns the count. */
  stopCounting(revocationId: string): number;
}

export interface LogConsumerOptions {
  readonly node: string;
  readonly logMac: LogMac;
  readonly disabledSafeguards: DisabledSafeguards;
  readonly view: Pick<MutableRevocationView, "apply">;
  readonly leaseManager: Pick<
    LeaseManager,
    "onApplied" | "invalidate" | "heartbeatSoon" | "onHeartbeatReadBack"
  >;
  readonly members: Pick<ClusterMembers, "onHeartbeat" | "onNodeLeft">;
  readonly propagation: Pick<PropagationTracker, "onDelivered" | "review">;
  readonly listeners: Pick<SecurityEventListeners, "notify">;
  readonly onListenerFault: (error: unknown) => void;
  readonly observer: Pick<RevocationObserver, "badMac">;
  readonly onKeyringChanged: (dropped: readonly string[]) => void;
}

export function createLogConsumer(parts: LogConsumerOptions): LogConsumer {
  const { view, leaseManager, members, propagation } = parts;
  const closedBy = new Map<string, number>();
  const progress = createLogProgress(parts.onListenerFault);

  const count = (event: LogEvent, closed: number) => {
    const id = revocationIdOf(event);
    const before = id === undefined ? undefined : closedBy.get(id);
    if (id !== undefined && before !== undefined) closedBy.set(id, before + closed);
  };
  /** Updates the view before any listener is called. True if the event was new. */
  const apply = (event: LogEvent, entry: LogEntry): boolean => {
    if (event.type === "keyring_changed") parts.onKeyringChanged(event.dropped ?? []);
    const change = view.apply(event, entry);
    if (change === undefined) return false;
    progress.changed(entry.version);
    if ("epoch" in event && event.epoch !== undefined) leaseManager.invalidate();
    else count(event, parts.listeners.notify(change));
    return true;
  };
  const applyDelivered = (event: LogEvent, entry: LogEntry) => {
    const isNew = apply(event, entry);
    const id = revocationIdOf(event);
    if (id === undefined) return;
    propagation.onDelivered(entry, id);
    // The node that revoked it waits for this node's acknowledgement.
    if (isNew && !closedBy.has(id)) leaseManager.heartbeatSoon();
  };
  const deliverOne = (entry: LogEntry) => {
    if (!parts.disabledSafeguards.has("mac") && !parts.logMac.verify(entry.event)) {
      parts.observer.badMac(entry);
      return;
    }
    const event = logEventOf(entry.event);
    if (event?.type === "heartbeat") {
      members.onHeartbeat(event, entry);
      if (event.node === parts.node) leaseManager.onHeartbeatReadBack(event.n, entry);
      propagation.review();
    } else if (event?.type === "node_left") members.onNodeLeft(event.node);
    else if (event !== undefined) applyDelivered(event, entry);
    if (isUnknownRevocation(entry.event, event)) leaseManager.invalidate();
    progress.read(entry.version);
  };

  return {
    progress,
    deliver(entries) {
      for (const entry of entries) {
        deliverOne(entry);
        leaseManager.onApplied(entry.position);
      }
      progress.notify();
    },
    applyOwn(entries) {
      for (const entry of entries) {
        const event = logEventOf(entry.event);
        if (event !== undefined) apply(event, entry);
      }
    },
    startCounting: (revocationId) => void closedBy.set(revocationId, 0),
    stopCounting(revocationId) {
      const closed = closedBy.get(revocationId) ?? 0;
      closedBy.delete(revocationId);
      return closed;
    },
  };
}

function revocationIdOf(event: LogEvent): string | undefined {
  return "revocationId" in event ? event.revocationId : undefined;
}
