import type { CommandType } from "../../../protocol/commands/index.ts";

/**
 * The commands of every user that a token with a policy may send too. The others could give the sender another token, or
 * another login, that is not narrowed, or show what the policy does not speak of.
 */
const open: ReadonlySet<string> = new Set([
  "ping",
  "supported_features",
  "auth/current_user",
  "auth/refresh",
  "subscribe_events",
  "unsubscribe_events",
  "gatehouse/topics/subscribe",
  "gatehouse/topics/publish",
  "gatehouse/permissions/explain",
] satisfies readonly CommandType[]);

export function isOpenToNarrowed(type: string): boolean {
  return open.has(type);
}
