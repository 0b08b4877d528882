import { execFileSync } from "node:child_process";
import path from "node:path";
import { describe, expect, it } from "vitest";

import { secret } from "../chaos/chaos-node.ts";
import { nodeAt, startDirectedRun } from "../chaos/directed-run.ts";
import { openMany } from "./many-sessions.ts";
import { connectTimedSocket } from "./timed-socket.ts";

const main = path.resolve(import.meta.dirname, "../../dist/src/cli/main.js");
/** Longer than the lease, so that everything that waited must be checked. */
const stalledMs = 4_000;

describe("a stalled event loop", () => {
  it("sends nothing to revoked sockets when it continues", async ({ onTestFinished }) => {
    // The gateway is in this process: whatever blocks here blocks its event loop with all timers and sockets.
    const run = await startDirectedRun({ shape: "standalone", nodes: 1, embedded: {} });
    onTestFinished(run.dispose);
    const { recorded } = await run.logIn("anna", 0);
    const [out, kept] = await openMany(recorded.socket, 2);
    const { port } = nodeAt(run.context, 0);
    const [gone, staying] = [
      await connectTimedSocket(port, out?.token ?? ""),
      await connectTimedSocket(port, kept?.token ?? ""),
    ];

    const answer = staying.socket.request("auth/current_user");
    void gone.socket.request("auth/current_user");
    const frames = gone.frames.length;
    const until = performance.now() + stalledMs;
    execFileSync(
      process.execPath,
      [main, "revoke", "--session", out?.session ?? "", ...run.deployment.store.reach],
      { env: { ...process.env, GATEHOUSE_SECRET: secret }, stdio: "ignore" },
    );
    while (performance.now() < until);

    expect((await gone.closed).code).toBe(4301);
    const after = gone.frames.slice(frames).map(({ message }) => message.type);
    expect(after.filter((type) => type !== "auth_suspended")).toEqual([]);
    expect(await answer).toMatchObject({ message: { success: true } });
  });
});
