import { type Command, Option } from "commander";

import { type CommandContext, configured, withAuthority } from "./command-context.ts";

export function addPermissionCommands(program: Command, context: CommandContext): void {
  const family = program.command("permissions").description("what users and tokens may do");
  configured(
    family.command("explain").description("why a user or a token may do something, or may not: rule by rule"),
  )
    .option("--user <user>", "a user: login name, name or id")
    .option("--session <id>", "a session, whose token may be narrowed")
    .option("--entity <id>", "an entity")
    .option("--topic <topic>", "a topic")
    .option("--command <type>", "a command of the protocol")
    .addOption(
      new Option("--verb <verb>", "what is to be done with it")
        .choices(["read", "control", "edit"] as const)
        .default("read" as const),
    )
    .action((flags) =>
      context.runAction(flags.json, async (output) => {
        const { explainPermission } = await import("./permissions.ts");
        await withAuthority(flags, context, (authority) => explainPermission(authority, flags, output));
      }),
    );
}
