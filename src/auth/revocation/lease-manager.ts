import type { Clock } from "../clock/clock.ts";
import type { LogEvent, RevocationCause } from "../model.ts";
import type { DisabledSafeguards } from "../safeguards.ts";
import { createSingleFlight, type SingleFlight } from "../scheduling/single-flight.ts";
import type { LogBreak, LogEntry, LogPosition, Store } from "../store.ts";
import type { Lease, Moment } from "./lease.ts";
import type { LogMac } from "./log-mac.ts";
import type { PropagationTracker } from "./propagation.ts";
import type { FeedFollower, RevocationPolicy } from "./revocation.ts";
import type { MutableRevocationView } from "./view.ts";

/** What the operator should know, and what is counted. */
export interface RevocationObserver {
  /** An entry of the log has no valid MAC of this installation: something else writes to the store. */
  badMac(entry: LogEntry): void;
  logBroke(kind: LogBreak): void;
  /** After a rollback of the store, `count` remembered revocations were written again. */
  rollbackRepaired(count: number): void;
  /**
   * One of these repaired the record of this user, or of a login of theirs: a change that the store had lost was
   * applied again. `cause` is null if rights were removed and no session ended.
   */
  recordRepaired(userId: string, cause: RevocationCause | null): void;
  /** The view is complete and trusted again, after a break of the log or an expired lease. */
  leaseRecovered(): void;
  /** The lease has expired, or a break of the log ended it. */
  leaseLapsed(): void;
  /** A heartbeat could not be written. */
  heartbeatFailed(error: unknown): void;
}

export interface LeaseManagerOptions {
  readonly node: string;
  readonly store: Pick<Store, "kind" | "commit" | "primaryConfirmedAt">;
  readonly clock: Clock;
  /** The clock that the lease is measured by. */
  readonly machineClock: Clock;
  readonly logMac: LogMac;
  readonly lease: Lease;
  readonly view: Pick<MutableRevocationView, "invalidate" | "completeSince">;
  readonly propagation: Pick<PropagationTracker, "onLogBreak" | "onRecovered" | "review">;
  readonly repairRollback: () => Promise<number>;
  /** See `RevocationOptions`. */
  readonly restoreKeyring: () => Promise<void>;
  /** Called before the view is trusted for the first time, and after each break. */
  readonly recover: readonly (() => Promise<void>)[];
  readonly policy: RevocationPolicy;
  readonly disabledSafeguards: DisabledSafeguards;
  readonly observer: RevocationObserver;
}

interface SentHeartbeat {
  readonly at: Moment;
  /** Set once the store has acknowledged it. */
  acknowledgedAt?: number;
}

interface Break {
  readonly kind: LogBreak;
  /**
   * Set once the store has everything that this node remembers: the number of the first heartbeat after that, and the
   * time.
   */
  recoverFrom?: number;
  restoredAt?: number;
}

/** If an acknowledged heartbeat is not read back within this time, the tail may follow an old primary, ms. */
const overdueMs = 1_500;
/** Upper bound of remembered heartbeats that were not read back. */
const maxUnread = 64;
/** Minimum interval between heartbeats that only acknowledge an applied entry, ms. */
const minAckIntervalMs = 100;

/**
 * Keeps the lease of one node. It writes heartbeats into the log of the revocations and renews the lease when it
 * reads one back: it has then read everything that was committed before the heartbeat was sent. After a break it
 * first writes again what it remembers. Only a heartbeat that was sent after that renews the lease.
 */
export class LeaseManager {
  readonly #parts: LeaseManagerOptions;
  readonly #sent = new Map<number, SentHeartbeat>();
  readonly #singleFlight: SingleFlight;
  #follower: FeedFollower | undefined;
  #n = 0;
  /** The position of the last entry that was applied. */
  #applied: LogPosition | null = null;
  #restartedAt = Number.NEGATIVE_INFINITY;
  #held = false;
  /** A heartbeat is to be written soon, also if the store is embedded. */
  #heartbeatDue = false;
  #break: Break | undefined;
  /** A cycle that was running then writes no heartbeat: other nodes would await this one again. */
  #hasLeft = false;
  /** The heartbeat that is being written. Never rejects. */
  #sending: Promise<unknown> = Promise.resolve();
  /** What is called before the view is trusted for the first time was called. */
  #isReady = false;
  #resolveStarted: () => void = () => undefined;
  /** Resolves when the lease is held for the first time. */
  readonly started: Promise<void>;
  /** How far this machine's clock is from the store's, ms; positive: the store's is ahead. */
  driftMs = 0;

