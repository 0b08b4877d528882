import type { Clock } from "../clock/clock.ts";
import { newId } from "../ids.ts";
import type { RevocationCause } from "../model.ts";
import type { DisabledSafeguards } from "../safeguards.ts";
import type { LogBreak, LogEntry, LogFollower, Step, Store } from "../store.ts";
import type { Sealing } from "../tokens/sealing.ts";
import { type ClusterMembers, createClusterMembers } from "./cluster-members.ts";
import { createLease, type Lease } from "./lease.ts";
import { LeaseManager, type RevocationObserver } from "./lease-manager.ts";
import { createLogConsumer, type LogConsumer } from "./log-consumer.ts";
import { createLogMac } from "./log-mac.ts";
import type { LogProgress } from "./log-progress.ts";
import { createLogWriter, type LogWriter } from "./log-writer.ts";
import { NodeRole } from "./node-role.ts";
import { createPropagationTracker, type PropagationTracker } from "./propagation.ts";
import type { RevokeReceipt, RevokeTarget } from "./receipt.ts";
import type { RevokeOutcome, RevokeRequest } from "./revoke.ts";
import { commitTracked, createSessionRevoker, revokeEpoch, revokeKeys } from "./revoke.ts";
import { createUserRevoker } from "./revoke-user.ts";
import { repairRollback } from "./rollback/repair.ts";
import type { RecordRepairs } from "./rollback/repair-records.ts";
import { createSecurityEventListeners, type SecurityEvent } from "./security-events.ts";
import {
  createRevocationView,
  type MutableRevocationView,
  type RevocationView,
  retentionMs,
} from "./view.ts";

/** What happens to sockets while the view is not trusted; see the option `revocation.policy`. */
export type RevocationPolicy = "suspend" | "close" | "serve_until_exp";

/** What a node's lease needs of the log's follower. */
export type FeedFollower = Pick<LogFollower, "following" | "followGeneration" | "readAgeMs" | "restart">;

/**
 * Every path that removes rights calls `revoke`; there is no other. One commit writes tombstones or bumps an epoch,
 * and appends the event to the log. The revocation holds from that commit on. Sockets of this node are closed in the
 * same tick.
 */
export interface Revocation {
  /** This node's id, as it signs its heartbeats. Another one after every start. */
  readonly node: string;
  readonly view: RevocationView;
  revoke(
    target: RevokeTarget,
    cause: RevocationCause,
    options?: {
      readonly also?: Step;
      /** A preallocated, unused id (see `newId`), if the caller must know it before the commit. */
      readonly revocationId?: string;
    },
  ): Promise<RevokeReceipt>;
  /**
   * Makes every node refuse tokens that were signed with these keys. `also` removes them from the keyring. Rejects
   * with `conflict` if a check of `also` fails. No session ends.
   */
  dropKeys(keyIds: readonly string[], also: Step): Promise<RevokeReceipt>;
  /**
   * Commits a step whose events carry the id, and follows it as a revocation: a change that takes rights away without
   * ending a session. Rejects with `conflict` if a check fails.
   */
  track(step: (revocationId: string) => Step): Promise<RevokeReceipt>;
  /**
   * `recover` runs before the view is trusted for the first time, and again after each break of the log. If it
   * rejects, it runs again, and the view is not trusted before. For what this node remembers beside the view.
   */
  onRecovery(recover: () => Promise<void>): void;
  /**
   * Applies entries of the log. Called by the revocation feed, also with the entries of own commits; idempotent. An
   * entry without a valid MAC of this installation is not applied.
   */
  apply(entries: readonly LogEntry[]): void;
  /** The feed's follower found that the log is not the one that it followed, or that it missed entries. */
  logBroke(kind: LogBreak): void;
  /** The feed has caught up. `since`: how far back the view reaches, ms. The follower keeps the lease from now on. */
  setFeed(feed: { readonly since: number; readonly follower: FeedFollower }): void;
  /**
   * Instead of `setFeed`, for a process that serves nobody and only wants to know when its revocations are in effect.
   * `stalePrimaryWindowMs`: see `StoreGuarantee`. `knownNodes`: how many nodes are known to run, whether or not they
   * send heartbeats.
   */
  setWatch(watch: {
    readonly since: number;
    readonly stalePrimaryWindowMs: number;
    readonly knownNodes: number;
  }): void;
  readonly lease: RevocationLease;
  readonly progress: LogProgress;
  /**
   * Resolves with true once this node has read and applied the log up to this commit number. False: that took longer
   * than `timeoutMs`. If the node is behind, it writes a heartbeat, because the commit itself may have written no entry.
   */
  whenApplied(version: number, timeoutMs: number): Promise<boolean>;
  /**
   * Calls `listener` with the state of a revocation, now and at every change. `done` is true in the last call: when
   * it is in effect everywhere, and after 60 s at the latest. Returns a function that removes the listener. Undefined
   * for a revocation that was not made here, or was forgotten.
   */
  watch(
    revocationId: string,
    listener: (receipt: RevokeReceipt, done: boolean) => void,
  ): (() => void) | undefined;
  /** Resolves with the final receipt, when `watch` would report `done`. */
  settled(receipt: RevokeReceipt): Promise<RevokeReceipt>;
  /** The listener returns how many sockets it closed. Returns a function that removes it. */
  onSecurityEvent(listener: (event: SecurityEvent) => number): () => void;
}

