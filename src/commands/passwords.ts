import type { Command } from "../connection/command.ts";
import { loginsAt } from "./config-provider-local.ts";
import { defineCommand } from "./guarded-command.ts";
import type { CommandParts } from "./registry.ts";
import { requireStepUpForOneself } from "./step-up-for-rights.ts";
import { requireOwnerForOwner } from "./who-may-decide.ts";

/**
 * Codes with which users set a new password. One for oneself needs a recent login: whoever finds an unlocked device must
 * not give its user a password that they know.
 */
export function passwordCommands({ authority, authorityOf }: CommandParts): readonly Command[] {
  const { users, stepUps } = authority;
  return [
    defineCommand(
      "gatehouse/password/reset/create",
      authority,
      async ({ user_id: userId, ...at }, session) => {
        await requireOwnerForOwner(users, userId, session);
        await requireStepUpForOneself(authority, userId, session);
        if (userId !== session.principal.userId) await stepUps.require("user_rights", session.principal);
        const asker = await users.current(session.principal.userId);
        const { code, expiresAt } = await loginsAt(authorityOf(session), at).createResetCode(
          userId,
          asker?.isOwner === true,
        );
        return { code, expires_at: new Date(expiresAt).toISOString() };
      },
    ),
    defineCommand("gatehouse/password/reset/cancel", authority, async ({ user_id: userId }, session) => {
      await requireOwnerForOwner(users, userId, session);
      return { cancelled: await authorityOf(session).localLogins.cancelResetCode(userId) };
    }),
  ];
}
