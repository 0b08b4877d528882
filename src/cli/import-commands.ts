import { type Command, Option } from "commander";

import { atProvider, type CommandContext, configured, withAuthority } from "./command-context.ts";
import { takingGroups } from "./group-names.ts";

/** Adds what moves users from another program here. */
export function addImportCommands(family: Command, context: CommandContext): void {
  const { runAction } = context;
  takingGroups(
    atProvider(
      family
        .command("import <file>")
        .description(
          "create users with the password hashes of another program: a JSON or CSV file, or a configuration folder of " +
            "Home Assistant. All of them, or with a problem none",
        ),
    )
      .addOption(
        new Option("--format <format>", "the name and the content say which by default").choices(formats),
      )
      .option("--dry-run", "check everything, and write nothing")
      .option(
        "--skip-existing",
        "leave out users whose id or login name is here already: after an import that failed midway",
      ),
    "a group of users for whom the file names none, instead of users",
  ).action((file, flags) =>
    runAction(flags.json, async (output) => {
      const { readImport } = await import("./import/import-file.ts");
      const { importUsers } = await import("./import-users.ts");
      const read = readImport(file, flags.format);
      const dryRun = flags.dryRun === true;
      const mayCreate = read.users.some(({ isOwner }) => isOwner === true);
      const onMissing = () => output.notice("There is no installation yet: the import creates it.");
      const request = { groups: flags.group ?? [], dryRun, skipExisting: flags.skipExisting === true };
      await withAuthority(flags, context, (authority) => importUsers(authority, read, request, output), {
        createIfMissing: mayCreate && !dryRun,
        onMissing: mayCreate && dryRun ? onMissing : undefined,
      });
    }),
  );
  configured(
    family
      .command("imported")
      .description("list users whose password is still the hash of another program, or remove such hashes")
      .option(
        "--remove [user]",
        "remove the hash of this user, or all of them: these users need a new password",
      )
      .option("--provider <id>", "only those of the homeassistant provider with this id"),
  ).action((flags) =>
    runAction(flags.json, async (output) => {
      const { dropImported, listImported } = await import("./import-users.ts");
      const { remove, provider } = flags;
      await withAuthority(flags, context, (authority) =>
        remove === undefined
          ? listImported(authority, provider, output)
          : dropImported(authority, { user: remove === true ? undefined : remove, provider }, output),
      );
    }),
  );
}

const formats = ["json", "csv", "home-assistant"] as const;
