import type { Command } from "commander";

import type { Authority } from "../auth/authority.ts";

import { type CommandContext, configured, withAuthority } from "./command-context.ts";
import { dropKeys, listKeys, rotateKeys } from "./keys.ts";

export function addKeyCommands(program: Command, context: CommandContext): void {
  const { runAction } = context;
  const keys = program.command("keys").description("signing keys");
  configured(keys.command("list").description("list signing keys")).action((flags) =>
    runAction(flags.json, (output) =>
      withAuthority(flags, context, async (authority) => listKeys(authority, output)),
    ),
  );
  configured(
    keys.command("rotate").description("publish a new key, which signs after verifiers could fetch it"),
  )
    .option("--now", "sign with it at once; verifiers that cached the old keys refuse new tokens for a while")
    .option(
      "--revoke-old",
      "after a leak: sign with it at once and drop all other keys; every gateway refuses the tokens that they signed and closes " +
        "the sockets that came with them (4200); clients refresh, long-lived tokens must be made anew",
    )
    .action((flags) =>
      runAction(flags.json, async (output) => {
        const action = (authority: Authority) =>
          flags.revokeOld === true
            ? dropKeys(authority, output)
            : rotateKeys(authority, flags.now === true, output);
        await withAuthority(flags, context, action, { followLog: flags.revokeOld === true });
      }),
    );
}
