import type { CommandType } from "./commands/index.ts";

/**
 * Commands whose events follow until the socket or the subscription ends, and that do no harm when they are sent again on
 * another socket. A command that only tells of its own progress is none: a second one would be carried out. No schema is
 * loaded here, because the client reads this table.
 */
const subscriptions: readonly CommandType[] = ["subscribe_events"];

/** True for a message that may be sent again on a new socket. */
export function isSubscription(type: string): boolean {
  return subscriptions.some((each) => each === type);
}
