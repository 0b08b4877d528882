import { AuthError } from "../auth/errors.ts";
import type { Command } from "../connection/command.ts";
import { answeredBeforeCut } from "./answered-before-cut.ts";
import { defineCommand } from "./guarded-command.ts";
import type { CommandParts } from "./registry.ts";
import { requireOwnerForOwner } from "./who-may-decide.ts";

/** Second factors: set up and removed by their users, and seen, reset and demanded by administrators. */
export function factorCommands(parts: CommandParts): readonly Command[] {
  return [...ownCommands(parts), ...administratorCommands(parts)];
}

function ownCommands({ authority, authorityOf }: CommandParts): readonly Command[] {
  return [
    defineCommand("auth/setup_mfa", authority, async (message, session) => {
      const { mfa_module_id: factorId, flow_id: flowId, user_input: input = {} } = message;
      const { secondFactors } = authorityOf(session);
      const { principal } = session;
      if (factorId !== undefined && flowId === undefined)
        return await secondFactors.beginSetup(factorId, principal);
      if (flowId !== undefined && factorId === undefined)
        return await secondFactors.advanceSetup(flowId, input, principal);
      throw new AuthError("invalid_format", {
        publicMessage: "Either mfa_module_id or flow_id is required, and not both",
      });
    }),
    defineCommand("auth/depose_mfa", authority, async ({ mfa_module_id: factorId }, session) => {
      await authorityOf(session).secondFactors.remove(factorId, session.principal);
      return "done" as const;
    }),
  ];
}

function administratorCommands({ authority, authorityOf }: CommandParts): readonly Command[] {
  const { users, groups, secondFactors, stepUps } = authority;
  return [
    defineCommand("gatehouse/mfa/list", authority, async ({ user_id: userId }) => {
      if ((await users.current(userId)) === undefined) throw new AuthError("not_found");
      return { modules: [...(await secondFactors.allOf(userId))] };
    }),
    defineCommand("gatehouse/mfa/reset", authority, async (message, session) => {
      const { user_id: userId, mfa_module_id: factorId } = message;
      await requireOwnerForOwner(users, userId, session);
      // The domain asks for more if it is one's own.
      if (userId !== session.principal.userId) await stepUps.require("user_rights", session.principal);
      await authorityOf(session).secondFactors.reset(userId, factorId, session.principal);
      return null;
    }),
    defineCommand("gatehouse/mfa/demands/list", authority, async () => ({
      group_ids: [...(await secondFactors.demandingGroups())],
    })),
    defineCommand("gatehouse/mfa/demands/set", authority, async (message, session) => {
      const { id, group_id: groupId, demanded } = message;
      if ((await groups.get(groupId)) === undefined)
        throw new AuthError("not_found", { publicMessage: "Group not found" });
      await stepUps.require("group_policy", session.principal);
      // It may end the session that asks.
      await answeredBeforeCut({ id, session, cause: "session_revoked" }, () =>
        authorityOf(session).secondFactors.demand(groupId, demanded),
      );
      return null;
    }),
  ];
}