/**
 * What keeps `view.trusted`. The process that runs a node calls `beat`. A process that never calls it holds no
 * lease and trusts nothing.
 */
export interface RevocationLease {
  /** Resolves when the view is trusted for the first time. */
  readonly started: Promise<void>;
  /**
   * One cycle, every 0.75 s: a heartbeat, and the recovery from a break of the log. Never rejects. Cycles do not
   * overlap.
   */
  beat(): Promise<void>;
  /** Tells the other nodes that this one serves nobody any more. No cycle follows. Rejects with `unavailable`. */
  leave(): Promise<void>;
  /** The age of the lease, ms; Infinity without one. */
  ageMs(): number;
  /** How far the store's clock is ahead of this machine's, ms; negative when it is behind. */
  readonly driftMs: number;
  /** How many nodes hold a lease or may hold one, this one included. */
  readonly nodes: number;
}

export interface RevocationOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** The machine's unchecked clock, which the lease is measured by; `clock` by default. */
  readonly machineClock?: Clock | undefined;
  readonly sealing: Pick<Sealing, "derive">;
  /** The longest life of an ordinary access token, ms. It decides how far back the view remembers. */
  readonly longestTokenMs: number;
  /** What this node does with its sockets without a lease; it tells the others. `suspend` by default. */
  readonly policy?: RevocationPolicy | undefined;
  /** See `StoreGuarantee`. By default it is not known, and no node counts as fenced. */
  readonly stalePrimaryWindowMs?: (() => number) | undefined;
  readonly disabledSafeguards?: DisabledSafeguards | undefined;
  readonly observer?: Partial<RevocationObserver> | undefined;
  /** Repairs users' and logins' records after the store went back in time; by default nothing does. */
  readonly repairs?: RecordRepairs;
  /** Called if a listener throws. The revocation itself holds. */
  readonly onListenerFault?: ((error: unknown) => void) | undefined;
  /** Some node changed the signing keys, or dropped these. May be called twice for one change. */
  readonly onKeyringChanged?: (dropped: readonly string[]) => void;
  /** Reads the signing keys after a break of the log, and restores the ones that the store lost. */
  readonly restoreKeyring?: () => Promise<void>;
}

/** Composes revocation. The result is also the log writer of everything that commits events. */
export function createRevocation(
  options: RevocationOptions,
): Revocation & LogWriter & { readonly view: MutableRevocationView } {
  const recoveries: (() => Promise<void>)[] = [];
  const { node, view, lease, leaseManager, members, propagation, listeners, logWriter, logConsumer, role } =
    compose(options, recoveries);
  const rememberedMs = retentionMs(options.longestTokenMs);
  const tools = { store: options.store, clock: options.clock, logWriter, rememberedMs };
  const revokeSessions = createSessionRevoker(tools);
  const revokeUser = createUserRevoker(tools);
  const end = (target: RevokeTarget, request: RevokeRequest) => {
    if (target.kind === "user") return revokeUser(target, request);
    return target.kind === "sessions" ? revokeSessions(target, request) : revokeEpoch(tools, target, request);
  };
  const track = async (
    revocationId: string,
    commit: () => Promise<RevokeOutcome>,
  ): Promise<RevokeReceipt> => {
    logConsumer.startCounting(revocationId);
    propagation.begin(revocationId);
    try {
      const outcome = await commit();
      return propagation.onCommitted(
        { revocationId, socketsClosed: logConsumer.stopCounting(revocationId) },
        outcome,
      );
    } catch (error) {
      logConsumer.stopCounting(revocationId);
      propagation.abandon(revocationId);
      throw error;
    }
  };

  return {
    node,
    view,
    progress: logConsumer.progress,
    async whenApplied(version, timeoutMs) {
      if (version > logConsumer.progress.readUpTo) leaseManager.heartbeatSoon();
      return await logConsumer.progress.whenRead(version, timeoutMs);
    },
    commit: logWriter.commit,
    onSecurityEvent: listeners.add,
    apply(entries) {
      role.delivered();
      logConsumer.deliver(entries);
    },
    logBroke: (kind) => leaseManager.onLogBreak(kind),
    setFeed({ since, follower }) {
      members.onCaughtUp();
      view.completeSince(since);
      role.becomeNode();
      leaseManager.start(follower);
    },
    setWatch({ since, ...watching }) {
      members.onCaughtUp();
      view.completeSince(since);
      role.becomeWatcher(watching);
    },
    lease: leaseOf(leaseManager, lease, members),
    watch: propagation.watch,
    settled: (receipt) => finalReceipt(propagation, receipt),
    revoke: (target, cause, { also, revocationId = newId() } = {}) =>
      track(revocationId, () => end(target, { cause, revocationId, also })),
    track(step) {
      const revocationId = newId();
      return track(revocationId, () => commitTracked(logWriter, step(revocationId)));
    },
    onRecovery: (recover) => void recoveries.push(recover),
    dropKeys(keyIds, also) {
      const revocationId = newId();
      return track(revocationId, () => revokeKeys(logWriter, { keyIds, revocationId, also }));
    },
  };
}