  constructor(parts: LeaseManagerOptions) {
    this.#parts = parts;
    this.started = new Promise((resolve) => {
      this.#resolveStarted = resolve;
    });
    this.#singleFlight = createSingleFlight({
      run: () => this.#cycle(),
      onFault: (error) => parts.observer.heartbeatFailed(error),
    });
  }

  /** The feed has caught up. An embedded store needs no heartbeats: each read of its log shows everything. */
  start(follower: FeedFollower): void {
    this.#follower = follower;
    if (this.#parts.recover.length === 0) this.#begin(follower);
  }

  #begin(follower: FeedFollower): void {
    this.#isReady = true;
    if (this.#writesNoHeartbeats) this.#parts.lease.useReadAge(() => follower.readAgeMs());
    this.#reportTransition();
  }

  /**
   * Undefined from the loss of the follower's connection until the follower has verified that it reads the same log
   * again. A store that answers in between may have gone back in time. An embedded store has no connection to lose.
   */
  get followGeneration(): number | undefined {
    if (this.#writesNoHeartbeats) return 0;
    return this.#follower?.following === true ? this.#follower.followGeneration : undefined;
  }

  /** Runs one cycle, or waits for the one that runs already. Never rejects. */
  beat(): Promise<void> {
    return this.#singleFlight.now();
  }

  /** Sends a heartbeat soon: it acknowledges an applied entry, or starts the recovery from a break. */
  heartbeatSoon(): void {
    this.#heartbeatDue = true;
    this.#singleFlight.within(minAckIntervalMs);
  }

  /** Everything up to here was applied. */
  onApplied(position: LogPosition): void {
    this.#applied = position;
  }

  onLogBreak(kind: LogBreak): void {
    const { lease, propagation, observer, disabledSafeguards } = this.#parts;
    if (disabledSafeguards.has("break_detection")) return;
    // A break during the recovery from another one restarts that recovery for both.
    this.#break = { kind: this.#break?.kind === "lost" ? "lost" : kind };
    this.#sent.clear();
    lease.break();
    propagation.onLogBreak();
    observer.logBroke(kind);
    this.heartbeatSoon();
  }

  /**
   * Another node has logged a revocation again that this one should have known. All sockets that were authenticated
   * meanwhile must be reviewed.
   */
  invalidate(): void {
    if (this.#break !== undefined) return;
    this.#parts.lease.break();
    this.#break = { kind: "trimmed", recoverFrom: this.#n + 1, restoredAt: this.#parts.clock.monotonic() };
    this.heartbeatSoon();
  }

  /**
   * A heartbeat of this node was read from the log. One that is not awaited, for instance a replayed one, changes
   * nothing.
   */
  onHeartbeatReadBack(n: number, entry: LogEntry): void {
    const sent = this.#sent.get(n);
    if (sent === undefined) return;
    this.driftMs = driftOf(entry.at, sent.at.wall, this.#parts.machineClock.now());
    const missing = [...this.#sent].some(
      ([before, { acknowledgedAt }]) => before < n && acknowledgedAt !== undefined,
    );
    for (const before of this.#sent.keys()) if (before <= n) this.#sent.delete(before);
    // The store had acknowledged an earlier heartbeat that is not in the log: writes were lost.
    if (missing && !this.#parts.disabledSafeguards.has("break_detection")) {
      this.onLogBreak("lost");
      return;
    }
    if (this.#break !== undefined) {
      if (this.#break.recoverFrom === undefined || n < this.#break.recoverFrom) return;
      this.#recover(entry.position);
    }
    this.#renew(sent.at);
  }

  /** Logs that this node serves nobody any more, so that other nodes need not wait for it. */
  async leave(): Promise<void> {
    this.#singleFlight.stop();
    this.#hasLeft = true;
    await this.#sending;
    if (this.#n === 0) return;
    const event: LogEvent = { type: "node_left", node: this.#parts.node };
    await this.#parts.store.commit({ log: [this.#parts.logMac.withMac({ ...event })] });
  }

  get #writesNoHeartbeats(): boolean {
    return this.#parts.store.kind === "embedded";
  }

  async #cycle(): Promise<void> {
    this.#reportTransition();
    this.#parts.propagation.review();
    if (this.#follower === undefined) return;
    this.#restartIfOverdue(this.#follower);
    if (!this.#isReady) {
      await this.#runRecoveries();
      this.#begin(this.#follower);
    }
    if (this.#break !== undefined && this.#break.restoredAt === undefined) await this.#restore(this.#break);
    if (this.#writesNoHeartbeats) this.#recoverByRead(this.#follower);
    if (this.#hasLeft || (this.#writesNoHeartbeats && !this.#heartbeatDue)) return;
    const sending = this.#send();
    this.#sending = sending.catch(noop);
    await sending;
  }

  /** Reports whether the lease is held, if that has changed since the last cycle. */
  #reportTransition(): void {
    const holds = this.#parts.lease.holds();
    if (holds === this.#held) return;
    this.#held = holds;
    this.#resolveStarted();
    if (holds) this.#parts.observer.leaseRecovered();
    else this.#parts.observer.leaseLapsed();
  }

  async #restore(broken: Break): Promise<void> {
    const { disabledSafeguards, repairRollback, restoreKeyring, observer, clock } = this.#parts;
    if (broken.kind === "lost" && !disabledSafeguards.has("rollback_repair"))
      observer.rollbackRepaired(await repairRollback());
    await restoreKeyring();
    await this.#runRecoveries();
    broken.recoverFrom = this.#n + 1;
    broken.restoredAt = clock.monotonic();
  }

  async #runRecoveries(): Promise<void> {
    for (const recover of this.#parts.recover) await recover();
  }

  #recoverByRead(follower: Pick<FeedFollower, "readAgeMs">): void {
    const restoredAt = this.#break?.restoredAt;
    if (restoredAt === undefined || follower.readAgeMs() > this.#parts.clock.monotonic() - restoredAt) return;
    this.#recover(this.#applied);
    this.#reportTransition();
  }

  /** Invalidates what was looked up before the break, then trusts the view again. */
  #recover(position: LogPosition | null): void {
    const { view, lease, propagation, clock } = this.#parts;
    // A trimmed entry may have revoked a session, and a lost commit may have opened one.
    if (this.#break !== undefined) view.completeSince(clock.now());
    view.invalidate();
    this.#break = undefined;
    lease.recover();
    if (position !== null) propagation.onRecovered(position);
  }

  /**
   * Renews from no later than the moment at which the server that took the heartbeat was confirmed as the primary.
   */
  #renew({ monotonic, wall }: Moment): void {
    const { store, lease, disabledSafeguards } = this.#parts;
    const confirmedAt = disabledSafeguards.has("sentinel_majority") ? monotonic : store.primaryConfirmedAt();
    const behind = Math.max(0, monotonic - confirmedAt);
    lease.renew({ monotonic: monotonic - behind, wall: wall - behind });
    this.#reportTransition();
  }

  async #send(): Promise<void> {
    const { machineClock, clock, store, logMac, node, policy } = this.#parts;
    this.#n += 1;
    const n = this.#n;
    const sent: SentHeartbeat = { at: { monotonic: clock.monotonic(), wall: machineClock.now() } };
    this.#sent.set(n, sent);
    this.#heartbeatDue = false;
    const event: LogEvent = { type: "heartbeat", node, n, applied: this.#applied, policy };
    try {
      await store.commit({ log: [logMac.withMac({ ...event })] });
      sent.acknowledgedAt = clock.monotonic();
    } catch (error) {
      this.#sent.delete(n);
      throw error;
    }
    const [oldest] = this.#sent.keys();
    if (this.#sent.size > maxUnread && oldest !== undefined) this.#sent.delete(oldest);
  }

  #restartIfOverdue(follower: Pick<FeedFollower, "restart">): void {
    const now = this.#parts.clock.monotonic();
    const overdue = [...this.#sent.values()].some(
      ({ acknowledgedAt }) => acknowledgedAt !== undefined && now - acknowledgedAt >= overdueMs,
    );
    if (!overdue || now - this.#restartedAt < overdueMs) return;
    this.#restartedAt = now;
    follower.restart();
  }
}

/** The store's time of a commit, compared with this machine's clock before and after it. */
function driftOf(at: number, before: number, after: number): number {
  if (at < before) return at - before;
  return at > after ? at - after : 0;
}

const noop = () => undefined;
