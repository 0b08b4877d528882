import { expect, it } from "vitest";

import { startProcess } from "../support/child-process.ts";
import { serve } from "../support/command-line.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { within } from "../support/within.ts";

it("a gateway ends although another process was stopped while it held the store's write lock", async () => {
  const folder = temporaryFolder();
  const gateway = await serve(["--data", folder.path]);
  const script = new URL("./stopped-writer-process.ts", import.meta.url);
  const writer = startProcess({ script, args: [folder.path] });
  try {
    await writer.line(/^writing/);
    const ended = gateway.kill("SIGTERM");
    expect(await within(ended, "the end of the gateway", 60_000)).toBe("SIGTERM");
  } finally {
    for (const signal of ["SIGCONT", "SIGKILL"] as const) writer.kill(signal);
    await gateway.kill("SIGKILL");
    folder.remove();
  }
});
