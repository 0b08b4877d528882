import { type Command, InvalidArgumentError } from "commander";

import type { Authority } from "../auth/authority.ts";
import { type CommandContext, configured, type StoreFlags, withAuthority } from "./command-context.ts";
import { groupSpelling } from "./group-names.ts";
import type { Output } from "./output.ts";
import { onOrOff } from "./user-commands.ts";

/** Loaded on demand: schemas of policies are compiled. */
type Groups = typeof import("./groups.ts");

export function addGroupCommands(program: Command, context: CommandContext): void {
  const family = program
    .command("groups")
    .description(
      `groups of users, and what their policies give. <group> is ${groupSpelling}; <user> is a login name, a name or an id`,
    );
  const using = (
    flags: StoreFlags,
    action: (groups: Groups, authority: Authority, output: Output) => Promise<void>,
  ) =>
    context.runAction(flags.json, async (output) => {
      const groups = await import("./groups.ts");
      await withAuthority(flags, context, (authority) => action(groups, authority, output), {
        followLog: true,
      });
    });
  const withVersion = (command: Command) =>
    command.option("--at-version <number>", "the version that you have seen; any by default", versionNumber);

  configured(family.command("list").description("list groups")).action((flags) =>
    using(flags, (groups, authority, output) => groups.listGroups(authority, output)),
  );
  configured(family.command("show <group>").description("show a group, its policy and its members")).action(
    (spelled, flags) =>
      using(flags, (groups, authority, output) => groups.showGroup(authority, spelled, output)),
  );
  configured(family.command("create <name>").description("create a group"))
    .option("--policy-file <file>", "JSON file with its policy; without one it gives nothing")
    .action((name, flags) =>
      using(flags, (groups, authority, output) =>
        groups.createGroup(authority, { name, policyFile: flags.policyFile }, output),
      ),
    );
  withVersion(configured(family.command("update <group>").description("change a group")))
    .option("--name <name>", "another name")
    .option("--policy-file <file>", "JSON file with another policy")
    .action((spelled, flags) =>
      using(flags, (groups, authority, output) => {
        const { name, policyFile, atVersion: version } = flags;
        return groups.updateGroup(authority, { spelled, name, policyFile, version }, output);
      }),
    );
  withVersion(
    configured(family.command("delete <group>").description("delete a group; its members lose what it gave")),
  ).action((spelled, flags) =>
    using(flags, (groups, authority, output) =>
      groups.deleteGroup(authority, { spelled, version: flags.atVersion }, output),
    ),
  );
  configured(
    family
      .command("second-factor <group>")
      .description("say whether members must have a second factor; sessions of those who have none end")
      .argument("<on|off>", "on or off", onOrOff),
  ).action((spelled, isOn, flags) =>
    using(flags, async (_, authority, output) => {
      const { demandFactor } = await import("./factors.ts");
      await demandFactor(authority, spelled, isOn, output);
    }),
  );
  addMemberCommands(family, using);
}

function addMemberCommands(
  family: Command,
  using: (
    flags: StoreFlags,
    action: (groups: Groups, authority: Authority, output: Output) => Promise<void>,
  ) => Promise<void>,
): void {
  configured(family.command("add-member <group> <user>").description("make a user a member")).action(
    (spelled, user, flags) =>
      using(flags, (groups, authority, output) => groups.addMember(authority, { spelled, user }, output)),
  );
  configured(
    family.command("remove-member <group> <user>").description("take a membership away from a user"),
  ).action((spelled, user, flags) =>
    using(flags, (groups, authority, output) => groups.removeMember(authority, { spelled, user }, output)),
  );
}

function versionNumber(text: string): number {
  if (!/^\d{1,16}$/.test(text)) throw new InvalidArgumentError("not a version");
  return Number(text);
}
