import { describe, expect, it } from "vitest";

import { ChaosSocket } from "../chaos/chaos-socket.ts";
import { nodeAt, startDirectedRun } from "../chaos/directed-run.ts";
import { eventually } from "../support/eventually.ts";
import { answerWaitMs } from "../support/within.ts";
import { openMany } from "./many-sessions.ts";
import { connectTimedSocket } from "./timed-socket.ts";

const unavailable = 4100;
const revoked = 4301;

describe("FLUSHALL, while gateways run", () => {
  it("nobody is served any more, and what was revoked is written again for later nodes", async ({
    onTestFinished,
  }) => {
    const run = await startDirectedRun({ shape: "standalone", nodes: 2 });
    onTestFinished(run.dispose);
    const { client, recorded } = await run.logIn("anna", 0);
    const [dead, live] = await openMany(recorded.socket, 2);
    const lines = [0, 1].map((node) => connectTimedSocket(nodeAt(run.context, node).port, live?.token ?? ""));
    const [first, second] = await Promise.all(lines);
    const fields = { refresh_token_id: dead?.session };
    expect(await recorded.socket.request("auth/delete_refresh_token", fields)).toMatchObject({
      message: { success: true },
    });
    await eventually("it to hold", async () => (await verdict(run.context, 1, dead?.token)) === revoked);

    await run.deployment.store.servers[0]?.command("FLUSHALL");
    for (const line of [first, second]) {
      const end = await line?.closed;
      expect(end?.code).toBeGreaterThanOrEqual(4300);
      expect(end?.code).toBeLessThan(4400);
    }
    for (const node of [0, 1]) {
      expect(await decided(run.context, node, dead?.token)).toBe(revoked);
      for (const token of [live?.token, client.accessTokens[0]])
        expect(await decided(run.context, node, token)).toBeGreaterThanOrEqual(4300);
    }

    // For a node that starts later and remembers nothing itself.
    const log = await run.deployment.store.servers[0]?.command("XRANGE", "gatehouse:{gh}:log", "-", "+");
    expect(log).toContain(dead?.session);
    expect(log).not.toContain(live?.session);
    const restart = await run.deployment.injectFault({ kind: "kill", node: 1 });
    await restart();
    for (const token of [dead?.token, live?.token])
      expect(await decided(run.context, 1, token)).toBeGreaterThanOrEqual(4300);
  });
});

type Nodes = Parameters<typeof nodeAt>[0];

/** "ok", or the close code. */
async function verdict(context: Nodes, node: number, token = ""): Promise<"ok" | number> {
  const socket = await ChaosSocket.open(nodeAt(context, node).port);
  const reception = await socket?.authenticate(token, answerWaitMs);
  socket?.drop();
  return reception?.kind === "refused" ? reception.code : (reception?.kind ?? 0);
}

/** `unavailable` is asked again. */
async function decided(context: Nodes, node: number, token: string | undefined): Promise<"ok" | number> {
  let said: "ok" | number = unavailable;
  await eventually("it to hold", async () => {
    said = await verdict(context, node, token);
    return said !== unavailable;
  });
  return said;
}
