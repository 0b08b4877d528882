import { describe, expect, it } from "vitest";

import { ChaosSocket } from "../chaos/chaos-socket.ts";
import { nodeAt, setStage } from "../chaos/stage.ts";
import { eventually } from "../support/eventually.ts";
import { connectLine } from "./line.ts";
import { openMany } from "./many-sessions.ts";

const unavailable = 4100;
const revoked = 4301;

describe("F13: FLUSHALL, while gateways run", () => {
  it("nobody is served any more, and what was revoked is written again for who comes later", async ({
    onTestFinished,
  }) => {
    const stage = await setStage({ shape: "standalone", nodes: 2 });
    onTestFinished(stage.dispose);
    const { holding, visit } = await stage.logIn("anna", 0);
    const [dead, live] = await openMany(visit.socket, 2);
    const lines = [0, 1].map((node) => connectLine(nodeAt(stage.scene, node).port, live?.token ?? ""));
    const [first, second] = await Promise.all(lines);
    const fields = { refresh_token_id: dead?.session };
    expect(await visit.socket.request("auth/delete_refresh_token", fields)).toMatchObject({
      message: { success: true },
    });
    await eventually("it to hold", async () => (await verdict(stage.scene, 1, dead?.token)) === revoked);

    await stage.world.store.servers[0]?.command("FLUSHALL");
    for (const line of [first, second]) {
      const end = await line?.closed;
      expect(end?.code).toBeGreaterThanOrEqual(4300);
      expect(end?.code).toBeLessThan(4400);
    }
    for (const node of [0, 1]) {
      expect(await decided(stage.scene, node, dead?.token)).toBe(revoked);
      for (const token of [live?.token, holding.accessTokens[0]])
        expect(await decided(stage.scene, node, token)).toBeGreaterThanOrEqual(4300);
    }

    // For whoever comes later, and remembers nothing by himself.
    const log = await stage.world.store.servers[0]?.command("XRANGE", "gatehouse:{gh}:log", "-", "+");
    expect(log).toContain(dead?.session);
    expect(log).not.toContain(live?.session);
    const restart = await stage.world.inflict({ kind: "kill", node: 1 });
    await restart();
    for (const token of [dead?.token, live?.token])
      expect(await decided(stage.scene, 1, token)).toBeGreaterThanOrEqual(4300);
  }, 60_000);
});

type Nodes = Parameters<typeof nodeAt>[0];

/** "ok", or the code of the close. */
async function verdict(scene: Nodes, node: number, token = ""): Promise<"ok" | number> {
  const socket = await ChaosSocket.open(nodeAt(scene, node).port);
  const reception = await socket?.authenticate(token);
  socket?.drop();
  return reception?.kind === "refused" ? reception.code : (reception?.kind ?? 0);
}

/** What is only unavailable is asked again. */
async function decided(scene: Nodes, node: number, token: string | undefined): Promise<"ok" | number> {
  let said: "ok" | number = unavailable;
  await eventually("it to hold", async () => {
    said = await verdict(scene, node, token);
    return said !== unavailable;
  });
  return said;
}
