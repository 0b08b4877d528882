import { PassThrough } from "node:stream";

import { runCommand } from "../../src/cli/program.ts";

const cheap = { GATEHOUSE_PASSWORD_SCRYPT_N: "1024", GATEHOUSE_PASSWORD_WORKERS: "1" };

/** One command in this process, with cheap passwords; `input` is piped into it. */
export async function command(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  input: string | Uint8Array = "correct horse battery\n",
) {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  stdin.end(input);
  const code = await runCommand(args, {
    env: { ...cheap, ...env },
    stdout,
    stderr,
    stdin: stdin as unknown as NodeJS.ReadStream,
  });
  return { code, stdout: String(stdout.read() ?? ""), stderr: String(stderr.read() ?? "") };
}
