import type { Clock } from "../clock/clock.ts";
import { newId } from "../ids.ts";
import type { RevocationCause } from "../model.ts";
import type { DisabledSafeguards } from "../safeguards.ts";
import type { LogBreak, LogEntry, LogFollower, Step, Store } from "../store.ts";
import type { Sealing } from "../tokens/sealing.ts";
import { createClusterMembers } from "./cluster-members.ts";
import { createLease } from "./lease.ts";
import { LeaseManager, type RevocationObserver } from "./lease-manager.ts";
import { createRevocationListeners, type RevocationEvent } from "./listeners.ts";
import { createLogConsumer, type LogConsumer } from "./log-consumer.ts";
import { createLogMac } from "./log-mac.ts";
import { createLogWriter, type LogWriter } from "./log-writer.ts";
import { NodeRole } from "./node-role.ts";
import { createPropagationTracker } from "./propagation.ts";
import type { RevokeReceipt, RevokeTarget } from "./receipt.ts";
import type { RevokeOutcome, RevokeRequest } from "./revoke.ts";
import { createSessionRevoker, revokeEpoch, revokeKeys } from "./revoke.ts";
import { createUserRevoker } from "./revoke-user.ts";
import { repairRollback } from "./rollback/repair.ts";
import type { RecordRepairs } from "./rollback/repair-records.ts";
import {
  createRevocationView,
  type MutableRevocationView,
  type RevocationView,
  retentionMs,
} from "./view.ts";

/** What becomes of sockets while the view is not trusted; see the option `revocation.policy`. */
export type RevocationPolicy = "suspend" | "close" | "serve_until_exp";

/** What a node's lease is kept by. */
export type FeedFollower = Pick<LogFollower, "following" | "followGeneration" | "readAgeMs" | "restart">;

/**
 * The one way to take something away (D2): every removal path calls `revoke`. One commit marks, raises and logs, and
 * is the point from which it holds; local sockets close in the same tick.
 */
export interface Revocation {
  readonly view: RevocationView;
  revoke(
    target: RevokeTarget,
    cause: RevocationCause,
    options?: {
      readonly also?: Step;
      /** For who has to name it before it is done: an id that nobody has used (see `newId`). */
      readonly revocationId?: string;
    },
  ): Promise<RevokeReceipt>;
  /**
   * Has every node refuse what these keys have signed. `also` takes them out of the keyring; where its checks fail, this
   * rejects with `conflict`. No session ends.
   */
  dropKeys(keyIds: readonly string[], also: Step): Promise<RevokeReceipt>;
  /**
   * The log's way in, called by the revocation feed; idempotent. Entries of own commits come here too. What has no MAC of
   * this installation is not applied.
   */
  apply(entries: readonly LogEntry[]): void;
  /** The feed's follower found that the log is not the one that it followed, or that entries were missed. */
  logBroke(kind: LogBreak): void;
  /** The feed has caught up: how far back the view reaches, and what the lease is kept by from now on. */
  setFeed(feed: { readonly since: number; readonly follower: FeedFollower }): void;
  /**
   * Instead of `setFeed`, for a process that serves nobody and only wants to know what its revocations come to: how the
   * store isolates (see `StoreGuarantee`), and how many nodes run beyond those that heartbeats tell of.
   */
  setWatch(watch: {
    readonly since: number;
    readonly stalePrimaryWindowMs: number;
    readonly knownNodes: number;
  }): void;
  readonly lease: RevocationLease;
  /**
   * Calls `listener` with what is known of a revocation, now and at every change; `done` the last time, once it is in effect
   * everywhere and its sessions are counted, and after 60 s at the latest. Returns the undo. Undefined for one that was not made here, or long ago.
   */
  watch(
    revocationId: string,
    listener: (receipt: RevokeReceipt, done: boolean) => void,
  ): (() => void) | undefined;
  /** Resolves when nothing more will be learnt: with `done`. */
  settled(receipt: RevokeReceipt): Promise<RevokeReceipt>;
  /** Returns the undo. The listener's number is how many sockets it closed. */
  onRevocation(listener: (cut: RevocationEvent) => number): () => void;
}

/** What keeps `view.trusted`, for whoever runs a node. Who never beats is no node, and trusts nothing on Redis. */
export interface RevocationLease {
  /** Resolves when the view is trusted for the first time. */
  readonly started: Promise<void>;
  /** One turn, every 0.75 s: a heartbeat, and what a break of the log calls for. Never rejects; turns do not pile up. */
  beat(): Promise<void>;
  /** Says to the others that this node serves nobody any more; no turn comes after it. Rejects with `unavailable`. */
  leave(): Promise<void>;
  /** The age of the lease, ms; Infinity without one. */
  ageMs(): number;
  /** How far the store's clock is ahead of this machine's, ms; negative when it is behind. */
  readonly driftMs: number;
  /** Nodes that hold a lease, or may, this one with them. */
  readonly nodes: number;
}

