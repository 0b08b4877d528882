import type { CommandType } from "./commands/index.ts";

/**
 * Commands whose events continue until the socket or the subscription ends, and that are safe to send again on another
 * socket. A command that reports only its own progress is not one: sending it again would carry it out again. This file
 * loads no schema, because the client reads it.
 */
const subscriptions: readonly CommandType[] = [
  "subscribe_events",
  "gatehouse/presence/subscribe",
  "gatehouse/topics/subscribe",
];

/** True for a message that may be sent again on a new socket. */
export function isSubscription(type: string): boolean {
  return subscriptions.some((each) => each === type);
}
