import { createLocalBroker } from "../../src/topics/local-broker.ts";
import type { TopicsObserver } from "../../src/topics/observer.ts";
import { createTopics, type Topics, type TopicsLimits, type TopicsOptions } from "../../src/topics/topics.ts";
import type { TestAuthority } from "./authority.ts";

export const quietTopicsObserver: TopicsObserver = {
  published: () => undefined,
  delivered: () => undefined,
  lost: () => undefined,
  gapTold: () => undefined,
  conflated: () => undefined,
  permissionLost: () => undefined,
};

export const roomyTopics: TopicsLimits = {
  requestsPerUser: 2_000,
  messageBytes: 16_384,
  outlet: { messages: 1_000, bytes: 1_048_576 },
  subscriptions: 100_000,
  subscriptionsPerUser: 100_000,
};

/** Topics in process, with the rights of this authority. */
export function testTopics(
  { authority, clock, store }: Pick<TestAuthority, "authority" | "clock" | "store">,
  options: Partial<TopicsOptions> = {},
): Topics {
  return createTopics({
    permissions: authority.permissions,
    progress: authority.revocation.progress,
    broker: createLocalBroker({
      history: { messages: 100, ms: 60_000, lastValues: 100 },
      store,
      now: () => clock.now(),
    }),
    clock: { now: () => clock.now(), monotonic: () => performance.now() },
    observer: quietTopicsObserver,
    limits: roomyTopics,
    onFault: (error) => {
      throw error;
    },
    ...options,
  });
}
