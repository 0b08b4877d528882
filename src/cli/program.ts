import { Command, CommanderError, InvalidArgumentError } from "commander";

import type { Authority } from "../auth/authority.ts";
import { packageVersion } from "../server/package-version.ts";
import { listKeys, rotateKeys } from "./keys.ts";
import { createOutput, exitCodes, type Output, UsageError } from "./output.ts";
import { readPassword } from "./password-input.ts";
import { issueToken, listSessions, revoke, revokeAndWait, revokeTarget } from "./sessions.ts";
import { addUser, listUsers, removeUser, setActive, setPassword } from "./users.ts";

/** Where the command runs; tests hand in their own. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
}

export interface StoreFlags {
  readonly config?: string;
  readonly data?: string;
  readonly store?: string;
  readonly json?: boolean;
}

type Action = (output: Output) => void | Promise<void>;

/** Parses `args` (without node and script), runs the command and returns the exit code. Never throws. */
export async function runCommand(args: readonly string[], surroundings: Surroundings): Promise<number> {
  let exit: number = exitCodes.done;
  const streams = { out: surroundings.stdout, err: surroundings.stderr };
  const perform = async (json: boolean | undefined, action: Action): Promise<void> => {
    const output = createOutput(json === true, streams);
    try {
      await action(output);
    } catch (error) {
      exit = output.error(error);
    }
  };
  // A call that was not understood may still have said in which form it wants its answers.
  const json = args.includes("--json");
  const program = buildProgram(surroundings, perform, json);
  try {
    await program.parseAsync([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return exitCodes.done;
    return createOutput(json, streams).error(usageOf(error));
  }
  return exit;
}

function usageOf({ code, message }: CommanderError): UsageError {
  const reason = code === "commander.help" ? "a command is missing" : message.replace(/^error: /, "");
  return new UsageError(`${reason.replaceAll(/\s*\n\s*/g, " ")}; --help shows the usage`);
}

type Perform = (json: boolean | undefined, action: Action) => Promise<void>;

function buildProgram(surroundings: Surroundings, perform: Perform, json: boolean): Command {
  const program = new Command("gatehouse")
    .description("WebSocket-first authentication gateway")
    .version(packageVersion())
    .exitOverride()
    .configureOutput({
      writeOut: (text) => surroundings.stdout.write(text),
      // The help of a call without a command.
      writeErr: (text) => json || surroundings.stderr.write(text),
      // Mistakes are reported by `runCommand`, like all others.
      outputError: () => undefined,
    });
  addServer(program, surroundings, perform);
  addUsers(program, surroundings, perform);
  addSessions(program, surroundings, perform);
  addKeys(program, surroundings, perform);
  addLogin(program, surroundings, perform);
  return program;
}

/** Loaded when a command needs it: the store and the domain are most of what there is to load. */
async function withAuthority<T>(
  flags: StoreFlags,
  surroundings: Surroundings,
  action: (authority: Authority) => Promise<T>,
  watching = false,
): Promise<T> {
  const administration = await import("./administration.ts");
  return await administration.withAuthority(flags, surroundings, action, watching);
}

/** Flags that every command has which needs a configuration. */
function configured(command: Command): Command {
  return command
    .option("--config <file>", "configuration file (YAML); default ./gatehouse.yaml when it exists")
    .option("--data <folder>", "folder of the embedded store and the installation's secret")
    .option(
      "--store <url>",
      "Redis instead of the embedded store: redis://, redis+sentinel://, redis+cluster://",
    )
    .option("--json", "one line of JSON instead of text");
}

function listening(command: Command): Command {
  return configured(command)
    .option("--host <address>", "address to listen on")
    .option("--port <number>", "port to listen on; 0 takes a free one", wholeNumber)
    .option("--transport <name>", "ws or uws");
}

function addServer(program: Command, surroundings: Surroundings, perform: Perform): void {
  listening(program.command("serve").description("run the gateway")).action((flags) =>
    perform(flags.json, async (output) => {
      const { serve } = await import("./serve.ts");
      await serve(flags, surroundings, output);
    }),
  );
  listening(program.command("check").description("validate and print the effective configuration"))
    .option("--guarantee", "ask the store how it is set up, and print how soon a revocation is in effect")
    .action((flags) =>
      perform(flags.json, async (output) => {
        const { check } = await import("./check.ts");
        await check(flags, surroundings, output);
      }),
    );
}

function addUsers(program: Command, surroundings: Surroundings, perform: Perform): void {
  const users = program.command("users").description("users and their logins");
  const using = (flags: StoreFlags, action: (authority: Authority, output: Output) => Promise<void>) =>
    perform(flags.json, (output) =>
      withAuthority(flags, surroundings, (authority) => action(authority, output)),
    );

  /** What can be wrong with the call is found before the store is opened, or made. */
  const withPassword = (
    flags: StoreFlags & { readonly passwordStdin?: true; readonly owner?: true; readonly admin?: true },
    action: (authority: Authority, output: Output, password: string) => Promise<void>,
  ) =>
    perform(flags.json, async (output) => {
      if (flags.owner && flags.admin) throw new UsageError("--owner and --admin exclude each other");
      const password = await readPassword(surroundings, flags.passwordStdin === true);
      await withAuthority(flags, surroundings, (authority) => action(authority, output, password));
    });

  configured(users.command("add <name>").description("add a user with a login"))
    .requiredOption("--username <login>", "login name, in lower case")
    .option("--owner", "the owner; once per installation")
    .option("--admin", "a member of the administrators")
    .option("--password-stdin", "read the password from standard input; at a terminal it is asked for")
    .action((name, flags) => {
      const { username, owner = false, admin = false } = flags;
      return withPassword(flags, (authority, output, password) =>
        addUser(authority, { name, username, password, owner, admin }, output),
      );
    });
  configured(users.command("list").description("list users")).action((flags) => using(flags, listUsers));
  for (const [name, isActive] of [
    ["activate", true],
    ["deactivate", false],
  ] as const) {
    configured(users.command(`${name} <user>`).description(`${name} a user, by login name or id`)).action(
      (user, flags) => using(flags, (authority, output) => setActive(authority, user, isActive, output)),
    );
  }
  configured(users.command("remove <user>").description("remove a user with all logins and sessions")).action(
    (user, flags) => using(flags, (authority, output) => removeUser(authority, user, output)),
  );
  configured(users.command("passwd <user>").description("set a password; ends all sessions of the user"))
    .option("--password-stdin", "read the password from standard input; at a terminal it is asked for")
    .action((user, flags) =>
      withPassword(flags, (authority, output, password) => setPassword(authority, user, password, output)),
    );
}

function addSessions(program: Command, surroundings: Surroundings, perform: Perform): void {
  const using = (flags: StoreFlags, action: (authority: Authority, output: Output) => Promise<void>) =>
    perform(flags.json, (output) =>
      withAuthority(flags, surroundings, (authority) => action(authority, output)),
    );

  configured(program.command("tokens").description("long-lived access tokens").command("issue"))
    .description("issue a long-lived access token and print it")
    .requiredOption("--user <user>", "login name or id")
    .requiredOption("--name <name>", "what the token is for; unique per user")
    .option("--days <days>", "days until it ends, 1 to 3650", lifeInDays, 365)
    .action((flags) => using(flags, (authority, output) => issueToken(authority, flags, output)));
  configured(program.command("sessions").description("sessions").command("list"))
    .description("list live sessions")
    .option("--user <user>", "of one user")
    .action((flags) => using(flags, (authority, output) => listSessions(authority, flags.user, output)));
  configured(program.command("revoke"))
    .description("end one session, or all of a user, of a client, or that there are")
    .option("--user <user>", "login name or id")
    .option("--session <id>", "session id")
    .option("--client <id>", "OAuth client id, for all users")
    .option("--all", "every session of the installation")
    .option("--wait", "show, line by line, until no gateway serves them any more; 60 s at most")
    .action((flags) =>
      perform(flags.json, async (output) => {
        const target = revokeTarget(flags);
        const action = flags.wait === true ? revokeAndWait : revoke;
        const watching = flags.wait === true;
        await withAuthority(flags, surroundings, (authority) => action(authority, target, output), watching);
      }),
    );
}

function addKeys(program: Command, surroundings: Surroundings, perform: Perform): void {
  const keys = program.command("keys").description("signing keys");
  configured(keys.command("list").description("list signing keys")).action((flags) =>
    perform(flags.json, (output) =>
      withAuthority(flags, surroundings, async (authority) => listKeys(authority, output)),
    ),
  );
  configured(
    keys.command("rotate").description("publish a new key, which signs after verifiers could fetch it"),
  )
    .option("--now", "sign with it at once; whoever cached the old keys refuses new tokens for a while")
    .action((flags) =>
      perform(flags.json, (output) =>
        withAuthority(flags, surroundings, (authority) => rotateKeys(authority, flags.now === true, output)),
      ),
    );
}

function addLogin(program: Command, surroundings: Surroundings, perform: Perform): void {
  program
    .command("login <url>")
    .description("log in on a socket of the gateway at <url> and print the tokens")
    .requiredOption("--username <login>", "login name")
    .option("--password-stdin", "read the password from standard input; at a terminal it is asked for")
    .option("--client-id <url>", "OAuth client id of the session")
    .option("--msgpack", "speak msgpack instead of JSON")
    .option("--json", "one line of JSON instead of text")
    .action((url, flags) =>
      perform(flags.json, async (output) => {
        const password = await readPassword(surroundings, flags.passwordStdin === true);
        const { username, clientId, msgpack = false } = flags;
        const { login } = await import("./login.ts");
        await login({ url, username, password, clientId, msgpack }, output);
      }),
    );
}

function lifeInDays(text: string): number {
  const days = wholeNumber(text);
  if (days < 1 || days > 3650) throw new InvalidArgumentError("not from 1 to 3650");
  return days;
}

function wholeNumber(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError("not a whole number");
  return Number(text);
}
