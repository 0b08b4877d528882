import type { Clock } from "../clock/clock.ts";
import { newId } from "../ids.ts";
import type { Principal, RevocationCause, Rights } from "../model.ts";
import type { DisabledSafeguards } from "../safeguards.ts";
import type { Durability, LogBreak, LogEntry, LogFollower, Step, Store } from "../store.ts";
import type { Sealing } from "../tokens/sealing.ts";
import { createClusterMembers } from "./cluster-members.ts";
import { createLease } from "./lease.ts";
import { LeaseManager, type RevocationObserver } from "./lease-manager.ts";
import { createRevocationListeners } from "./listeners.ts";
import { createLogConsumer, type LogConsumer } from "./log-consumer.ts";
import { createLogMac } from "./log-mac.ts";
import { createLogWriter, type LogWriter } from "./log-writer.ts";
import { createPropagationTracker } from "./propagation.ts";
import type { RevokeOutcome, RevokeRequest } from "./revoke-commit.ts";
import { revokeEpoch } from "./revoke-epoch.ts";
import { revokeKeys } from "./revoke-keys.ts";
import { createSessionRevoker } from "./revoke-sessions.ts";
import { createUserRevoker } from "./revoke-user.ts";
import { repairRollback } from "./rollback/repair.ts";
import type { RecordRepairs } from "./rollback/repair-records.ts";
import { createRevocationView, type MutableRevocationView, retentionMs } from "./view.ts";

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
  | { readonly kind: "keys"; readonly keyIds: readonly string[] };

export type Judgement =
  | { readonly state: "live" }
  | { readonly state: "dead"; readonly cause: RevocationCause }
  /** The token is older than the view, or its user changed since: look it up in the store. */
  | { readonly state: "unknown" };

/** What a node's lease is kept by. */
export type FeedFollower = Pick<LogFollower, "following" | "followGeneration" | "lookAgeMs" | "restart">;

/** A decision on a user's rights. */
export interface RightsDecision {
  /** The number of the commit that made it. */
  readonly version: number;
  /** Null: the user was removed. Ids are given once, so nothing can have been decided later. */
  readonly rights: Rights | null;
}

/** What this node knows about what was taken away; fed by its own commits and by the log. */
export interface RevocationView {
  /** Hot path: map look-ups only. */
  judge(principal: Principal): Judgement;
  /**
   * What the log last decided on the user's rights, as far back as this node remembers. A read of the record may be older,
   * or fail: see `withoutLost`.
   */
  decided(userId: string): RightsDecision | undefined;
  /**
   * False while the node cannot know (no tail, no lease, a break of the log that is not healed yet): then nobody is
   * authenticated (D10). Hot path: a few comparisons, looked at before every frame.
   */
  readonly trusted: boolean;
  /**
   * Undefined unless `trusted`, and the log is followed without a break at this moment: what the store says meanwhile may be
   * from before what this node knows, and nothing is given on its word. Between two equal numbers the store answered from
   * the log that is followed, and nothing passed unseen: only then is over what it says is over (see `consistentRead`).
   */
  readonly followGeneration: number | undefined;
  /**
   * Rises whenever something may have passed unseen: whoever was let in before, and whatever was looked up before, has
   * to be looked up again. It rises before `trusted` turns true.
   */
  readonly invalidationCount: number;
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
    readonly unheard: number;
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
  readonly machineClock?: Clock;
  readonly sealing: Pick<Sealing, "derive">;
  /** The longest life of an ordinary access token, ms: how far back the view has to remember. */
  readonly longestTokenMs: number;
  /** What this node does without a lease, for the others to know; `suspend` by default. */
  readonly policy?: RevocationPolicy;
  /** See `StoreGuarantee`; by default it is not known, and no node counts as fenced. */
  readonly stalePrimaryWindowMs?: () => number;
  readonly disabledSafeguards?: DisabledSafeguards;
  readonly observer?: Partial<RevocationObserver>;
  /** What records have to lose again after the store went back in time; by default nothing. */
  readonly repairs?: RecordRepairs;
  /** Told of a listener that threw; the revocation itself stands. */
  readonly onListenerFault?: (error: unknown) => void;
  /** The log says that some node changed the signing keys, or dropped these; may come twice. */
  readonly onKeyringChanged?: (dropped: readonly string[]) => void;
  /** Reads the signing keys after a break of the log, and writes again what the store lost of them. */
  readonly restoreKeyring?: () => Promise<void>;
}

