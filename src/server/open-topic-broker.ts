import type { Clock } from "../auth/clock/clock.ts";
import type { TopicBroker } from "../topics/broker.ts";
import { createLocalBroker } from "../topics/local-broker.ts";
import type { Config } from "./config/schema.ts";

/** The broker that belongs to the configured store. */
export function openTopicBroker(config: Config, clock: Pick<Clock, "now">): TopicBroker {
  const { history_messages: messages, history_seconds } = config.topics;
  return createLocalBroker({ history: { messages, ms: history_seconds * 1000 }, now: () => clock.now() });
}
