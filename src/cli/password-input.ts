import { UsageError } from "./output.ts";
import { askHidden, type Terminal } from "./terminal-prompt.ts";

/** More than the longest password that the server takes. It bounds a file that was piped in by mistake. */
const limitBytes = 8192;

/**
 * Reads the password; it is never an argument. At a terminal it is asked for without echo, and a `fresh` one twice.
 * Otherwise it is standard input up to the first line break, which the flag `piped` must announce. Throws `UsageError`.
 */
export async function readPassword(
  terminal: Terminal,
  { piped, fresh }: { readonly piped: boolean; readonly fresh: boolean },
): Promise<string> {
  const { stdin } = terminal;
  if (!stdin.isTTY && !piped)
    throw new UsageError("give the password on standard input, with --password-stdin");
  const password = stdin.isTTY ? await typed(terminal, fresh) : firstLine(await readSome(stdin));
  if (password === "")
    throw new UsageError(stdin.isTTY ? "no password was entered" : "standard input holds no password");
  if (Buffer.byteLength(password) > limitBytes) throw new UsageError("the password is too long");
  return password;
}

async function typed(terminal: Terminal, fresh: boolean): Promise<string> {
  const password = await askHidden(terminal, fresh ? "New password: " : "Password: ");
  if (!fresh || password === "") return password;
  if ((await askHidden(terminal, "Repeat password: ")) !== password)
    throw new UsageError("the two passwords differ");
  return password;
}

/** Reads up to the first line break, or past the limit. */
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

/** Bytes that are not UTF-8 would all become the same character, so different passwords would be equal. */
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
