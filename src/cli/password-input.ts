import { UsageError } from "./output.ts";

/** More than any password that the server takes; a file piped in by mistake ends here. */
const LIMIT = 8192;

/** The password from standard input: everything up to the first line break. Never an argument, never echoed. */
export async function readPassword(stdin: NodeJS.ReadStream, wanted: boolean): Promise<string> {
  if (!wanted) throw new UsageError("give the password on standard input, with --password-stdin");
  let text = "";
  stdin.setEncoding("utf8");
  for await (const chunk of stdin) {
    text += chunk;
    if (text.includes("\n") || text.length > LIMIT) break;
  }
  const password = text.split(/\r?\n/, 1)[0] ?? "";
  if (password === "") throw new UsageError("standard input holds no password");
  if (password.length > LIMIT) throw new UsageError("the password is too long");
  return password;
}
