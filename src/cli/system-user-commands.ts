import type { Command } from "commander";

import type { Authority } from "../auth/authority.ts";
import { type CommandContext, configured, type StoreFlags, withAuthority } from "./command-context.ts";
import { takingGroups } from "./group-names.ts";
import type { Output } from "./output.ts";
import * as systemUsers from "./system-users.ts";

export function addSystemUserCommands(program: Command, context: CommandContext): void {
  const family = program
    .command("system-users")
    .description("services that authenticate with a token in a file");
  const using = (flags: StoreFlags, action: (authority: Authority, output: Output) => Promise<void>) =>
    context.runAction(flags.json, (output) =>
      withAuthority(flags, context, (authority) => action(authority, output)),
    );
  const withFile = (command: Command) =>
    configured(command)
      .requiredOption("--token-file <file>", "new file for the token, which only you can read")
      .option("--policy-file <file>", "JSON file with a policy: the token may do nothing else");
  takingGroups(
    withFile(
      family
        .command("add <name>")
        .description("add a system user, in no group without --group, and write its token into a new file"),
    ),
    "a group of the system user",
  )
    .option("--local-only", "may connect from local addresses only")
    .action((name, flags) => {
      const { group: groups = [], localOnly = false, tokenFile: file, policyFile } = flags;
      return using(flags, (authority, output) =>
        systemUsers.addSystemUser(authority, { name, groups, localOnly, file, policyFile }, output),
      );
    });
  withFile(family.command("token <user>").description("write another token of a system user into a new file"))
    .option("--revoke-old", "end its tokens from before")
    .action((user, flags) =>
      using(flags, (authority, output) => {
        const request = {
          user,
          file: flags.tokenFile,
          revokeOld: flags.revokeOld === true,
          policyFile: flags.policyFile,
        };
        return systemUsers.issueSystemToken(authority, request, output);
      }),
    );
  configured(family.command("list").description("list system users")).action((flags) =>
    using(flags, systemUsers.listSystemUsers),
  );
  configured(
    family.command("remove <user>").description("remove a system user, by name or id; its tokens end"),
  ).action((user, flags) =>
    using(flags, (authority, output) => systemUsers.removeSystemUser(authority, user, output)),
  );
}
