import type { JsonValue } from "../../auth/store.ts";
import { type Message, namespaceOf, type Position, type Publication } from "../../topics/broker.ts";

/** A message as it came, with its content still to be read. */
export interface ReceivedMessage {
  readonly namespace: string;
  readonly position: Position;
  readonly text: string;
}

/** The text of a message: its topic, which has no control character, a line break, and the rest as JSON. */
export function messageText(
  { topic, data, time, publisher, rightsVersion }: Publication,
  node: string,
): string {
  const { userId, isSystem } = publisher;
  return `${topic}\n${JSON.stringify([node, time, userId, isSystem, rightsVersion, data])}`;
}

/** `channelText` is `EPOCH SEQUENCE TEXT`. Undefined for anything else. */
export function receivedMessage(channelText: string): ReceivedMessage | undefined {
  const afterEpoch = channelText.indexOf(" ");
  const afterSequence = channelText.indexOf(" ", afterEpoch + 1);
  if (afterEpoch < 1 || afterSequence < 0) return undefined;
  const sequence = Number(channelText.slice(afterEpoch + 1, afterSequence));
  if (!Number.isSafeInteger(sequence) || sequence < 1) return undefined;
  const text = channelText.slice(afterSequence + 1);
  const topicEnd = text.indexOf("\n");
  if (topicEnd < 1) return undefined;
  const position = { epoch: channelText.slice(0, afterEpoch), sequence };
  return { namespace: namespaceOf(text.slice(0, topicEnd)), position, text };
}

/** Undefined if the text is not that of `messageText`. */
export function parseMessage(text: string, position: Position, node: string): Message | undefined {
  const topicEnd = text.indexOf("\n");
  const content = parsed(text.slice(topicEnd + 1));
  if (topicEnd < 1 || !Array.isArray(content) || content.length !== 6) return undefined;
  const [from, time, userId, isSystem, rightsVersion, data] = content as readonly unknown[];
  if (typeof time !== "number" || typeof userId !== "string" || typeof isSystem !== "boolean")
    return undefined;
  if (typeof rightsVersion !== "number") return undefined;
  return {
    topic: text.slice(0, topicEnd),
    data: data as JsonValue,
    // An estimate, in characters: what is around the data counts too.
    bytes: text.length - topicEnd,
    time,
    publisher: { userId, isSystem },
    rightsVersion,
    position,
    isOwn: from === node,
  };
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
