import { AuthError } from "../auth/errors.ts";
import type { Command } from "../connection/command.ts";
import { defineCommand } from "./guarded-command.ts";
import { requireOwnerForOwner } from "./owner-only.ts";
import { pageRequestOf } from "./page-request.ts";
import { sessionInfoOf } from "./refresh-tokens.ts";
import type { CommandParts } from "./registry.ts";

/** What administrators see of other people, and the change of the owner. `gatehouse/revoke` ends sessions. */
export function administrationCommands(parts: CommandParts): readonly Command[] {
  const { users, sessions } = parts.authority;
  return [
    defineCommand("gatehouse/users/sessions", users, async (message, session) => {
      const { user_id: userId } = message;
      await requireOwnerForOwner(users, userId, session);
      if ((await users.read(userId)) === undefined)
        throw new AuthError("not_found", { publicMessage: "User not found" });
      const page = await sessions.listPage(userId, pageRequestOf(message));
      const { sessionId } = session.principal;
      return {
        sessions: page.sessions.map((each) => sessionInfoOf(each, sessionId)),
        cursor: page.next ?? null,
      };
    }),
    defineCommand("gatehouse/owner/transfer", users, async ({ user_id }, session) => {
      await parts.authorityOf(session).ownership.transfer(user_id, session.principal);
      return null;
    }),
  ];
}
