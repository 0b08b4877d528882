import type { Clock } from "../clock/clock.ts";
import type { LogEntry, LogPosition } from "../store.ts";
import type { ClusterMember, ClusterMembers } from "./cluster-members.ts";
import { leaseMarginMs, leaseMs } from "./lease.ts";
import type { NodeRole } from "./node-role.ts";
import type { NodeCounts, RevokeReceipt } from "./receipt.ts";
import type { RevokeOutcome } from "./revoke.ts";

/** Called with the current state, then at every change. `done` is true in the last call. */
export type PropagationListener = (receipt: RevokeReceipt, done: boolean) => void;

/**
 * Tracks a revocation from its commit until no node serves what it revoked: every other node has acknowledged it in a
 * heartbeat, or its lease has expired. A node of which neither is known is `pending`.
 */
export interface PropagationTracker {
  /** Called before the first commit: its entries may be delivered before it is acknowledged. */
  begin(revocationId: string): void;
  abandon(revocationId: string): void;
  onCommitted(
    receipt: Pick<RevokeReceipt, "revocationId" | "socketsClosed">,
    ended: RevokeOutcome,
  ): RevokeReceipt;
  /** The follower delivered the entry, so everything that any node committed before it was read too. */
  onDelivered(entry: LogEntry, revocationId: string): void;
  /** Called when something may have changed, and periodically. */
  review(): void;
  /** The log went back in time: it is not known what it contains. */
  onLogBreak(): void;
  /** The log contains everything that this node remembers before `position`. */
  onRecovered(position: LogPosition): void;
  /** Undefined for a revocation that this process does not know or has forgotten. */
  watch(revocationId: string, listener: PropagationListener): (() => void) | undefined;
}

/** How long completion is awaited, ms. Longer than any useful bound. */
export const propagationTimeoutMs = 60_000;
const maxWatched = 1_000;
const noNodes: NodeCounts = { applied: 0, pending: 0, fenced: 0 };

interface Watched {
  readonly positions: Set<LogPosition>;
  readonly listeners: Set<PropagationListener>;
  readonly begunAt: number;
  /** The position of the last of its entries, and those of all of them. Undefined before the commit. */
  last: LogPosition | undefined;
  awaited: readonly LogPosition[] | undefined;
  /** When all of them had been delivered (monotonic ms). Undefined: not yet. */
  readAt: number | undefined;
  receipt: RevokeReceipt | undefined;
  done: boolean;
}

export interface PropagationOptions {
  readonly clock: Clock;
  readonly members: Pick<ClusterMembers, "others">;
  readonly comparePositions: (a: LogPosition, b: LogPosition) => number;
  readonly role: Pick<NodeRole, "servesSockets" | "provenAt" | "stalePrimaryWindowMs" | "running">;
  /** A listener has thrown, which stops nothing else: it is called while entries of the log are applied. */
  readonly onListenerFault: (error: unknown) => void;
}

export function createPropagationTracker(options: PropagationOptions): PropagationTracker {
  const { clock, onListenerFault } = options;
  const watched = new Map<string, Watched>();

  const update = (entry: Watched): RevokeReceipt | undefined => {
    if (entry.receipt === undefined || entry.done) return entry.receipt;
    const before = entry.receipt;
    const known = before.effective === "all";
    const nodes = known ? before.nodes : countNodes(options, entry);
    const all = known || (entry.readAt !== undefined && nodes.pending === 0);
    entry.receipt = { ...before, nodes, effective: all ? "all" : "pending" };
    entry.done = all || clock.monotonic() - entry.begunAt >= propagationTimeoutMs;
    if (entry.done || !sameState(before, entry.receipt)) notify(entry, entry.receipt, onListenerFault);
    return entry.receipt;
  };
  const forget = (revocationId: string) => {
    const entry = watched.get(revocationId);
    watched.delete(revocationId);
    if (entry?.receipt === undefined || entry.done) return;
    entry.done = true;
    notify(entry, entry.receipt, onListenerFault);
  };

  return {
    begin(revocationId) {
      watched.set(revocationId, newWatched(clock.monotonic()));
      const [oldest] = watched.keys();
      if (watched.size > maxWatched && oldest !== undefined) forget(oldest);
    },
    abandon: forget,
    onCommitted(about, { sessions, durability, positions }) {
      const known = { ...about, sessions, durability };
      const receipt: RevokeReceipt = { ...known, nodes: noNodes, effective: "pending" };
      const entry = watched.get(about.revocationId);
      if (entry === undefined) return receipt;
      entry.receipt = receipt;
      entry.last = positions.at(-1);
      entry.awaited = positions;
      markIfDelivered(entry, clock);
      return update(entry) ?? receipt;
    },
    onDelivered({ position }, revocationId) {
      const entry = watched.get(revocationId);
      if (entry === undefined || entry.readAt !== undefined) return;
      entry.positions.add(position);
      markIfDelivered(entry, clock);
      update(entry);
    },
    review() {
      const now = clock.monotonic();
      for (const [revocationId, entry] of watched) {
        update(entry);
        if (now - entry.begunAt >= 2 * propagationTimeoutMs) forget(revocationId);
      }
    },
    onLogBreak() {
      for (const entry of watched.values()) if (!entry.done) forgetDeliveries(entry);
    },
    onRecovered(position) {
      for (const entry of watched.values()) {
        if (entry.done || entry.receipt === undefined) continue;
        entry.last = position;
        entry.readAt = clock.monotonic();
      }
    },
    watch(revocationId, listener) {
      const entry = watched.get(revocationId);
      if (entry?.receipt === undefined) return undefined;
      listener(entry.receipt, entry.done);
      if (!entry.done) entry.listeners.add(listener);
      return () => void entry.listeners.delete(listener);
    },
  };
}

