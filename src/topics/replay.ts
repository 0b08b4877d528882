import { setImmediate as nextTurn } from "node:timers/promises";

import { AuthError } from "../auth/errors.ts";
import { type Message, namespaceOf, type Position, type TopicBroker } from "./broker.ts";
import { Delivery } from "./delivery.ts";
import type { FanOut } from "./fan-out.ts";
import type { Following } from "./namespaces.ts";
import type { RightsGate } from "./rights-gate.ts";
import type { Subscription } from "./subscription.ts";
import { standsFor } from "./topic-index.ts";

/** What all replays of a node share. */
export interface ReplayParts {
  readonly broker: Pick<TopicBroker, "history" | "lastTopics" | "lastValues">;
  readonly gate: Pick<RightsGate, "whenMayPass">;
  readonly fanOut: Pick<FanOut, "round">;
  /** Whether the user may have so many messages more delivered again. Each costs the event loop time. */
  readonly mayReplay: (userId: string, messages: number) => boolean;
  /** Messages that are in memory at once, for one socket. */
  readonly piece: number;
  readonly onFault: (error: unknown) => void;
}

/** Last values that one subscription gets. */
const maxLastValues = 256;
/** Messages that come while a client catches up, and cost its user nothing. */
const uncounted = 256;
/** Messages that go out in one write. Other subscriptions of the socket have a turn after each. */
const messagesPerWrite = 16;

/**
 * What a subscription gets before it is live: what its client has missed, or last values, and then what has come
 * meanwhile. It is read piece by piece, as the client takes it, and one piece at a time for each socket. What was not
 * read yet waits in the broker: if it is not kept long enough, that is a gap.
 */
export class Replay {
  readonly #parts: ReplayParts;
  readonly #subscription: Subscription;
  readonly #following: Pick<Following, "position">;
  readonly #namespace: string;
  readonly #begun: Position;
  /** Everything up to here was handed over, or told as lost. */
  #position: Position;
  #topics: readonly string[] = [];

  /** Call it in the tick in which the subscription was added. `begun` is the position at which it would be live. */
  constructor(
    parts: ReplayParts,
    subscription: Subscription,
    following: Pick<Following, "position">,
    begun: Position,
  ) {
    this.#parts = parts;
    this.#subscription = subscription;
    this.#following = following;
    this.#namespace = namespaceOf(subscription.pattern);
    this.#begun = begun;
    this.#position = begun;
    subscription.isBehind = true;
  }

  /** False: not all messages after it are kept, or the user has had too many. Rejects with `unavailable`. */
  async resumeAfter(position: Position): Promise<boolean> {
    const count = this.#begun.sequence - position.sequence;
    if (position.epoch !== this.#begun.epoch || count < 0) return false;
    if (!this.#parts.mayReplay(this.#subscription.userId, count)) return false;
    // Those that are dropped first are the oldest.
    const oldest = position.sequence + Math.min(count, 1);
    if ((await this.#parts.broker.history(this.#namespace, position, oldest)) === undefined) return false;
    this.#position = position;
    return true;
  }

  /** Last values come first. Rejects with `rate_limited` and `unavailable`. */
  async showLast(): Promise<void> {
    const { userId, pattern } = this.#subscription;
    if (!this.#parts.mayReplay(userId, maxLastValues / 4))
      throw new AuthError("rate_limited", { retryAfterSeconds: 1 });
    this.#topics = await this.#parts.broker.lastTopics(pattern, maxLastValues);
  }

  /** Begins in a later tick, so that the client has the answer. */
  start(): void {
    this.#run().catch(this.#parts.onFault);
  }

  async #run(): Promise<void> {
    await nextTurn();
    const { outlet } = this.#subscription;
    for (let at = 0; at < this.#topics.length && this.#goesOn; at += this.#parts.piece)
      await outlet.inTurn(() => this.#handLast(this.#topics.slice(at, at + this.#parts.piece)));
    while (this.#goesOn && !this.#isLive()) {
      await outlet.inTurn(() => this.#handNext());
      await nextTurn();
    }
  }

  get #goesOn(): boolean {
    return this.#subscription.group !== undefined && this.#subscription.session.live;
  }

  /** In the tick in which everything that was handed out to others was handed to it too. */
  #isLive(): boolean {
    const { position } = this.#following;
    const { epoch, sequence } = this.#position;
    if (position !== null && position.epoch === epoch && position.sequence > sequence) return false;
    if (position !== null && position.epoch !== epoch) this.#lose(null);
    this.#subscription.round = this.#parts.fanOut.round;
    this.#subscription.isBehind = false;
    return true;
  }

  async #handLast(topics: readonly string[]): Promise<void> {
    const { broker, gate } = this.#parts;
    const { epoch, sequence } = this.#begun;
    try {
      // Those that come after the position come live.
      const values = (await broker.lastValues(topics)).filter(
        ({ position }) => position.epoch !== epoch || position.sequence <= sequence,
      );
      if (await gate.whenMayPass(values)) await this.#hand(values, true);
      else this.#lose(null);
    } catch (error) {
      this.#failed(error);
    }
  }

  async #handNext(): Promise<void> {
    const { broker, gate, mayReplay, piece } = this.#parts;
    const { position: newest } = this.#following;
    const after = this.#position;
    if (newest?.epoch !== after.epoch) return;
    const upTo = Math.min(newest.sequence, after.sequence + piece);
    // What it had missed was counted when it was resumed.
    const more = upTo - Math.max(after.sequence, this.#begun.sequence + uncounted);
    if (more > 0 && !mayReplay(this.#subscription.userId, more)) {
      this.#position = newest;
      this.#lose(null);
      return;
    }
    try {
      const messages = await broker.history(this.#namespace, after, upTo);
      if (messages !== undefined && (await gate.whenMayPass(messages))) await this.#hand(messages, false);
      else this.#lose(null);
      this.#position = { epoch: after.epoch, sequence: upTo };
    } catch (error) {
      this.#position = newest;
      this.#failed(error);
    }
  }

  async #hand(messages: readonly Message[], areLast: boolean): Promise<void> {
    const { outlet, segments, conflates } = this.#subscription;
    const newest = new Map(messages.map((message) => [message.topic, message]));
    const deliveries = messages
      .filter((message) => !conflates || newest.get(message.topic) === message)
      .map((message) => new Delivery(message, areLast))
      .filter((delivery) => standsFor(segments, delivery.segments));
    for (let at = 0; at < deliveries.length && this.#goesOn; ) {
      const outcome = outlet.handOver(this.#subscription, deliveries.slice(at, at + messagesPerWrite));
      if (outcome === "gone") return;
      if (outcome === "sent") at += messagesPerWrite;
      else await outlet.untilRoom();
    }
  }

  #lose(count: number | null): void {
    const { outlet } = this.#subscription;
    outlet.lose(this.#subscription, count);
    outlet.resume();
  }

  /** The client was answered already. */
  #failed(error: unknown): void {
    if (!(error instanceof AuthError)) this.#parts.onFault(error);
    this.#lose(null);
  }
}
