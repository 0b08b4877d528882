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

/** The messages of a subscription as an iterator. It subscribes with the first `next`, and ends with `return`. */
export async function* topicMessages<Data>(
  subscribe: (
    onMessage: (message: TopicMessage<Data>) => void,
    options: TopicOptions,
  ) => Promise<() => Promise<void>>,
  options: TopicOptions,
): AsyncGenerator<TopicMessage<Data>, void, undefined> {
  const waiting: TopicMessage<Data>[] = [];
  let ended: GatewayError | undefined;
  let wake: () => void = () => undefined;
  const onMessage = (message: TopicMessage<Data>) => {
    if (waiting.push(message) > mostWaiting) {
      waiting.shift();
      options.onGap?.(1);
    }
    wake();
  };
  const onEnd = (error: GatewayError) => {
    ended = error;
    options.onEnd?.(error);
    wake();
  };
  const end = await subscribe(onMessage, { ...options, onEnd });
  try {
    for (;;) {
      const next = waiting.shift();
      if (next !== undefined) yield next;
      else if (ended !== undefined) break;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    await end().catch(() => undefined);
  }
  // Whoever closed the client knows.
  if (ended !== undefined && ended.code !== "not_connected") throw ended;
}
