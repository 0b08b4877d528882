/** Events that only the gateway fires, so that whoever gets one can believe it. */
const ownEvents = [
  "user_added",
  "user_updated",
  "user_removed",
  "owner_changed",
  "group_changed",
  "factor_demands_changed",
  "sessions_ended",
  "approval_requested",
] as const;
export type OwnEvent = (typeof ownEvents)[number];

const names: ReadonlySet<string> = new Set(ownEvents);

export function isOwnEvent(type: string): boolean {
  return names.has(type);
}
