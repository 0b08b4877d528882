import type { Command } from "commander";

import { approve, listApprovals, refuse } from "./approvals.ts";
import { type CommandContext, configured, withAuthority } from "./command-context.ts";
import { takingGroups } from "./group-names.ts";

export function addApprovalCommands(program: Command, context: CommandContext): void {
  const { runAction } = context;
  const family = program.command("approvals").description("users who wait for approval");
  configured(family.command("list").description("list users who wait, with the code that they see")).action(
    (flags) =>
      runAction(flags.json, (output) =>
        withAuthority(flags, context, (authority) => listApprovals(authority, output)),
      ),
  );
  takingGroups(
    configured(family.command("approve <user-id>").description("let a user who waits in")),
    "a group of the user, instead of those of the provider",
  ).action((userId, flags) =>
    runAction(flags.json, (output) =>
      withAuthority(flags, context, (authority) =>
        approve(authority, { userId, groups: flags.group }, output),
      ),
    ),
  );
  configured(family.command("refuse <user-id>").description("remove a user who waits")).action(
    (userId, flags) =>
      runAction(flags.json, (output) =>
        withAuthority(flags, context, (authority) => refuse(authority, userId, output)),
      ),
  );
}
