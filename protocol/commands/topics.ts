import { type Static, Type } from "typebox";

import { topicLimits, topicPatternShape, topicShape } from "../topic-pattern.ts";
import { command } from "./define.ts";

export const Topic = Type.String({ minLength: 1, maxLength: topicLimits.length, pattern: topicShape });
const Pattern = Type.String({ minLength: 1, maxLength: topicLimits.length, pattern: topicPatternShape });
/** A place in the messages of a namespace. Opaque to clients. */
export const TopicPosition = Type.String({
  minLength: 1,
  maxLength: 64,
  pattern: "^[0-9a-f]{1,32}:[0-9]{1,16}$",
});

/** For how long a message is the last value of its topic. */
export const Retain = Type.Integer({
  minimum: 0,
  maximum: 2_592_000,
  description: "Seconds for which the message is kept as the topic's last value; 0 removes the last value.",
});

/** A message of a topic. */
export const TopicMessage = Type.Object({
  topic: Topic,
  data: Type.Unknown(),
  publisher: Type.Object({
    user_id: Type.String(),
    is_system: Type.Boolean({ description: "Whether a system user published it with a system token." }),
  }),
  /** When it was published. */
  time: Type.String({ format: "date-time" }),
  position: TopicPosition,
  /** The message is the last value of its topic, from before the subscription. */
  last: Type.Optional(Type.Literal(true)),
});
export type TopicMessage = Static<typeof TopicMessage>;

/** So many messages of the subscription were lost here; null: it is not known how many. */
export const TopicGap = Type.Object({ gap: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()]) });
export type TopicGap = Static<typeof TopicGap>;

/** The subscription is over. Nothing follows. */
export const TopicSubscriptionEnded = Type.Object({
  subscription: Type.Literal("ended"),
  reason: Type.Literal("permission_lost"),
  pattern: Pattern,
});
export type TopicSubscriptionEnded = Static<typeof TopicSubscriptionEnded>;

/** What a subscription to topics gets: tell them apart by `topic`, `gap` and `subscription`. */
export const TopicEvent = Type.Union([TopicMessage, TopicGap, TopicSubscriptionEnded]);
export type TopicEvent = Static<typeof TopicEvent>;

export const TopicSubscription = Type.Object({
  /** Of the last message that this subscription does not get live. Null: the pattern's namespace is not fixed. */
  position: Type.Union([TopicPosition, Type.Null()]),
  /** Whether every message since the `position` of the request is delivered. */
  resumed: Type.Boolean(),
});
export type TopicSubscription = Static<typeof TopicSubscription>;

/** Messages between clients by topic. Whom they reach is decided for each message. */
export const topicCommands = {
  "gatehouse/topics/subscribe": command(
    "gatehouse/topics/subscribe",
    "user",
    {
      pattern: Pattern,
      last: Type.Optional(
        Type.Boolean({
          default: false,
          description: "Whether last values of the topics are delivered first.",
        }),
      ),
      conflate: Type.Optional(
        Type.Boolean({
          default: false,
          description: "If the client does not keep up: only the newest message of each topic.",
        }),
      ),
      position: Type.Optional(TopicPosition),
    },
    TopicSubscription,
  ),
  "gatehouse/topics/publish": command(
    "gatehouse/topics/publish",
    "user",
    { topic: Topic, data: Type.Unknown(), retain: Type.Optional(Retain) },
    Type.Object({ position: TopicPosition }),
  ),
} as const;
