import { SharedFrames } from "../connection/shared-frames.ts";
import type { Message } from "./broker.ts";
import { Delivery } from "./delivery.ts";
import type { TopicsObserver } from "./observer.ts";
import type { SubscriberGroup, SubscriberGroups } from "./subscriber-groups.ts";
import type { Subscription } from "./subscription.ts";
import type { Verdicts } from "./verdicts.ts";

/** Messages that are handed out together, and their bytes. */
const round = { messages: 256, bytes: 262_144 } as const;
/** How long this works before other work of the event loop gets a turn, ms. */
const turnMs = 8;
/** The clock is read once for so many sockets. */
const clockEvery = 32;

type Task = () => void;

export interface FanOutOptions {
  readonly groups: SubscriberGroups;
  readonly verdicts: Verdicts;
  readonly observer: TopicsObserver;
  readonly monotonic: () => number;
  /** The message is being handed out: a subscription from now on does not get it. */
  readonly onTaken: (message: Message) => void;
  readonly onFault: (error: unknown) => void;
}

/**
 * Hands messages to the subscriptions of this node. What arrives in one tick of the event loop, or while earlier
 * messages are handed out, goes to each socket in one write. Each group is decided on once for a message. Rights that
 * change meanwhile count from the change on: who has other rights than the group is decided on alone.
 */
export class FanOut {
  readonly #options: FanOutOptions;
  #pending: (Delivery | Task)[] = [];
  #arrived = 0;
  /** The number of the last delivery that is handed out, or was. */
  #takenUpTo = 0;
  #work: Iterator<void> | undefined;
  #turnEnds = 0;

  constructor(options: FanOutOptions) {
    this.#options = options;
  }

  get takenUpTo(): number {
    return this.#takenUpTo;
  }

  add(message: Message): void {
    this.#arrived += 1;
    this.#pending.push(new Delivery(message, this.#arrived));
    this.#start();
  }

  /** Runs the task in a later tick, after the messages that have arrived. */
  later(task: Task): void {
    this.#pending.push(task);
    this.#start();
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
      if (this.#pending.length > 0) this.#start();
    }
  }

  *#run(): Generator<void> {
    while (this.#pending.length > 0) {
      yield* this.#runTasks();
      for (const [group, deliveries] of this.#route(this.#take())) yield* this.#handOut(group, deliveries);
    }
  }

  *#runTasks(): Generator<void> {
    const firstMessage = this.#pending.findIndex((each) => each instanceof Delivery);
    const tasks = this.#pending.splice(0, firstMessage < 0 ? this.#pending.length : firstMessage);
    for (const task of tasks) {
      if (!(task instanceof Delivery)) this.#attempt(task);
      if (this.#isTurnOver()) yield;
    }
  }

  #take(): readonly Delivery[] {
    const taken: Delivery[] = [];
    let bytes = 0;
    for (const next of this.#pending) {
      if (!(next instanceof Delivery) || taken.length >= round.messages || bytes >= round.bytes) break;
      taken.push(next);
      bytes += next.message.bytes;
      this.#takenUpTo = next.number;
      this.#options.onTaken(next.message);
    }
    this.#pending.splice(0, taken.length);
    return taken;
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
      if (subscription.decidedUpTo < this.#takenUpTo) {
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
    subscription.decidedUpTo = this.#takenUpTo;
    const { outlet } = subscription;
    if (subscription.isBehind) return 0;
    if (!outlet.isIdle) {
      for (const delivery of deliveries) outlet.hold(subscription, delivery);
      outlet.mayGoOn();
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
