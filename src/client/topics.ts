import type { Params, Result } from "../../protocol/commands/index.ts";
import type { TopicEvent, TopicMessage as WireMessage } from "../../protocol/commands/topics.ts";
import { GatewayError, invokeCallback } from "./errors.ts";
import type { SubscriptionEnd, WantedEvents } from "./subscriptions.ts";

/** A message of a topic. */
export interface TopicMessage<Data = unknown> extends Omit<WireMessage, "data"> {
  readonly data: Data;
}

export interface TopicOptions {
  /** If this client does not keep up, only the newest message of each topic is kept for it. Default false. */
  readonly conflate?: boolean;
  /** First the last values of the topics, as messages with `last: true`; also after a gap. Default false. */
  readonly last?: boolean;
  /** Continue after this position, which an earlier message had. */
  readonly position?: string;
  /** Messages were lost: so many, or null if that is not known. */
  readonly onGap?: (lost: number | null) => void;
  /** The subscription is over; `permission_lost` if the user may not read any of its topics any more. */
  readonly onEnd?: SubscriptionEnd;
}

type Subscribe = Params<"gatehouse/topics/subscribe">;

/**
 * One subscription to topics, across sockets. It remembers the position, so that on a new socket it goes on where it was.
 * What the server does not have any more is a gap.
 */
export class TopicFeed<Data> implements WantedEvents {
  readonly #pattern: string;
  readonly #onMessage: (message: TopicMessage<Data>) => void;
  readonly #options: TopicOptions;
  /** Null: the pattern has no fixed namespace, and its messages no common order. */
  #position: string | null | undefined;
  /** The position of the last request. */
  #sent: string | null | undefined;
  #wasAnswered = false;

  constructor(pattern: string, onMessage: (message: TopicMessage<Data>) => void, options: TopicOptions) {
    this.#pattern = pattern;
    this.#onMessage = onMessage;
    this.#options = options;
    this.#position = options.position;
  }

  message(): Omit<Subscribe, "id"> {
    const position = this.#position;
    const { conflate, last } = this.#options;
    this.#sent = position;
    return {
      type: "gatehouse/topics/subscribe",
      pattern: this.#pattern,
      ...(conflate && { conflate }),
      ...(last && { last }),
      ...(position != null && { position }),
    };
  }

  onResult(result: unknown): void {
    const { position, resumed } = result as Result<"gatehouse/topics/subscribe">;
    const wasAway = this.#wasAnswered || this.#options.position !== undefined;
    this.#wasAnswered = true;
    // A message may have come in the same frame as the answer: its position is newer.
    if (position === null || (!resumed && this.#sent === this.#position)) this.#position = position;
    if (!resumed && wasAway) this.#lost(null);
  }

  onEvent(event: unknown): void {
    const told = event as TopicEvent;
    if ("topic" in told) {
      // A last value is older than the position from which the subscription is live.
      if (this.#position !== null && !told.last) this.#position = told.position;
      invokeCallback(this.#onMessage, told as TopicMessage<Data>);
    } else if ("gap" in told) this.#lost(told.gap);
    else this.onEnd(new GatewayError(told.reason, `${told.pattern} may not be read any more`));
  }

  onEnd(error: GatewayError): void {
    if (this.#options.onEnd) invokeCallback(this.#options.onEnd, error);
  }

  #lost(count: number | null): void {
    if (this.#options.onGap) invokeCallback(this.#options.onGap, count);
  }
}

/** Messages that wait for a reader of `messages`. Beyond it the oldest are dropped, which is a gap. */
const mostWaiting = 1_000;

type Subscribing<Data> = (
  onMessage: (message: TopicMessage<Data>) => void,
  options: TopicOptions,
) => Promise<() => Promise<void>>;

interface Reader<Data> {
  readonly resolve: (result: IteratorResult<TopicMessage<Data>, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The messages of a subscription as an iterator. It subscribes with the first `next`, and ends with `return`, also while a
 * `next` waits for a message: an async generator would run `return` after it.
 */
export class TopicMessages<Data> implements AsyncIterableIterator<TopicMessage<Data>> {
  readonly #subscribe: Subscribing<Data>;
  readonly #options: TopicOptions;
  readonly #readers: Reader<Data>[] = [];
  #waiting: TopicMessage<Data>[] = [];
  #subscribed: Promise<() => Promise<void>> | undefined;
  #isOver = false;
  /** Thrown by one `next` after the last message. */
  #error: unknown;

  constructor(subscribe: Subscribing<Data>, options: TopicOptions) {
    this.#subscribe = subscribe;
    this.#options = options;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<TopicMessage<Data>, undefined>> {
    if (!this.#isOver) this.#subscribed ??= this.#begin();
    return new Promise((resolve, reject) => {
      this.#readers.push({ resolve, reject });
      this.#serve();
    });
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#waiting = [];
    this.#finish(undefined);
    await this.#subscribed?.then((end) => end()).catch(() => undefined);
    return { done: true, value: undefined };
  }

  #begin(): Promise<() => Promise<void>> {
    const { onGap, onEnd } = this.#options;
    const onMessage = (message: TopicMessage<Data>) => {
      if (this.#waiting.push(message) > mostWaiting) {
        this.#waiting.shift();
        if (onGap) invokeCallback(onGap, 1);
      }
      this.#serve();
    };
    const ended = (error: GatewayError) => {
      // Whoever closed the client knows.
      this.#finish(error.code === "not_connected" ? undefined : error);
      if (onEnd) invokeCallback(onEnd, error);
    };
    const subscribed = this.#subscribe(onMessage, { ...this.#options, onEnd: ended });
    subscribed.catch((error: unknown) => this.#finish(error));
    return subscribed;
  }

  #finish(error: unknown): void {
    if (!this.#isOver) this.#error = error;
    this.#isOver = true;
    this.#serve();
  }

  #serve(): void {
    while (this.#readers.length > 0) {
      const value = this.#waiting.shift();
      if (value === undefined && !this.#isOver) return;
      const reader = this.#readers.shift();
      if (value !== undefined) reader?.resolve({ done: false, value });
      else if (this.#error === undefined) reader?.resolve({ done: true, value: undefined });
      else {
        reader?.reject(this.#error);
        this.#error = undefined;
      }
    }
  }
}
