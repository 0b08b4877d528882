import { type Command, InvalidArgumentError } from "commander";

import type { Authority } from "../auth/authority.ts";
import {
  atProvider,
  type CommandContext,
  type StoreFlags,
  takingPassword,
  withAuthority,
} from "./command-context.ts";
import { listFactors, resetFactors } from "./factors.ts";
import { takingGroups } from "./group-names.ts";
import { addImportCommands } from "./import-commands.ts";
import { type Output, UsageError } from "./output.ts";
import { readPassword } from "./password-input.ts";
import { askYesOrNo } from "./terminal-prompt.ts";
import * as users from "./users.ts";

type Using = (
  flags: StoreFlags,
  action: (authority: Authority, output: Output) => Promise<void>,
) => Promise<void>;

interface PasswordFlags extends StoreFlags {
  readonly passwordStdin?: true;
  readonly owner?: true;
  readonly admin?: true;
  readonly group?: readonly string[];
}

export function addUserCommands(program: Command, context: CommandContext): void {
  const family = program.command("users").description("users and their logins");
  const using: Using = (flags, action) =>
    context.runAction(flags.json, (output) =>
      withAuthority(flags, context, (authority) => action(authority, output)),
    );
  atProvider(family.command("list").description("list users")).action((flags) =>
    using(flags, users.listUsers),
  );
  addPasswordCommands(family, context);
  addStandingCommands(family, using);
  addResetCommand(family, using);
  addNameCommands(family, using);
  addRemoval(family, context, using);
  addImportCommands(family, context);
}

/** Commands that set a password. They read it before the store is opened. */
function addPasswordCommands(family: Command, context: CommandContext): void {
  const withPassword = (
    flags: PasswordFlags,
    action: (authority: Authority, output: Output, password: string) => Promise<void>,
  ) =>
    context.runAction(flags.json, async (output) => {
      const chosen = [flags.owner, flags.admin, flags.group].filter((each) => each !== undefined);
      if (chosen.length > 1) throw new UsageError("--owner, --admin and --group exclude each other");
      const piped = flags.passwordStdin === true;
      const password = await readPassword(context.environment, { piped, fresh: true });
      const createIfMissing = flags.owner === true;
      await withAuthority(flags, context, (authority) => action(authority, output, password), {
        createIfMissing,
      });
    });

  takingPassword(
    takingGroups(
      atProvider(
        family
          .command("add <name>")
          .description(
            "add a user with a login. Without --owner, --admin and --group they become a member of users: " +
              "every verb on every entity, and read on every topic",
          ),
      )
        .requiredOption("--username <login>", "login name; capitals and blanks around it do not count")
        .option("--owner", "the owner, once per installation; creates the installation if there is none")
        .option("--admin", "a member of the administrators, the same as --group admin"),
      "a group of the user, instead of users",
    ),
  ).action((name, flags) => {
    const { username, owner = false, admin, group = [] } = flags;
    const groups = admin === true ? ["admin"] : group;
    return withPassword(flags, (authority, output, password) =>
      users.addUser(authority, { name, username, password, owner, groups }, output),
    );
  });
  takingPassword(
    atProvider(family.command("passwd <user>").description("set a password; ends all sessions of the user")),
  ).action((user, flags) =>
    withPassword(flags, (authority, output, password) =>
      users.setPassword(authority, user, password, output),
    ),
  );
  takingPassword(
    atProvider(
      family.command("add-login <user>").description("give a login to a user without one"),
    ).requiredOption("--username <login>", "login name"),
  ).action((user, flags) =>
    withPassword(flags, (authority, output, password) =>
      users.addLogin(authority, user, { username: flags.username, password }, output),
    ),
  );
}

/** Codes with which users set a new password themselves. */
function addResetCommand(family: Command, using: Using): void {
  atProvider(
    family
      .command("reset-code <user>")
      .description("print a code with which a user sets a new password at a login, once, within a day"),
  )
    .option("--cancel", "make the user's code worth nothing instead")
    .action((user, flags) =>
      using(flags, (authority, output) =>
        flags.cancel === true
          ? users.cancelResetCode(authority, user, output)
          : users.createResetCode(authority, user, output),
      ),
    );
}

/** Commands for what a user may do, and from where. */
function addStandingCommands(family: Command, using: Using): void {
  for (const [name, isActive] of [
    ["activate", true],
    ["deactivate", false],
  ] as const) {
    atProvider(
      family.command(`${name} <user>`).description(`${name} a user, by login name, name or id`),
    ).action((user, flags) =>
      using(flags, (authority, output) => users.setActive(authority, user, isActive, output)),
    );
  }
  atProvider(
    family.command("promote <user>").description("make a user an administrator; their other groups stay"),
  ).action((user, flags) => using(flags, (authority, output) => users.promote(authority, user, output)));
  atProvider(
    family
      .command("demote <user>")
      .description(
        "take a user out of the administrators; their other groups stay. Who has none becomes a member of users",
      ),
  )
    .option("--read-only", "make them a member of read-only, instead of admin and users")
    .action((user, flags) =>
      using(flags, (authority, output) => users.demote(authority, user, flags.readOnly === true, output)),
    );
  atProvider(
    family
      .command("local-only <user>")
      .description("let a user in from local addresses only, or from everywhere")
      .argument("<on|off>", "on or off", onOrOff),
  ).action((user, isOn, flags) =>
    using(flags, (authority, output) => users.setLocalOnly(authority, user, isOn, output)),
  );
  atProvider(
    family.command("factors <user>").description("list the second factors that a user has set up"),
  ).action((user, flags) => using(flags, (authority, output) => listFactors(authority, user, output)));
  atProvider(
    family
      .command("reset-factors <user>")
      .description("remove the second factors of a user who has lost them; sessions stay"),
  )
    .option("--factor <id>", "only this one, by its id in auth_mfa_modules")
    .action((user, flags) =>
      using(flags, (authority, output) => resetFactors(authority, user, flags.factor, output)),
    );
}

function addNameCommands(family: Command, using: Using): void {
  atProvider(family.command("rename <user>").description("change a user's name; sessions stay"))
    .option("--name <name>", "the display name")
    .option("--username <login>", "the login name")
    .action((user, flags) =>
      using(flags, (authority, output) => users.renameUser(authority, user, flags, output)),
    );
}

function addRemoval(family: Command, { environment }: CommandContext, using: Using): void {
  const confirming = (flags: { readonly yes?: true }) => {
    const asks = flags.yes !== true && environment.stdin.isTTY;
    return async (question: string) => !asks || (await askYesOrNo(environment, question));
  };
  atProvider(
    family.command("remove-login <user>").description("take a user's login away; its sessions end"),
  ).action((user, flags) => using(flags, (authority, output) => users.removeLogin(authority, user, output)));
  atProvider(family.command("remove <user>").description("remove a user with all logins and sessions"))
    .option("--yes", "do not ask; without a terminal there is no question")
    .action((user, flags) => {
      const confirmed = confirming(flags);
      return using(flags, (authority, output) => users.removeUser(authority, user, confirmed, output));
    });
  atProvider(
    family
      .command("make-owner <user>")
      .description("make a user the owner; the present owner stays a user with the same groups"),
  )
    .option("--yes", "do not ask; without a terminal there is no question")
    .action((user, flags) => {
      const confirmed = confirming(flags);
      return using(flags, (authority, output) => users.transferOwnership(authority, user, confirmed, output));
    });
}

export function onOrOff(text: string): boolean {
  if (text !== "on" && text !== "off") throw new InvalidArgumentError("must be on or off");
  return text === "on";
}
