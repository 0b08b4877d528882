import type { TopicMessage } from "../../protocol/commands/topics.ts";
import { segmentsOf } from "../../protocol/topic-pattern.ts";
import type { Permissions } from "../auth/permissions/permissions.ts";
import type { Codec, Frame } from "../codec/codec.ts";
import type { Message, Position } from "./broker.ts";
import { isEvent, mayReceiveEvent, shownEvent } from "./home-assistant-events.ts";
import type { Verdicts } from "./verdicts.ts";

/** A message on its way to subscribers of this node. Its event is encoded once for each codec. */
export class Delivery {
  readonly message: Message;
  readonly segments: readonly string[];
  readonly #isEvent: boolean;
  readonly #isLast: boolean;
  readonly #frames = new Map<Codec["name"], Frame>();

  /** `isLast`: it is the last value of its topic, from before the subscription. */
  constructor(message: Message, isLast = false) {
    this.message = message;
    this.segments = segmentsOf(message.topic);
    this.#isEvent = isEvent(message);
    this.#isLast = isLast;
  }

  mayReach(permissions: Permissions, verdicts: Verdicts): boolean {
    return this.#isEvent
      ? mayReceiveEvent(permissions, this.message)
      : verdicts.mayRead(permissions, this.message.topic);
  }

  /** The frame for the subscription `id`. */
  frame(codec: Codec, id: number): Frame {
    let event = this.#frames.get(codec.name);
    if (event === undefined) {
      event = codec.encode(this.#shown());
      this.#frames.set(codec.name, event);
    }
    return codec.encodeEvent(id, event);
  }

  /** The same with the position of an older message, in whose place it is sent. Encoded each time. */
  frameInPlaceOf(position: Position, codec: Codec, id: number): Frame {
    const event = { ...this.#shown(), position: positionText(position) };
    return codec.encodeEvent(id, codec.encode(event));
  }

  #shown(): object {
    if (this.#isEvent) return shownEvent(this.message);
    return this.#isLast ? { ...shownMessage(this.message), last: true } : shownMessage(this.message);
  }
}

function shownMessage({ topic, data, publisher, time, position }: Message): TopicMessage {
  return {
    topic,
    data,
    publisher: { user_id: publisher.userId, is_system: publisher.isSystem },
    time: new Date(time).toISOString(),
    position: positionText(position),
  };
}

export function positionText({ epoch, sequence }: Position): string {
  return `${epoch}:${sequence}`;
}

/** `text` has the shape of `TopicPosition`. */
export function parsePosition(text: string): Position {
  const colon = text.indexOf(":");
  return { epoch: text.slice(0, colon), sequence: Number(text.slice(colon + 1)) };
}
