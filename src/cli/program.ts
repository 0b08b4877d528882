import { Command, CommanderError } from "commander";
import { otherVariables } from "../server/config/variables.ts";
import { packageVersion } from "../server/package-version.ts";
import { addApprovalCommands } from "./approval-commands.ts";
import { addClientCommands } from "./client-commands.ts";
import {
  type ActionRunner,
  type CommandContext,
  type CommandEnvironment,
  configured,
  takingPassword,
  wholeNumber,
} from "./command-context.ts";
import { addGroupCommands } from "./group-commands.ts";
import { addKeyCommands } from "./key-commands.ts";
import { createOutput, exitCodes, UsageError } from "./output.ts";
import { readPassword } from "./password-input.ts";
import { addPermissionCommands } from "./permission-commands.ts";
import { addSessionCommands } from "./session-commands.ts";
import { addSystemUserCommands } from "./system-user-commands.ts";
import { askHidden, askLine } from "./terminal-prompt.ts";
import { addThrottleCommands } from "./throttle-commands.ts";
import { addUserCommands } from "./user-commands.ts";

/** Parses `args` (without node and script), runs the command and returns the exit code. Never throws. */
export async function runCommand(args: readonly string[], environment: CommandEnvironment): Promise<number> {
  let exit: number = exitCodes.done;
  const streams = { out: environment.stdout, err: environment.stderr };
  const runAction: ActionRunner = async (json, action) => {
    const output = createOutput(json === true, streams);
    try {
      await action(output);
    } catch (error) {
      exit = output.error(error);
    }
  };
  // If the arguments are invalid, they may still ask for JSON.
  const json = args.includes("--json");
  const program = buildProgram({ environment, runAction }, json);
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

function buildProgram(context: CommandContext, json: boolean): Command {
  const { stdout, stderr } = context.environment;
  const program = new Command("gatehouse")
    .description("WebSocket-first authentication gateway")
    .version(packageVersion())
    .exitOverride()
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      // Help for a call without a command.
      writeErr: (text) => json || stderr.write(text),
      // `runCommand` reports usage errors, as all others.
      outputError: () => undefined,
    });
  addServerCommands(program, context);
  addUserCommands(program, context);
  addApprovalCommands(program, context);
  addGroupCommands(program, context);
  addPermissionCommands(program, context);
  addSessionCommands(program, context);
  addSystemUserCommands(program, context);
  addClientCommands(program, context);
  addThrottleCommands(program, context);
  addKeyCommands(program, context);
  addBackupCommand(program, context);
  addSecretCommand(program, context);
  addLoginCommand(program, context);
  addCallCommand(program, context);
  return program;
}

function listening(command: Command): Command {
  return configured(command)
    .option("--host <address>", "address to listen on")
    .option("--port <number>", "port to listen on; 0 takes a free one", wholeNumber)
    .option("--transport <name>", "ws or uws");
}

function addServerCommands(program: Command, { environment, runAction }: CommandContext): void {
  listening(program.command("serve").description("run the gateway")).action((flags) =>
    runAction(flags.json, async (output) => {
      const { serve } = await import("./serve.ts");
      await serve(flags, environment, output);
    }),
  );
  listening(program.command("check").description("validate and print the effective configuration, as a file"))
    .option("--guarantee", "ask the store how it is set up, and print how soon a revocation takes effect")
    .action((flags) =>
      runAction(flags.json, async (output) => {
        const { check } = await import("./check.ts");
        await check(flags, environment, output);
      }),
    );
}

function addBackupCommand(program: Command, { environment, runAction }: CommandContext): void {
  configured(
    program
      .command("backup <file>")
      .description("copy the embedded store to a new file, also while the gateway runs; without its secret"),
  ).action((file, flags) =>
    runAction(flags.json, async (output) => {
      const { backup } = await import("./backup.ts");
      await backup(file, flags, environment, output);
    }),
  );
}

function addSecretCommand(program: Command, { environment, runAction }: CommandContext): void {
  const secret = program.command("secret").description("the installation's secret");
  configured(
    secret
      .command("rotate")
      .description(
        "seal the store with a new secret and a new signing key, while no gateway runs; ends all sessions",
      ),
  )
    .option(
      "--new-secret-file <file>",
      "take the new secret from this file, and leave the old one where it is",
    )
    .option("--yes", "do not ask; without a terminal there is no question")
    .action((flags) =>
      runAction(flags.json, async (output) => {
        const { rotate } = await import("./secret.ts");
        await rotate(flags, environment, output);
      }),
    );
}

function addLoginCommand(program: Command, { environment, runAction }: CommandContext): void {
  takingPassword(
    program
      .command("login <url>")
      .description("log in on a socket of the gateway at <url> and print the tokens")
      .option("--username <login>", "login name")
      .option("--type <type>", "type of the provider", "homeassistant")
      .option("--browser", "log in at an OpenID provider, in a browser"),
  )
    .option("--client-id <url>", "OAuth client id of the session")
    .option("--provider <id>", "id of the provider, where it has one")
    .option("--msgpack", "speak msgpack instead of JSON")
    .option("--json", "one line of JSON instead of text")
    .action((url, flags) =>
      runAction(flags.json, async (output) => {
        const { username, browser, clientId, provider, type, msgpack = false, passwordStdin = false } = flags;
        if ((username === undefined) === (browser !== true))
          throw new UsageError("give one of --username and --browser");
        const by =
          username === undefined
            ? ("browser" as const)
            : { username, password: await readPassword(environment, { piped: passwordStdin, fresh: false }) };
        const { login } = await import("./login.ts");
        const handler = [browser === true ? "oidc" : type, provider ?? null] as const;
        const ask = environment.stdin.isTTY
          ? (question: string) => askHidden(environment, question)
          : undefined;
        await login({ url, by, clientId, handler, msgpack, ask }, output);
      }),
    );
}

function addCallCommand(program: Command, { environment, runAction }: CommandContext): void {
  program
    .command("call <url> <type> [fields]")
    .description(
      `send one command of the protocol to the gateway at <url>, with the access token in ${otherVariables.accessToken}; asks for a login if the command needs a recent one`,
    )
    .option("--username <login>", "login name, if the command asks for a login")
    .option("--json", "one line of JSON instead of text")
    .action((url, type, fields, flags) =>
      runAction(flags.json, async (output) => {
        const { call } = await import("./call.ts");
        const accessToken = environment.env[otherVariables.accessToken];
        const { isTTY } = environment.stdin;
        const ask = isTTY ? (question: string) => askHidden(environment, question) : undefined;
        const askOpenly = isTTY ? (question: string) => askLine(environment, question) : undefined;
        const { username } = flags;
        await call({ url, type, fields, accessToken, username, ask, askOpenly }, output);
      }),
    );
}