function newWatched(begunAt: number): Watched {
  return {
    positions: new Set(),
    listeners: new Set(),
    begunAt,
    last: undefined,
    awaited: undefined,
    readAt: undefined,
    receipt: undefined,
    done: false,
  };
}

/**
 * What was delivered of the lost log says nothing about the new one. The entries may be logged again in it, at other
 * positions. `onRecovered` says up to where they are.
 */
function forgetDeliveries(entry: Watched): void {
  entry.readAt = undefined;
  entry.awaited = undefined;
  entry.positions.clear();
}

function markIfDelivered(entry: Watched, clock: Clock): void {
  if (entry.awaited?.every((position) => entry.positions.has(position)) === true)
    entry.readAt ??= clock.monotonic();
}

function countNodes(options: PropagationOptions, entry: Watched): NodeCounts {
  const counts = { applied: options.role.servesSockets ? 1 : 0, pending: 0, fenced: 0 };
  const others = options.members.others();
  for (const member of others) counts[stateOf(options, member, entry)] += 1;
  return { ...counts, pending: counts.pending + Math.max(0, options.role.running - others.length) };
}

function stateOf(
  options: PropagationOptions,
  member: ClusterMember,
  { last, readAt }: Watched,
): keyof NodeCounts {
  if (readAt === undefined) return "pending";
  // Nothing was logged, so there is nothing to apply.
  if (last === undefined) return "applied";
  if (member.applied !== null && options.comparePositions(member.applied, last) >= 0) return "applied";
  return member.policy !== "serve_until_exp" && options.role.provenAt >= fencedAt(options, member, readAt)
    ? "fenced"
    : "pending";
}

/**
 * The earliest time (monotonic ms) at which the member's lease has certainly expired. The member renews its lease
 * only from heartbeats that it reads back. A heartbeat that it commits after the revocation follows the revocation in
 * the log, so the member applies the revocation before it reads that heartbeat back. The last heartbeat before the
 * revocation was read here no later than `readAt`, and known since `heartbeatReadAt`. A member that is partitioned
 * off together with an old primary may go on for as long as that primary accepts commits, counted from a promotion
 * before the revocation.
 */
function fencedAt({ role }: PropagationOptions, { heartbeatReadAt }: ClusterMember, readAt: number): number {
  const isolation = role.stalePrimaryWindowMs;
  const last = isolation > 0 ? readAt : Math.min(heartbeatReadAt, readAt);
  return last + isolation + leaseMs + leaseMarginMs;
}

function notify(entry: Watched, receipt: RevokeReceipt, onFault: (error: unknown) => void): void {
  for (const listener of [...entry.listeners]) {
    try {
      listener(receipt, entry.done);
    } catch (error) {
      onFault(error);
    }
  }
  if (entry.done) entry.listeners.clear();
}

function sameState(a: RevokeReceipt, b: RevokeReceipt): boolean {
  const same = (name: keyof NodeCounts) => a.nodes[name] === b.nodes[name];
  return a.effective === b.effective && same("applied") && same("pending") && same("fenced");
}
