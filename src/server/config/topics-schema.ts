import { Type } from "typebox";

/** Options of messages by topic. */
export const topics = Type.Object(
  {
    message_bytes: Type.Integer({
      default: 16_384,
      minimum: 64,
      maximum: 65_536,
      description: "Bytes of one message's data as JSON. A frame of a client has at most 65,536 bytes.",
    }),
    history_messages: Type.Integer({
      default: 1_000,
      minimum: 0,
      maximum: 100_000,
      description:
        "Messages that are kept of each namespace (the first segment of a topic), for clients that come back.",
    }),
    history_seconds: Type.Integer({
      default: 300,
      minimum: 1,
      maximum: 86_400,
      description:
        "How long they are kept. In Redis a namespace's messages are removed together, so long after its last one.",
    }),
    last_values: Type.Integer({
      default: 1_000,
      minimum: 0,
      maximum: 100_000,
      description:
        "Topics of each namespace whose last value is kept. Beyond it those go that would end first.",
    }),
    queue_messages: Type.Integer({
      default: 1_000,
      minimum: 1,
      maximum: 100_000,
      description:
        "Messages that wait for a client that does not read. Then the oldest are dropped, and the client is told.",
    }),
    queue_bytes: Type.Integer({
      default: 1_048_576,
      minimum: 1_024,
      maximum: 268_435_456,
      description: "Bytes of data of these messages.",
    }),
    subscriptions: Type.Integer({
      default: 1_000_000,
      minimum: 1,
      maximum: 100_000_000,
      description: "Subscriptions of all sockets of a node; one more is refused as `overloaded`.",
    }),
    subscriptions_per_user: Type.Integer({
      default: 10_000,
      minimum: 1,
      maximum: 100_000_000,
      description:
        "Those of one user's sockets on a node; one more is refused as `overloaded`. Handing a message out takes some 4 µs for each that gets it, so 10,000 of one user add up to 40 ms of CPU time, in turns with other work, to each message of a topic.",
    }),
  },
  { additionalProperties: false },
);
