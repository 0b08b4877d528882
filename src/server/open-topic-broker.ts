import type { Clock } from "../auth/clock/clock.ts";
import type { Store } from "../auth/store.ts";
import type { Log } from "../observability/log.ts";
import type { TopicBroker } from "../topics/broker.ts";
import { createLocalBroker } from "../topics/local-broker.ts";
import type { Config } from "./config/schema.ts";

/** The broker that belongs to the configured store. It connects on first use. */
export async function openTopicBroker(
  { store: url, topics }: Config,
  store: Store,
  clock: Pick<Clock, "now">,
  log: Pick<Log, "warn">,
): Promise<TopicBroker> {
  const history = {
    messages: topics.history_messages,
    ms: topics.history_seconds * 1000,
    lastValues: topics.last_values,
  };
  if (url === null) return createLocalBroker({ history, store, now: () => clock.now() });
  const { RedisTopicBroker } = await import("../store/redis/redis-topic-broker.ts");
  return new RedisTopicBroker({
    url,
    history,
    onReceiving: (receives, error) => {
      if (!receives) log.warn({ err: error }, "messages of topics are not received; trying again");
    },
  });
}
