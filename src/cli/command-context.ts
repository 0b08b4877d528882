import { type Command, InvalidArgumentError } from "commander";

import type { Authority } from "../auth/authority.ts";
import type { StoreAccess } from "./administration.ts";
import type { Output } from "./output.ts";

/** Streams, environment and folder that the command runs in; tests pass their own. */
export interface CommandEnvironment {
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
  /** See `atProvider`. */
  readonly provider?: string;
}

/** Runs a command's action, reports its error and keeps the exit code. */
export type ActionRunner = (
  json: boolean | undefined,
  action: (output: Output) => void | Promise<void>,
) => Promise<void>;

/** What the command families are built with. */
export interface CommandContext {
  readonly environment: CommandEnvironment;
  readonly runAction: ActionRunner;
}

/** Loaded on demand: the store and the domain are most of the code to load. */
export async function withAuthority<T>(
  flags: StoreFlags,
  { environment }: CommandContext,
  action: (authority: Authority) => Promise<T>,
  access: StoreAccess = {},
): Promise<T> {
  const administration = await import("./administration.ts");
  return await administration.withAuthority(flags, environment, action, access);
}

/** Adds the flags of every command that needs a configuration. */
export function configured(command: Command): Command {
  return command
    .option("--config <file>", "configuration file (YAML); default ./gatehouse.yaml if it exists")
    .option("--data <folder>", "folder of the embedded store and the installation's secret")
    .option(
      "--store <url>",
      "Redis instead of the embedded store: redis://, redis+sentinel://, redis+cluster://",
    )
    .option("--json", "one line of JSON instead of text");
}

/** The same, for what manages logins. */
export function atProvider(command: Command): Command {
  return configured(command).option(
    "--provider <id>",
    "the homeassistant provider with this id whose logins are meant; the first one by default",
  );
}

export function takingPassword(command: Command): Command {
  return command.option(
    "--password-stdin",
    "read the password from standard input; at a terminal it is asked for",
  );
}

/** Parses the value of a flag. Throws `InvalidArgumentError`. */
export function wholeNumber(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError("not a whole number");
  return Number(text);
}
