import { createInterface } from "node:readline";
import { Writable } from "node:stream";

/** The terminal that a person sits at. Questions go to standard error, so that an answer can be redirected. */
export interface Terminal {
  readonly stdin: NodeJS.ReadStream;
  readonly stderr: NodeJS.WritableStream;
}

/** One line that is not shown; empty when the input ends. Ctrl-C ends the process, as anywhere else. */
export async function askHidden({ stdin, stderr }: Terminal, question: string): Promise<string> {
  const mute = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: stdin, output: mute, terminal: true, historySize: 0 });
  // Only now, when the terminal shows nothing that is typed any more.
  stderr.write(question);
  return await nextLine(lines).finally(() => stderr.write("\n"));
}

/** True for `y` or `yes`; anything else is a no. */
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
