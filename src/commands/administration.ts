import { AuthError } from "../auth/errors.ts";
import type { Command } from "../connection/command.ts";
import { limitsOf } from "./delegates.ts";
import { defineCommand } from "./guarded-command.ts";
import { pageRequestOf } from "./page-request.ts";
import { sessionInfoOf } from "./refresh-tokens.ts";
import type { CommandParts } from "./registry.ts";
import { requireOwnerForOwner } from "./who-may-decide.ts";

/** What administrators see of other people, and the change of the owner. `gatehouse/revoke` ends sessions. */
export function administrationCommands(parts: CommandParts): readonly Command[] {
  const { authority } = parts;
  const { users, sessions } = authority;
  return [
    defineCommand("gatehouse/users/sessions", authority, async (message, session) => {
      const { user_id: userId } = message;
      await requireOwnerForOwner(users, userId, session);
      const found = await users.read(userId);
      if (found === undefined) throw new AuthError("not_found", { publicMessage: "User not found" });
      (await limitsOf(authority, session, "gatehouse/users/sessions")).requireBelow(found.user);
      const page = await sessions.listPage(userId, pageRequestOf(message));
      const { sessionId } = session.principal;
      return {
        sessions: page.sessions.map((each) => sessionInfoOf(each, sessionId)),
        cursor: page.next ?? null,
      };
    }),
    defineCommand("gatehouse/owner/transfer", authority, async ({ user_id }, session) => {
      await parts.authorityOf(session).ownership.transfer(user_id, session.principal);
      return null;
    }),
  ];
}