export interface RevocationOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** What the lease is measured by, a time that nobody has judged; `clock` by default. */
  readonly machineClock?: Clock | undefined;
  readonly sealing: Pick<Sealing, "derive">;
  /** The longest life of an ordinary access token, ms: how far back the view has to remember. */
  readonly longestTokenMs: number;
  /** What this node does without a lease, for the others to know; `suspend` by default. */
  readonly policy?: RevocationPolicy | undefined;
  /** See `StoreGuarantee`; by default it is not known, and no node counts as fenced. */
  readonly stalePrimaryWindowMs?: (() => number) | undefined;
  readonly disabledSafeguards?: DisabledSafeguards | undefined;
  readonly observer?: Partial<RevocationObserver> | undefined;
  /** What records have to lose again after the store went back in time; by default nothing. */
  readonly repairs?: RecordRepairs;
  /** Told of a listener that threw; the revocation itself stands. */
  readonly onListenerFault?: ((error: unknown) => void) | undefined;
  /** The log says that some node changed the signing keys, or dropped these; may come twice. */
  readonly onKeyringChanged?: (dropped: readonly string[]) => void;
  /** Reads the signing keys after a break of the log, and writes again what the store lost of them. */
  readonly restoreKeyring?: () => Promise<void>;
}

/** The one way to take something away, and the way in which everything that logs commits. */
export function createRevocation(
  options: RevocationOptions,
): Revocation & LogWriter & { readonly view: MutableRevocationView } {
  const { view, lease, leaseManager, members, propagation, listeners, logWriter, logConsumer, role } =
    compose(options);
  const rememberedMs = retentionMs(options.longestTokenMs);
  const tools = { store: options.store, clock: options.clock, logWriter, rememberedMs };
  const endSessions = createSessionRevoker(tools);
  const endUser = createUserRevoker(tools);
  const end = (target: RevokeTarget, request: RevokeRequest) => {
    if (target.kind === "user") return endUser(target, request);
    return target.kind === "sessions" ? endSessions(target, request) : revokeEpoch(tools, target, request);
  };
  const carryOut = async (
    revocationId: string,
    commit: () => Promise<RevokeOutcome>,
  ): Promise<RevokeReceipt> => {
    logConsumer.startCounting(revocationId);
    propagation.begin(revocationId);
    try {
      const ended = await commit();
      return propagation.onCommitted(
        { revocationId, socketsClosed: logConsumer.stopCounting(revocationId) },
        ended,
      );
    } catch (error) {
      logConsumer.stopCounting(revocationId);
      propagation.abandon(revocationId);
      throw error;
    }
  };

  return {
    view,
    commit: logWriter.commit,
    onRevocation: listeners.add,
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
    lease: {
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
    },
    watch: propagation.watch,
    settled: (receipt) =>
      new Promise((resolve) => {
        const listening = propagation.watch(receipt.revocationId, (present, done) => {
          if (done) resolve(present);
        });
        if (listening === undefined) resolve(receipt);
      }),
    revoke: (target, cause, { also, revocationId = newId() } = {}) =>
      carryOut(revocationId, () => end(target, { cause, revocationId, also })),
    dropKeys(keyIds, also) {
      const revocationId = newId();
      return carryOut(revocationId, () => revokeKeys(logWriter, { keyIds, revocationId, also }));
    },
  };
}

const ignored = () => undefined;
const nothing = async () => undefined;
const silent: RevocationObserver = {
  badMac: ignored,
  logBroke: ignored,
  rollbackRepaired: ignored,
  recordRepaired: ignored,
  leaseRecovered: ignored,
  leaseLapsed: ignored,
  heartbeatFailed: ignored,
};

function compose(options: RevocationOptions) {
  const { store, clock, longestTokenMs, disabledSafeguards = new Set(), onListenerFault = ignored } = options;
  const { policy = "suspend", stalePrimaryWindowMs = () => Number.POSITIVE_INFINITY } = options;
  const { repairs = { ofUser: nothing, ofLogin: nothing } } = options;
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
    restoreKeyring: options.restoreKeyring ?? nothing,
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
  const listeners = createRevocationListeners(onListenerFault);
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
    onKeyringChanged: options.onKeyringChanged ?? ignored,
  });
  return { view, lease, leaseManager, members, propagation, listeners, logWriter, logConsumer, role };
}
