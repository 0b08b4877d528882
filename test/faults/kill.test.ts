import { describe, expect, it } from "vitest";
import { ChaosSocket } from "../chaos/chaos-socket.ts";
import { textOf } from "../chaos/checker.ts";
import { type DirectedRun, nodeAt, startDirectedRun } from "../chaos/directed-run.ts";
import { run } from "../chaos/run.ts";
import { killsOf } from "../chaos/schedule.ts";
import { stretched } from "../support/machine-share.ts";
import { resultOf } from "./many-sessions.ts";

/** `npm run chaos -- --shape embedded --kills 25 --seeds 20` runs 500. */
const kills = 6;
/** The target is 1.5 s on an idle machine. */
const readyMs = 6_000;

describe("a gateway that is killed at any moment", () => {
  it.concurrent.each(["embedded", "standalone"] as const)(
    "leaves no half state behind: sessions, rotations, codes and revokes, store %s",
    async (shape) => {
      const { violations, history, output } = await run(1, { shape, nodes: 1, schedule: killsOf(1, kills) });
      expect(textOf(violations), output).toBe("");
      const killed = history.entries.filter(({ op, phase }) => op === "fault" && phase === "ok");
      expect(killed).toHaveLength(kills);
    },
  );

  it("lets a half-finished login continue, and revokes again what it may have revoked", async ({
    onTestFinished,
  }) => {
    const run = await startDirectedRun({ shape: "embedded", nodes: 1 });
    onTestFinished(run.dispose);
    const node = nodeAt(run.context, 0);
    const { client } = await run.logIn("anna", 0);
    await run.revoke(client, 0);
    const socket = await ChaosSocket.open(node.port);
    const handler = ["homeassistant", null];
    const started = await socket?.request("auth/login/start", { handler });
    const flow = resultOf<{ flow_id: string; flow_secret: string }>(started ?? { kind: "late" });
    expect(await restart(run)).toBeLessThan(stretched(readyMs));

    const { flow_id, flow_secret } = flow;
    const again = await ChaosSocket.open(node.port);
    const resumed = await again?.request("auth/login/resume", { flow_id, flow_secret });
    expect(resumed).toMatchObject({ message: { success: true, result: { type: "form" } } });
    const { username, password } = run.person("bert");
    const input = { flow_id, user_input: { username, password } };
    expect(await again?.request("auth/login/step", input)).toMatchObject({
      message: { success: true, result: { type: "create_entry" } },
    });
    await run.revoke(client, 0);
    expect(textOf(run.violations())).toBe("");
  });
});

async function restart(run: DirectedRun): Promise<number> {
  const heal = await run.deployment.injectFault({ kind: "kill", node: 0 });
  const began = performance.now();
  await heal();
  return performance.now() - began;
}
