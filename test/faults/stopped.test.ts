import { describe, expect, it } from "vitest";

import { nodeAt, startDirectedRun } from "../chaos/directed-run.ts";
import { openMany } from "./many-sessions.ts";
import { connectTimedSocket, wait } from "./timed-socket.ts";

/** Longer than the lease of 3 s. */
const stoppedMs = 4_000;

describe("a gateway that is stopped for longer than its lease, and continues", () => {
  it("sends nothing to revoked sockets, not even from its buffers, and everything to the others", async ({
    onTestFinished,
  }) => {
    const run = await startDirectedRun({ shape: "standalone", nodes: 2 });
    onTestFinished(run.dispose);
    const { recorded } = await run.logIn("anna", 0);
    const devices = await openMany(recorded.socket, 10);
    const second = nodeAt(run.context, 1);
    const lines = await Promise.all(devices.map(({ token }) => connectTimedSocket(second.port, token)));
    const [out, kept] = [lines.slice(0, 5), lines.slice(5)];

    const resume = await run.deployment.injectFault({ kind: "pause", node: 1 });
    for (const { session } of devices.slice(0, 5)) {
      const answer = await recorded.socket.request("auth/delete_refresh_token", {
        refresh_token_id: session,
      });
      expect(answer).toMatchObject({ message: { success: true } });
    }
    const answers = lines.map(({ socket }) => socket.request("auth/current_user"));
    const frames = lines.map((line) => line.frames.length);
    await wait(stoppedMs);
    await resume();

    for (const line of out) expect((await line.closed).code).toBe(4301);
    for (const [place, line] of out.entries()) {
      const after = line.frames.slice(frames[place]).map(({ message }) => message.type);
      expect(after.filter((type) => type !== "auth_suspended")).toEqual([]);
    }
    for (const answer of (await Promise.all(answers)).slice(5))
      expect(answer).toMatchObject({ message: { success: true } });
    for (const line of kept) expect(line.socket.isOpen).toBe(true);
  });
});