function finalReceipt(
  propagation: Pick<PropagationTracker, "watch">,
  receipt: RevokeReceipt,
): Promise<RevokeReceipt> {
  return new Promise((resolve) => {
    const listening = propagation.watch(receipt.revocationId, (present, done) => {
      if (done) resolve(present);
    });
    if (listening === undefined) resolve(receipt);
  });
}

function leaseOf(
  leaseManager: LeaseManager,
  lease: Pick<Lease, "ageMs">,
  members: Pick<ClusterMembers, "liveCount">,
): RevocationLease {
  return {
    started: leaseManager.started,
    beat: () => leaseManager.beat(),
    leave: () => leaseManager.leave(),
    ageMs: lease.ageMs,
    get driftMs() {
      return leaseManager.driftMs;
    },
    get nodes() {
      return members.liveCount + 1;
    },
  };
}

const noop = () => undefined;
const resolveUndefined = async () => undefined;
const noRepairs: RecordRepairs = {
  ofUser: resolveUndefined,
  ofLogin: resolveUndefined,
  ofOwner: resolveUndefined,
  others: () => [],
};
const silent: RevocationObserver = {
  badMac: noop,
  logBroke: noop,
  rollbackRepaired: noop,
  recordRepaired: noop,
  leaseRecovered: noop,
  leaseLapsed: noop,
  heartbeatFailed: noop,
};

function compose(options: RevocationOptions, recoveries: readonly (() => Promise<void>)[]) {
  const { store, clock, longestTokenMs, disabledSafeguards = new Set(), onListenerFault = noop } = options;
  const { policy = "suspend", stalePrimaryWindowMs = () => Number.POSITIVE_INFINITY } = options;
  const { repairs = noRepairs } = options;
  const observer = { ...silent, ...options.observer };
  const node = newId();
  const logMac = createLogMac(options.sealing);
  const { machineClock = clock } = options;
  const lease = createLease(machineClock, disabledSafeguards);
  const followed = disabledSafeguards.has("followed_server") ? () => 0 : () => leaseManager.followGeneration;
  const view = createRevocationView({ clock, longestTokenMs, lease, followed, disabledSafeguards });
  const members = createClusterMembers({ clock, self: node, longestTokenMs });
  const role = new NodeRole({ clock, lease, stalePrimaryWindowMs });
  const propagation = createPropagationTracker({
    clock,
    members,
    role,
    comparePositions: (a, b) => store.comparePositions(a, b),
    onListenerFault,
  });
  const logWriter: LogWriter = createLogWriter({
    store,
    clock,
    logMac,
    apply: (entries) => logConsumer.applyOwn(entries),
  });
  const leaseManager = new LeaseManager({
    node,
    store,
    clock,
    machineClock,
    logMac,
    lease,
    view,
    propagation,
    policy,
    disabledSafeguards,
    observer,
    restoreKeyring: options.restoreKeyring ?? resolveUndefined,
    recover: recoveries,
    repairRollback: () =>
      repairRollback({
        store,
        clock,
        logWriter,
        repairs,
        cache: view.cache,
        rememberedMs: retentionMs(longestTokenMs),
        onRepaired: observer.recordRepaired,
      }),
  });
  const listeners = createSecurityEventListeners(onListenerFault);
  const logConsumer: LogConsumer = createLogConsumer({
    node,
    logMac,
    disabledSafeguards,
    view,
    leaseManager,
    members,
    propagation,
    listeners,
    observer,
    onListenerFault,
    onKeyringChanged: options.onKeyringChanged ?? noop,
  });
  return { node, view, lease, leaseManager, members, propagation, listeners, logWriter, logConsumer, role };
}
