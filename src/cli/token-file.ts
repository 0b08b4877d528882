import { type FileHandle, open, rm } from "node:fs/promises";

import { UsageError } from "./output.ts";

/**
 * Writes what `make` returns into a new file that only its owner can read. The file is made before `make` is called, so
 * that no token is lost because of a wrong path. It is removed if `make` fails. If the text cannot be written, `undo` is
 * called. Throws `UsageError` if the file exists, or cannot be made.
 */
export async function writeTokenFile<Made>(
  file: string,
  make: () => Promise<Made>,
  { textOf, undo }: { textOf: (made: Made) => string; undo: (made: Made) => Promise<void> },
): Promise<Made> {
  const handle = await createFile(file);
  let made: Made | undefined;
  try {
    made = await make();
    await handle.writeFile(textOf(made));
    await handle.sync();
    return made;
  } catch (error) {
    await rm(file, { force: true }).catch(() => undefined);
    if (made !== undefined) await undo(made);
    throw error;
  } finally {
    await handle.close();
  }
}

async function createFile(file: string): Promise<FileHandle> {
  try {
    return await open(file, "wx", 0o600);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    throw new UsageError(
      code === "EEXIST" ? `${file} exists: give another file` : `${file} cannot be made (${String(code)})`,
    );
  }
}
