import { createInterface } from "node:readline";
import { Writable } from "node:stream";

/** An interactive terminal. Questions go to standard error, so that standard output can be redirected. */
export interface Terminal {
  readonly stdin: NodeJS.ReadStream;
  readonly stderr: NodeJS.WritableStream;
}

/** Reads one line without echo; empty if the input ends. Ctrl-C ends the process, as anywhere else. */
export async function askHidden({ stdin, stderr }: Terminal, question: string): Promise<string> {
  const mute = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: stdin, output: mute, terminal: true, historySize: 0 });
  // Only now: the terminal no longer echoes.
  stderr.write(question);
  return await nextLine(lines).finally(() => stderr.write("\n"));
}

/** The same with echo, for what is no secret. */
export async function askLine({ stdin, stderr }: Terminal, question: string): Promise<string> {
  const lines = createInterface({ input: stdin, output: stderr, terminal: true, historySize: 0 });
  lines.setPrompt(question);
  lines.prompt();
  return (await nextLine(lines)).trim();
}

/** True for `y` or `yes`, otherwise false. */
export async function askYesOrNo({ stdin, stderr }: Terminal, question: string): Promise<boolean> {
  const lines = createInterface({ input: stdin, output: stderr, terminal: true, historySize: 0 });
  lines.setPrompt(`${question} [y/N] `);
  lines.prompt();
  return /^y(es)?$/i.test((await nextLine(lines)).trim());
}

function nextLine(lines: ReturnType<typeof createInterface>): Promise<string> {
  return new Promise<string>((resolve) => {
    lines.once("line", resolve);
    lines.once("close", () => resolve(""));
    lines.once("SIGINT", () => {
      lines.close();
      process.kill(process.pid, "SIGINT");
    });
  }).finally(() => lines.close());
}
