import type { Authority } from "../auth/authority.ts";
import { findGroup } from "./group-names.ts";
import { type Output, table } from "./output.ts";
import { oneLine } from "./terminal-text.ts";
import { findUser } from "./users.ts";

/** Removes second factors of a person who has lost them: one, by its id in the configuration, or all. */
export async function resetFactors(
  authority: Authority,
  nameOrId: string,
  factorId: string | undefined,
  output: Output,
): Promise<void> {
  const { id } = await findUser(authority, nameOrId);
  const removed = await authority.secondFactors.reset(id, factorId, null);
  const text = removed.length === 0 ? "had none of them" : `has no ${removed.join(", ")} any more`;
  output.result({ user_id: id, removed }, `${oneLine(nameOrId)} ${text}`);
}

/** The second factors of a person: those of the configuration, and what else the person has set up. */
export async function listFactors(authority: Authority, nameOrId: string, output: Output): Promise<void> {
  const { id } = await findUser(authority, nameOrId);
  const factors = await authority.secondFactors.allOf(id);
  const rows = factors.map((factor) => [factor.id, oneLine(factor.name), factor.enabled ? "yes" : "no"]);
  output.result({ user_id: id, factors }, table(["FACTOR", "NAME", "SET UP"], rows));
}

/** Whether members of a group must have a second factor. Sessions of those who proved none end. */
export async function demandFactor(
  authority: Authority,
  spelled: string,
  demanded: boolean,
  output: Output,
): Promise<void> {
  const { id } = await findGroup(authority, spelled);
  const { sessionsEnded } = await authority.secondFactors.demand(id, demanded);
  const text = demanded ? "must have a second factor" : "need no second factor because of it";
  output.result(
    { group_id: id, demanded, sessions_ended: sessionsEnded },
    `members of ${oneLine(spelled)} ${text}${endedNote(sessionsEnded)}`,
  );
}

/** A note of sessions that a demand has ended. */
export function endedNote(sessions: number): string {
  if (sessions === 0) return "";
  return `; ${sessions} ${sessions === 1 ? "session" : "sessions"} without a second factor ended`;
}
