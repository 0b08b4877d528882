import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";

const model = fileURLToPath(new URL("./revocation.pml", import.meta.url));

let folder: TemporaryFolder;
beforeAll(() => {
  folder = temporaryFolder();
});
afterAll(() => folder.remove());

interface Verdict {
  readonly errors: number;
  readonly violated: string | undefined;
  readonly states: number;
}

/** Explores every state that the model can reach. */
function explore(...settings: readonly string[]): Verdict {
  const run = (command: string, args: readonly string[]) =>
    execFileSync(command, args, { cwd: folder.path, encoding: "utf8", timeout: 60_000 });
  run("spin", ["-a", ...settings.map((setting) => `-D${setting}`), model]);
  run("gcc", ["-O1", "-DSAFETY", "-DCOLLAPSE", "-o", "pan", "pan.c"]);
  const report = run("./pan", ["-m100000"]);
  if (!report.includes("Full statespace search") || report.includes("max search depth too small"))
    throw new Error(report);
  return {
    errors: Number(/errors: (\d+)/.exec(report)?.[1]),
    violated: /assertion violated (.*) \(at depth/.exec(report)?.[1],
    states: Number(/(\d+) states, stored/.exec(report)?.[1]),
  };
}

const late = expect.stringContaining("committedFor<=");
const forgotten = expect.stringContaining("logged[1]");
const small = ["NODES=2", "LEASE=1"] as const;

describe("the model of the lease", () => {
  it("serves nobody beyond the bound, and loses nothing that a node remembers", () => {
    expect(explore()).toMatchObject({ errors: 0 });
    const two = explore(...small);
    expect(two).toMatchObject({ errors: 0 });
    expect(two.states).toBeGreaterThan(100_000);
  });

  it("has a tight bound", () => {
    expect(explore("BOUND=5")).toMatchObject({ errors: 1, violated: late });
  });

  it.each([
    ["a primary that takes writes for as long as it is isolated", ["UNBOUNDED_PRIMARY"], late],
    ["a lease that counts from the reading of a heartbeat", ["RENEWED_AT_RECEIPT"], late],
    ["a lease that only a timer looks at", ["TIMER_ONLY"], late],
    ["a heartbeat that does not come behind the log", ["NO_BARRIER"], late],
    ["nodes that assert nothing after a failover", ["NO_REASSERTION", ...small], forgotten],
  ])("fails with %s", (_, settings, violated) => {
    expect(explore(...settings)).toMatchObject({ errors: 1, violated });
  });
});