/** The one way to take something away, and the way in which everything that logs commits. */
export function createRevocation(
  options: RevocationOptions,
): Revocation & LogWriter & { readonly view: MutableRevocationView } {
  const { view, lease, leaseManager, members, propagation, listeners, logWriter, logConsumer, nodeRole } =
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
    logConsumer.begin(revocationId);
    propagation.begin(revocationId);
    try {
      const ended = await commit();
      return propagation.committed({ revocationId, socketsClosed: logConsumer.end(revocationId) }, ended);
    } catch (error) {
      logConsumer.end(revocationId);
      propagation.abandon(revocationId);
      throw error;
    }
  };

  return {
    view,
    commit: logWriter.commit,
    onRevocation: listeners.add,
    apply(entries) {
      nodeRole.deliveredAt = options.clock.monotonic();
      logConsumer.deliver(entries);
    },
    logBroke: (kind) => leaseManager.broke(kind),
    setFeed({ since, follower }) {
      members.caughtUp();
      view.completeSince(since);
      nodeRole.role = "node";
      leaseManager.start(follower);
    },
    setWatch({ since, stalePrimaryWindowMs, unheard }) {
      members.caughtUp();
      view.completeSince(since);
      Object.assign(nodeRole, { role: "watcher", stalePrimaryWindowMs, running: unheard });
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
        return members.alive + 1;
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
  ...{ badMac: ignored, broke: ignored, reasserted: ignored, repaired: ignored },
  ...{ recovered: ignored, lapsed: ignored, heartbeatFailed: ignored },
};

/** What this process is to its installation, and how it knows what it knows of the other nodes. */
interface NodeRole {
  role: "node" | "watcher" | undefined;
  stalePrimaryWindowMs: number | undefined;
  running: number;
  deliveredAt: number;
}

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
  const nodeRole: NodeRole = {
    ...{
      role: undefined,
      stalePrimaryWindowMs: undefined,
      running: 0,
      deliveredAt: Number.NEGATIVE_INFINITY,
    },
  };
  const propagation = createPropagationTracker({
    ...{ clock, members },
    stalePrimaryWindowMs: () => nodeRole.stalePrimaryWindowMs ?? stalePrimaryWindowMs(),
    // An old primary that still takes commits after that time would have lost its office later.
    provenAt: () => (nodeRole.role === "watcher" ? nodeRole.deliveredAt : lease.provenAt()),
    serves: () => nodeRole.role === "node",
    running: () => nodeRole.running,
    comparePositions: (a, b) => store.comparePositions(a, b),
  });
  const logWriter: LogWriter = createLogWriter({
    store,
    clock,
    logMac,
    apply: (entries) => logConsumer.own(entries),
  });
  const leaseManager = new LeaseManager({
    ...{
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
    },
    restoreKeyring: options.restoreKeyring ?? nothing,
    reassert: () =>
      repairRollback({
        ...{ store, clock, logWriter, repairs, cache: view.cache },
        rememberedMs: retentionMs(longestTokenMs),
        onRepaired: observer.repaired,
      }),
  });
  const listeners = createRevocationListeners(onListenerFault);
  const logConsumer: LogConsumer = createLogConsumer({
    ...{ node, logMac, disabledSafeguards, view, leaseManager, members, propagation, listeners, observer },
    onKeyringChanged: options.onKeyringChanged ?? ignored,
  });
  return { view, lease, leaseManager, members, propagation, listeners, logWriter, logConsumer, nodeRole };
}

/** What becomes of sockets while the view is not trusted; see the option `revocation.policy`. */
export type RevocationPolicy = "suspend" | "close" | "serve_until_exp";
