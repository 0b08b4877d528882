import { segmentsOf } from "../../protocol/topic-pattern.ts";
import { SharedFrames } from "../connection/shared-frames.ts";
import type { Message, Position } from "./broker.ts";
import type { Delivery } from "./delivery.ts";
import type { TopicsObserver } from "./observer.ts";
import type { SubscriberGroup, SubscriberGroups } from "./subscriber-groups.ts";
import type { Subscription } from "./subscription.ts";
import type { Verdicts } from "./verdicts.ts";
import { type Task, type WaitingLimits, WaitingMessages } from "./waiting-messages.ts";

/** How long this works before other work of the event loop gets a turn, ms. */
const turnMs = 8;
/** The clock is read once for so many sockets. */
const clockEvery = 32;

export interface FanOutOptions {
  readonly groups: SubscriberGroups;
  readonly verdicts: Verdicts;
  readonly observer: TopicsObserver;
  readonly monotonic: () => number;
  /** The message is being handed out: a subscription from now on does not get it. */
  readonly onTaken: (message: Message) => void;
  /** Too much waited, so messages of the namespace up to the position are lost. */
  readonly onLost: (namespace: string, upTo: Position) => void;
  readonly onFault: (error: unknown) => void;
  /** See `WaitingMessagesOptions`. */
  readonly waiting?: WaitingLimits | undefined;
}

/**
 * Hands messages to the subscriptions of this node. What arrives in one tick of the event loop, or while earlier
 * messages are handed out, goes to each socket in one write. Each group is decided on once for a message. Rights that
 * change meanwhile count from the change on: who has other rights than the group is decided on alone.
 */
export class FanOut {
  readonly #options: FanOutOptions;
  readonly #waiting: WaitingMessages;
  #tasks: Task[] = [];
  /** Of messages that are handed out together. */
  #round = 0;
  #work: Iterator<void> | undefined;
  #turnEnds = 0;

  constructor(options: FanOutOptions) {
    this.#options = options;
    this.#waiting = new WaitingMessages({
      ...options,
      limits: options.waiting,
      attempt: (task) => this.#attempt(task),
    });
  }

  /** The round that is handed out, or was the last one. */
  get round(): number {
    return this.#round;
  }

  /** Whether this node takes more messages of the user. */
  roomFor(userId: string): ReturnType<WaitingMessages["roomFor"]> {
    return this.#waiting.roomFor(userId);
  }

  add(message: Message): void {
    this.#waiting.add(message, this.#options.groups.countOf(segmentsOf(message.topic)));
    this.#start();
  }

  /** Runs the task in a later tick, before messages that are not being handed out yet. */
  later(task: Task): void {
    this.#tasks.push(task);
    this.#start();
  }

  /** Runs the task once the namespace's messages that have arrived are handed out. */
  afterArrived(namespace: string, task: Task): void {
    this.#waiting.addTask(namespace, task);
    this.#start();
  }

  get #isIdle(): boolean {
    return this.#tasks.length === 0 && this.#waiting.isEmpty;
  }

  #start(): void {
    if (this.#work !== undefined) return;
    this.#work = this.#run();
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#turnEnds = this.#options.monotonic() + turnMs;
    try {
      if (this.#work?.next().done === true) this.#work = undefined;
      else setImmediate(() => this.#turn());
    } catch (error) {
      this.#options.onFault(error);
      this.#work = undefined;
      if (!this.#isIdle) this.#start();
    }
  }

  *#run(): Generator<void> {
    while (!this.#isIdle) {
      yield* this.#runTasks();
      this.#round += 1;
      const deliveries = this.#waiting.take();
      for (const [group, own] of this.#route(deliveries)) yield* this.#handOut(group, own);
      if (this.#isTurnOver()) yield;
    }
  }

  *#runTasks(): Generator<void> {
    for (const task of this.#tasks.splice(0)) {
      this.#attempt(task);
      if (this.#isTurnOver()) yield;
    }
  }

  #route(deliveries: readonly Delivery[]): Map<SubscriberGroup, Delivery[]> {
    const { groups, verdicts } = this.#options;
    const routed = new Map<SubscriberGroup, Delivery[]>();
    for (const delivery of deliveries) {
      for (const group of groups.of(delivery.segments)) {
        if (!delivery.mayReach(group.permissions, verdicts)) continue;
        const those = routed.get(group);
        if (those === undefined) routed.set(group, [delivery]);
        else those.push(delivery);
      }
    }
    return routed;
  }

  *#handOut(group: SubscriberGroup, deliveries: readonly Delivery[]): Generator<void> {
    let shared: SharedFrames | undefined;
    let sent = 0;
    let count = 0;
    for (const subscription of group.members) {
      if (subscription.round < this.#round) {
        shared ??= framesOf(group, deliveries);
        sent +=
          subscription.permissions === group.permissions
            ? this.#hand(subscription, shared, deliveries)
            : this.#handAlone(subscription, deliveries);
      }
      count += 1;
      if (count % clockEvery === 0 && this.#isTurnOver()) yield;
    }
    this.#options.observer.delivered(sent);
    if (this.#isTurnOver()) yield;
  }

  /** Its rights have changed, and it is not in the group of its new ones yet. */
  #handAlone(subscription: Subscription, deliveries: readonly Delivery[]): number {
    const { permissions, codec, id } = subscription;
    if (permissions === undefined) return 0;
    const own = deliveries.filter((delivery) => delivery.mayReach(permissions, this.#options.verdicts));
    if (own.length === 0) return 0;
    return this.#hand(subscription, new SharedFrames(own.map((each) => each.frame(codec, id))), own);
  }

  /** Returns how many the socket has taken. */
  #hand(subscription: Subscription, shared: SharedFrames, deliveries: readonly Delivery[]): number {
    subscription.round = this.#round;
    const { outlet } = subscription;
    if (subscription.isBehind) return 0;
    if (!outlet.isIdle) {
      for (const delivery of deliveries) outlet.hold(subscription, delivery);
      outlet.resume();
    } else {
      const outcome = subscription.session.sendShared(shared);
      if (outcome === "sent") return deliveries.length;
      if (outcome === "blocked") for (const delivery of deliveries) outlet.hold(subscription, delivery);
      else if (outcome === "suspended") outlet.lose(subscription, deliveries.length);
    }
    return 0;
  }

  #isTurnOver(): boolean {
    return this.#options.monotonic() >= this.#turnEnds;
  }

  #attempt(task: Task): void {
    try {
      task();
    } catch (error) {
      this.#options.onFault(error);
    }
  }
}

function framesOf({ codec, id, coalesces }: SubscriberGroup, deliveries: readonly Delivery[]): SharedFrames {
  const frames = deliveries.map((delivery) => delivery.frame(codec, id));
  return new SharedFrames(coalesces ? [codec.join(frames)] : frames);
}
