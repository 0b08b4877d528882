import { type Command, InvalidArgumentError } from "commander";

import { type CommandContext, configured, wholeNumber, withAuthority } from "./command-context.ts";
import { issueToken, listSessions, revoke, revokeAndWait, revokeTarget } from "./sessions.ts";

export function addSessionCommands(program: Command, context: CommandContext): void {
  const { runAction } = context;
  configured(program.command("tokens").description("long-lived access tokens").command("issue"))
    .description("issue a long-lived access token and print it")
    .requiredOption("--user <user>", "login name, name or id")
    .requiredOption("--name <name>", "what the token is for; unique per user")
    .option("--days <days>", "days until it ends, 1 to 3650", lifeInDays, 365)
    .option("--policy-file <file>", "JSON file with a policy: the token may do nothing else")
    .action((flags) =>
      runAction(flags.json, (output) =>
        withAuthority(flags, context, (authority) => issueToken(authority, flags, output)),
      ),
    );
  configured(program.command("sessions").description("sessions").command("list"))
    .description("list live sessions")
    .option("--user <user>", "of one user")
    .action((flags) =>
      runAction(flags.json, (output) =>
        withAuthority(flags, context, (authority) => listSessions(authority, flags.user, output)),
      ),
    );
  configured(program.command("revoke"))
    .description("end one session, all sessions of a user or a client, or all there are")
    .option("--user <user>", "login name, name or id")
    .option("--session <id>", "session id")
    .option("--client <id>", "OAuth client id, for all users")
    .option("--all", "every session of the installation")
    .option("--wait", "print progress, line by line, until every gateway has applied it; 60 s at most")
    .action((flags) =>
      runAction(flags.json, async (output) => {
        const target = revokeTarget(flags);
        const action = flags.wait === true ? revokeAndWait : revoke;
        await withAuthority(flags, context, (authority) => action(authority, target, output), {
          followLog: true,
        });
      }),
    );
}

function lifeInDays(text: string): number {
  const days = wholeNumber(text);
  if (days < 1 || days > 3650) throw new InvalidArgumentError("not from 1 to 3650");
  return days;
}
