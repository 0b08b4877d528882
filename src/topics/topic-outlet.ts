import type { TopicGap } from "../../protocol/commands/topics.ts";
import type { Codec, Frame } from "../codec/codec.ts";
import type { SessionOutlet, SharedOutcome, SocketSession } from "../connection/session.ts";
import { SharedFrames } from "../connection/shared-frames.ts";
import type { Position } from "./broker.ts";
import type { Delivery } from "./delivery.ts";
import type { TopicsObserver } from "./observer.ts";
import type { Subscription } from "./subscription.ts";
import type { Verdicts } from "./verdicts.ts";

/** What may wait for one client that does not read. */
export interface OutletLimits {
  readonly messages: number;
  /** Of the messages' data. */
  readonly bytes: number;
}

interface Held {
  readonly subscription: Subscription;
  /** Of the first message at this place. Conflation does not change it, so positions rise along the queue. */
  readonly position: Position;
  delivery: Delivery;
}

/** Messages that go out in one write. */
const messagesPerWrite = 16;

/**
 * The messages that wait for one socket whose client does not read. Beyond the limits the oldest are dropped, and the
 * client is told how many. Rights are asked when a message is handed to the socket. Nothing waits for a suspended
 * socket: what it misses is a gap.
 */
export class TopicOutlet implements SessionOutlet {
  readonly #session: SocketSession;
  readonly #codec: Codec;
  readonly #limits: OutletLimits;
  readonly #verdicts: Verdicts;
  readonly #observer: TopicsObserver;
  readonly #onClosed: () => void;
  #queue: Held[] = [];
  #head = 0;
  #bytes = 0;
  /** The waiting message of each topic, for subscriptions that conflate. */
  readonly #newest = new Map<Subscription, Map<string, Held>>();
  readonly #gapped = new Set<Subscription>();
  #turn: Promise<void> = Promise.resolve();
  /** They wait until the client reads. */
  #whenRoom: (() => void)[] = [];

  constructor(options: {
    readonly session: SocketSession;
    readonly codec: Codec;
    readonly limits: OutletLimits;
    readonly verdicts: Verdicts;
    readonly observer: TopicsObserver;
    readonly onClosed: () => void;
  }) {
    this.#session = options.session;
    this.#codec = options.codec;
    this.#limits = options.limits;
    this.#verdicts = options.verdicts;
    this.#observer = options.observer;
    this.#onClosed = options.onClosed;
  }

  /** Nothing waits, so a message may go to the socket at once. */
  get isIdle(): boolean {
    return this.waiting === 0 && this.#gapped.size === 0;
  }

  get waiting(): number {
    return this.#queue.length - this.#head;
  }

