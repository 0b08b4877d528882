import type { Command } from "commander";

import { type CommandContext, configured, withAuthority } from "./command-context.ts";
import { liftThrottles, listThrottles } from "./throttles.ts";

export function addThrottleCommands(program: Command, context: CommandContext): void {
  const { runAction } = context;
  const family = program.command("throttles").description("tries at passwords that have to wait");
  configured(
    family.command("list").description("list accounts, addresses and devices with too many tries"),
  ).action((flags) =>
    runAction(flags.json, (output) =>
      withAuthority(flags, context, (authority) => listThrottles(authority, output)),
    ),
  );
  configured(family.command("lift <id...>").description("let them try again at once")).action((ids, flags) =>
    runAction(flags.json, (output) =>
      withAuthority(flags, context, (authority) => liftThrottles(authority, ids, output)),
    ),
  );
}
