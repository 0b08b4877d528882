import type { ThrottleInfo } from "../../protocol/commands/throttles.ts";
import type { Throttle } from "../auth/throttling/throttle-list.ts";
import type { Command } from "../connection/command.ts";
import { defineCommand } from "./guarded-command.ts";
import { pageRequestOf } from "./page-request.ts";
import type { CommandParts } from "./registry.ts";
import { requireOwnerForOwner } from "./who-may-decide.ts";

/** Budgets of tries at login secrets that are exhausted. */
export function throttleCommands(parts: CommandParts): readonly Command[] {
  const { authority } = parts;
  const { users, throttles, ownership } = authority;
  return [
    defineCommand("gatehouse/throttles/list", authority, async (message) => {
      const page = await throttles.page(pageRequestOf(message));
      return { throttles: page.throttles.map(infoOf), cursor: page.next ?? null };
    }),
    defineCommand("gatehouse/throttles/lift", authority, async ({ throttle_id }, session) => {
      const owner = await ownership.owner();
      // Otherwise an administrator could try as many passwords of the owner as they like.
      if (owner !== undefined && (await throttles.mayConcern(throttle_id, owner)))
        await requireOwnerForOwner(users, owner, session);
      await parts.authorityOf(session).throttles.lift(throttle_id);
      return null;
    }),
  ];
}

function infoOf(throttle: Throttle): ThrottleInfo {
  const { id, kind, userId, credential, address, attemptsLeft, retryAfterMs, endsAt } = throttle;
  return {
    id,
    kind,
    user_id: userId,
    username: credential?.subject ?? null,
    auth_provider_type: credential?.providerType ?? null,
    auth_provider_id: credential?.providerId ?? null,
    address,
    attempts_left: attemptsLeft,
    retry_after: Math.ceil(retryAfterMs / 1000),
    ends_at: new Date(endsAt).toISOString(),
  };
}
