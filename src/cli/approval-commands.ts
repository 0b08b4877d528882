import type { Command } from "commander";

import { approve, listApprovals, refuse } from "./approvals.ts";
import { type CommandContext, configured, withAuthority } from "./command-context.ts";

export function addApprovalCommands(program: Command, context: CommandContext): void {
  const { runAction } = context;
  const family = program.command("approvals").description("users who wait for approval");
  configured(family.command("list").description("list users who wait, with the code that they see")).action(
    (flags) =>
      runAction(flags.json, (output) =>
        withAuthority(flags, context, (authority) => listApprovals(authority, output)),
      ),
  );
  configured(family.command("approve <user-id>").description("let a user who waits in"))
    .option(
      "--group <id>",
      "a group of the user, instead of those of the provider; may be repeated",
      collected,
    )
    .action((userId, flags) =>
      runAction(flags.json, (output) =>
        withAuthority(flags, context, (authority) =>
          approve(authority, { userId, groupIds: flags.group }, output),
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

function collected(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
