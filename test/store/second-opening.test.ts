import { afterEach, beforeEach, expect, it } from "vitest";

import type { RecordKey } from "../../src/auth/store.ts";
import { openEmbeddedStore } from "../../src/store/embedded/embedded-store.ts";
import { startProcess } from "../support/child-process.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";
import { within } from "../support/within.ts";

let folder: TemporaryFolder;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

const one = "kept:1" as RecordKey;

// A process loses its locks on a file once it closes any descriptor of it (POSIX, fcntl). A gateway that then started believed
// that it was alone, and set up lmdb's lock file anew under the command: its reads failed for good, and both could write at once.
it("a gateway that starts while a command has the store open twice shares it", async () => {
  await (await openEmbeddedStore({ folder: folder.path, role: "gateway" })).close();
  const script = new URL("./second-opening-process.ts", import.meta.url);
  const command = startProcess({ script, args: [folder.path] });
  try {
    expect(await command.line(/^opened/)).toBe("opened, holder undefined");
    const gateway = await openEmbeddedStore({ folder: folder.path, role: "gateway" });
    try {
      await gateway.get([one]);
      process.kill(command.pid, "SIGUSR2");
      expect([await within(command.exited, "the end of the command"), command.stderr]).toEqual([0, ""]);
      await gateway.commit({ put: [{ key: one, value: {} }] });
      expect((await gateway.get([one, "kept:2" as RecordKey])).every((found) => found !== undefined)).toBe(
        true,
      );
    } finally {
      await gateway.close();
    }
  } finally {
    command.kill("SIGKILL");
  }
});