  hold(subscription: Subscription, delivery: Delivery): void {
    if (!subscription.conflates || !this.#replace(subscription, delivery)) this.#push(subscription, delivery);
    // What replaces a message may be larger.
    while (this.waiting > this.#limits.messages || (this.#bytes > this.#limits.bytes && this.waiting > 1))
      this.#dropOldest();
  }

  /** `count` messages are lost; null: an unknown number. The client is told when it reads next. */
  lose(subscription: Subscription, count: number | null): void {
    // After its end nothing of it is lost.
    if (subscription.group === undefined) return;
    this.#observer.lost(count ?? 1);
    if (subscription.isOfEvents) return;
    subscription.lose(count);
    this.#gapped.add(subscription);
  }

  /** The subscription has ended. What waits for it is dropped when its turn comes. */
  forget(subscription: Subscription): void {
    this.#gapped.delete(subscription);
    this.#newest.delete(subscription);
  }

  /** Runs tasks of this socket one after the other. Each has messages in memory. */
  inTurn(task: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(task);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /**
   * Hands over messages that do not wait here, or nothing of them. What may not be read at this moment is left out.
   * What waits for other subscriptions has a turn after it.
   */
  handOver(subscription: Subscription, deliveries: readonly Delivery[]): SharedOutcome {
    const told = this.#gapped.has(subscription) ? this.#tellGap() : "sent";
    if (told !== "sent") return told;
    const frames = deliveries.flatMap((delivery) =>
      this.#frameOf({ subscription, position: delivery.message.position, delivery }),
    );
    if (frames.length === 0) return "sent";
    const outcome = this.#send(frames);
    if (outcome !== "sent") return outcome;
    this.#observer.delivered(frames.length);
    if (this.waiting > 0) this.#sendNext();
    return outcome;
  }

  /** Resolves once the client may have read what was sent before, the socket goes on, or it is closed. */
  untilRoom(): Promise<void> {
    return new Promise((resolve) => this.#whenRoom.push(resolve));
  }

  /** Hands over what waits, as long as the client reads. Whoever waits for room begins. */
  resume(): void {
    if (this.#whenRoom.length === 0 || !this.#session.hasRoom || !this.#session.mayRun) this.#goOn();
    else {
      this.#wake();
      queueMicrotask(() => this.#goOn());
    }
  }

  #wake(): void {
    for (const goOn of this.#whenRoom.splice(0)) goOn();
  }

  #goOn(): void {
    while (!this.isIdle && this.#session.hasRoom) {
      const outcome = this.#gapped.size > 0 ? this.#tellGap() : this.#sendNext();
      if (outcome === "suspended") this.loseAll();
      if (outcome !== "sent") return;
    }
  }

  /** The socket is suspended: nothing waits for it. */
  loseAll(): void {
    while (this.waiting > 0) this.#dropOldest();
  }

  closed(): void {
    this.#queue = [];
    this.#head = 0;
    this.#gapped.clear();
    this.#newest.clear();
    this.#wake();
    this.#onClosed();
  }

  /** What was lost came before everything that waits. */
  #tellGap(): SharedOutcome {
    for (const subscription of this.#gapped) {
      const event: TopicGap = { gap: subscription.gap };
      const outcome = this.#send([this.#codec.encode({ id: subscription.id, type: "event", event })]);
      if (outcome !== "sent") return outcome;
      subscription.gap = 0;
      this.#gapped.delete(subscription);
      this.#observer.gapTold();
    }
    return "sent";
  }

  #sendNext(): SharedOutcome {
    const next = this.#queue.slice(this.#head, this.#head + messagesPerWrite);
    const frames = next.flatMap((held) => this.#frameOf(held));
    const outcome = frames.length === 0 ? "sent" : this.#send(frames);
    if (outcome !== "sent") return outcome;
    this.#observer.delivered(frames.length);
    for (const held of next) this.#take(held);
    return "sent";
  }

  #frameOf({ subscription, position, delivery }: Held): readonly Frame[] {
    const { permissions, id } = subscription;
    if (permissions === undefined || !delivery.mayReach(permissions, this.#verdicts)) return [];
    if (position === delivery.message.position) return [delivery.frame(this.#codec, id)];
    return [delivery.frameInPlaceOf(position, this.#codec, id)];
  }

  #send(frames: readonly Frame[]): SharedOutcome {
    const coalesces = this.#session.features.has("coalesce_messages");
    return this.#session.sendShared(new SharedFrames(coalesces ? [this.#codec.join(frames)] : frames));
  }

  #take({ subscription, delivery }: Held): void {
    this.#head += 1;
    this.#bytes -= delivery.message.bytes;
    const topics = this.#newest.get(subscription);
    topics?.delete(delivery.message.topic);
    if (topics?.size === 0) this.#newest.delete(subscription);
    // The rest is not moved for each message.
    if (this.#head * 2 < this.#queue.length) return;
    this.#queue = this.#queue.slice(this.#head);
    this.#head = 0;
  }

  #push(subscription: Subscription, delivery: Delivery): void {
    const held: Held = { subscription, position: delivery.message.position, delivery };
    this.#queue.push(held);
    this.#bytes += delivery.message.bytes;
    if (subscription.conflates) this.#topicsOf(subscription).set(delivery.message.topic, held);
  }

  #dropOldest(): void {
    const oldest = this.#queue[this.#head];
    if (oldest === undefined) return;
    this.#take(oldest);
    this.lose(oldest.subscription, 1);
  }

  #replace(subscription: Subscription, delivery: Delivery): boolean {
    const held = this.#newest.get(subscription)?.get(delivery.message.topic);
    if (held === undefined) return false;
    this.#bytes += delivery.message.bytes - held.delivery.message.bytes;
    held.delivery = delivery;
    this.#observer.conflated();
    return true;
  }

  #topicsOf(subscription: Subscription): Map<string, Held> {
    let topics = this.#newest.get(subscription);
    if (topics === undefined) {
      topics = new Map();
      this.#newest.set(subscription, topics);
    }
    return topics;
  }
}
