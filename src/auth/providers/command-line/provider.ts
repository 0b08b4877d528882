import { AuthError } from "../../errors.ts";
import type { Credentials } from "../../users/credentials.ts";
import { BoundedTries, queuePlaceOf } from "../bounded-tries.ts";
import { evenRefusal } from "../even-refusal.ts";
import { passwordLogin, refusedPassword } from "../password-form.ts";
import type { LoginProvider, NewUsers, ProviderContext, ProviderStep } from "../provider.ts";
import { shownName } from "../provider-type.ts";
import { readMetaLines } from "./meta-lines.ts";
import { runCommand } from "./run-command.ts";

export const commandLineType = "command_line";

export interface CommandLineOptions {
  readonly id: string | null;
  readonly name?: string | undefined;
  /** An absolute path. */
  readonly command: string;
  readonly args: readonly string[];
  /** Whether the command's output tells name, group and `local_only`. */
  readonly meta: boolean;
  readonly timeoutMs: number;
  /** How many commands run at once. */
  readonly concurrent: number;
  readonly newUsers: NewUsers;
  readonly credentials: Pick<Credentials, "find">;
}

/**
 * Asks a program, as Home Assistant's `command_line` does: it gets the variables `username` and `password` and no
 * other, and its exit code 0 lets the person in. Any other exit code and a signal are a wrong password. A command
 * that cannot be started, is too slow or writes too much is `unavailable`, and the log says why: nobody knows then
 * whether the password was right.
 */
export function createCommandLineProvider(options: CommandLineOptions): LoginProvider {
  const tries = new BoundedTries(options.concurrent);
  return {
    type: commandLineType,
    id: options.id,
    name: shownName("Command Line Authentication", options),
    supportsMfa: true,
    newUsers: options.newUsers,
    ...passwordLogin(async ({ username: subject, password }, context) => {
      if (subject === "" || !isEnvironmentText(subject) || !isEnvironmentText(password))
        return refusedPassword;
      return await askCommand(options, tries, { subject, password }, context);
    }),
  };
}

/** A variable ends at a NUL. A lone surrogate would reach the command as another character. */
function isEnvironmentText(text: string): boolean {
  return !text.includes("\0") && !/\p{Surrogate}/u.test(text);
}

async function askCommand(
  options: CommandLineOptions,
  tries: BoundedTries,
  { subject, password }: { readonly subject: string; readonly password: string },
  context: ProviderContext,
): Promise<ProviderStep> {
  const leave = await tries.enter(queuePlaceOf(subject, context));
  const startedAt = performance.now();
  const { outcome, gone } = runCommand({
    command: options.command,
    args: options.args,
    env: { username: subject, password },
    timeoutMs: options.timeoutMs,
    readsOutput: options.meta,
  });
  void gone.then(leave);
  const [answer, linked] = await Promise.all([
    outcome,
    // For the audit log only: the answer does not depend on it.
    options.credentials.find(commandLineType, options.id, subject).catch(() => undefined),
  ]);
  if (answer.kind === "failed") throw commandFailed(options, answer.reason);
  const who = linked === undefined ? {} : { userId: linked.credential.userId };
  if (!answer.succeeded) return await evenRefusal(startedAt, { ...refusedPassword, ...who });
  const profile = options.meta ? readMetaLines(answer.output) : undefined;
  return { kind: "done", subject, amr: ["pwd"], profile, evidence: [], ...who };
}

function commandFailed({ command, id }: CommandLineOptions, reason: string): AuthError {
  const provider = id === null ? commandLineType : `${commandLineType} ${id}`;
  return new AuthError("unavailable", {
    detail: `the command of the provider ${provider}, ${command}: ${reason}`,
    retryAfterSeconds: 5,
  });
}
