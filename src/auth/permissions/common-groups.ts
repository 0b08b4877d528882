import { systemGroups } from "../model.ts";

/** Membership of the first gives whatever membership of the second gives. */
function isAtLeast(group: string, other: string): boolean {
  if (group === other || group === systemGroups.admin) return true;
  return group === systemGroups.users && other === systemGroups.readOnly;
}

/**
 * The groups that both lists give. Of two lists of which one is older, it grants nothing that either of them had lost.
 * What one custom group gives and another does too is not compared: their policies change.
 */
export function commonGroups(a: readonly string[], b: readonly string[]): readonly string[] {
  const within = (ids: readonly string[], limits: readonly string[]) =>
    ids.filter((id) => limits.some((limit) => isAtLeast(limit, id)));
  return [...new Set([...within(a, b), ...within(b, a)])];
}
