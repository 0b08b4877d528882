import type { TopicSubscriptionEnded } from "../../protocol/commands/topics.ts";
import { AuthError } from "../auth/errors.ts";
import type { Permissions, PermissionsReader, PermissionsWatch } from "../auth/permissions/permissions.ts";
import type { Codec } from "../codec/codec.ts";
import type { SocketSession } from "../connection/session.ts";
import type { FanOut } from "./fan-out.ts";
import type { TopicsObserver } from "./observer.ts";
import type { SubscriberGroups } from "./subscriber-groups.ts";
import { type RightsSource, Subscription } from "./subscription.ts";
import { type OutletLimits, TopicOutlet } from "./topic-outlet.ts";
import type { Verdicts } from "./verdicts.ts";

/** What all sockets of a node share. */
export interface SocketTopicsParts {
  readonly permissions: Pick<PermissionsReader, "watch">;
  readonly groups: SubscriberGroups;
  readonly verdicts: Verdicts;
  readonly fanOut: FanOut;
  readonly observer: TopicsObserver;
  readonly outletLimits: OutletLimits;
}

export interface NewSubscription {
  readonly id: number;
  readonly pattern: string;
  readonly conflates: boolean;
  /** One of Home Assistant's: it never ends for a lack of rights, and knows no gaps. */
  readonly isOfEvents: boolean;
}

const judgedTogether = 4;

/** The topics of one socket: what it may do now, and its subscriptions. */
export class SocketTopics implements RightsSource {
  readonly outlet: TopicOutlet;
  readonly #parts: SocketTopicsParts;
  readonly #session: SocketSession;
  readonly #codec: Codec;
  readonly #subscriptions = new Set<Subscription>();
  /** Undefined before the first use, and after a failure. */
  #ready: Promise<void> | undefined;
  #watch: PermissionsWatch | undefined;
  #isClosed = false;
  /** A task that judges the subscriptions again is queued. */
  #mustJudge = false;

  /** Throws `unavailable` if the socket is closed. */
  constructor(parts: SocketTopicsParts, session: SocketSession, onClosed: () => void) {
    const { codec } = session;
    if (codec === undefined) throw new AuthError("unavailable", { detail: "the socket was closed" });
    this.#parts = parts;
    this.#session = session;
    this.#codec = codec;
    this.outlet = new TopicOutlet({
      session,
      codec,
      limits: parts.outletLimits,
      verdicts: parts.verdicts,
      observer: parts.observer,
      onClosed: () => {
        this.#isClosed = true;
        this.#watch?.end();
        onClosed();
      },
    });
    session.attach(this.outlet);
  }

  get rights(): Permissions | undefined {
    return this.#watch?.permissions;
  }

  /** What the caller may do at this moment. Rejects with `unavailable` if that is not known, or the socket is closed. */
  async permissions(): Promise<Permissions> {
    this.#ready ??= this.#start();
    await this.#ready;
    if (this.#watch === undefined || this.#isClosed || !this.#session.live)
      throw new AuthError("unavailable", { detail: "the socket was closed" });
    if (!this.#session.mayRun) throw new AuthError("unavailable", { detail: "the socket was suspended" });
    return this.#watch.permissions;
  }

  /** From now on messages reach it. Call it after `permissions`, in the same tick. `onEnd` is called once. */
  add({ id, pattern, conflates, isOfEvents }: NewSubscription, onEnd: () => void): Subscription {
    const { fanOut, groups } = this.#parts;
    if (this.#watch === undefined) throw new TypeError("what the caller may do is not known yet");
    const subscription = new Subscription({
      session: this.#session,
      codec: this.#codec,
      outlet: this.outlet,
      caller: this,
      userId: this.#session.principal.userId,
      id,
      pattern,
      conflates,
      isOfEvents,
      onEnd,
    });
    subscription.round = fanOut.round;
    groups.add(subscription, this.#watch.permissions);
    this.#subscriptions.add(subscription);
    return subscription;
  }

  /** Subscriptions of the pattern, without those to Home Assistant's events. */
  countOf(pattern: string): number {
    let count = 0;
    for (const subscription of this.#subscriptions)
      if (subscription.pattern === pattern && !subscription.isOfEvents) count += 1;
    return count;
  }

  /** Nothing is sent for it any more. */
  end(subscription: Subscription): void {
    if (!this.#subscriptions.delete(subscription)) return;
    this.#parts.groups.remove(subscription);
    this.outlet.forget(subscription);
    subscription.onEnd();
  }

  async #start(): Promise<void> {
    const { permissions } = this.#parts;
    try {
      this.#watch = await permissions.watch(this.#session.principal, () => this.#changed());
    } catch (error) {
      this.#ready = undefined;
      throw error;
    }
    if (this.#isClosed) this.#watch.end();
  }

  /**
   * Runs in the tick in which this node applies the change, for every socket of every user whom it concerns. From now on
   * messages are judged by the new rights. Subscriptions move to other subscriber groups, and clients are told, in turns with other work.
   */
  #changed(): void {
    if (this.#mustJudge || this.#subscriptions.size === 0) return;
    this.#mustJudge = true;
    this.#parts.fanOut.later(() => this.#judgeAgain());
  }

  /** A comparison of patterns can take milliseconds, so those of one socket are many tasks. */
  #judgeAgain(): void {
    this.#mustJudge = false;
    const subscriptions = [...this.#subscriptions];
    for (let from = 0; from < subscriptions.length; from += judgedTogether) {
      const some = subscriptions.slice(from, from + judgedTogether);
      this.#parts.fanOut.later(() => this.#judge(some));
    }
  }

  #judge(subscriptions: readonly Subscription[]): void {
    const { rights } = this;
    if (rights === undefined) return;
    const { groups, verdicts } = this.#parts;
    for (const subscription of subscriptions) {
      if (!this.#subscriptions.has(subscription)) continue;
      const isLost = !subscription.isOfEvents && !verdicts.mayReadSomeOf(rights, subscription.pattern);
      if (isLost) this.#lose(subscription);
      else groups.regroup(subscription, rights);
    }
  }

  #lose(subscription: Subscription): void {
    const { id, pattern } = subscription;
    this.#parts.observer.permissionLost();
    this.end(subscription);
    this.#session.disposables.dispose(id);
    if (!subscription.isAnswered) return;
    const event: TopicSubscriptionEnded = { subscription: "ended", reason: "permission_lost", pattern };
    this.#session.send({ id, type: "event", event });
  }
}
