import { createInterface } from "node:readline";
import { Writable } from "node:stream";

import { UsageError } from "./output.ts";

/** More than any password that the server takes; a file piped in by mistake ends here. */
const limitBytes = 8192;

/**
 * The password from standard input: everything up to the first line break. Never an argument. At a terminal it is asked
 * for on standard error, and not echoed. Throws `UsageError`.
 */
export async function readPassword(
  { stdin, stderr }: { readonly stdin: NodeJS.ReadStream; readonly stderr: NodeJS.WritableStream },
  wanted: boolean,
): Promise<string> {
  if (!wanted) throw new UsageError("give the password on standard input, with --password-stdin");
  const password = stdin.isTTY ? await ask(stdin, stderr) : firstLine(await readSome(stdin));
  if (password === "") throw new UsageError("standard input holds no password");
  if (Buffer.byteLength(password) > limitBytes) throw new UsageError("the password is too long");
  return password;
}

/** Up to the first line break, or beyond the limit. */
async function readSome(stdin: NodeJS.ReadStream): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of stdin as AsyncIterable<Buffer>) {
    parts.push(part);
    size += part.length;
    if (part.includes("\n") || size > limitBytes) break;
  }
  return Buffer.concat(parts);
}

/** Bytes that are no UTF-8 would all become the same character, and different passwords one. */
function firstLine(bytes: Buffer): string {
  const end = bytes.indexOf("\n");
  const line = end < 0 ? bytes : bytes.subarray(0, end);
  if (line.length > limitBytes) throw new UsageError("the password is too long");
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(line).replace(/\r$/, "");
  } catch {
    throw new UsageError("the password on standard input is not UTF-8");
  }
}

function ask(stdin: NodeJS.ReadStream, stderr: NodeJS.WritableStream): Promise<string> {
  const mute = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: stdin, output: mute, terminal: true, historySize: 0 });
  stderr.write("Password: ");
  return new Promise<string>((resolve) => {
    lines.once("line", resolve);
    lines.once("close", () => resolve(""));
    lines.once("SIGINT", () => {
      lines.close();
      process.kill(process.pid, "SIGINT");
    });
  }).finally(() => {
    lines.close();
    stderr.write("\n");
  });
}
