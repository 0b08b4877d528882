import { describe, expect, it } from "vitest";

import { nodeAt, setStage } from "../chaos/stage.ts";
import { connectLine, wait } from "./line.ts";
import { openMany } from "./many-sessions.ts";

const leaseMs = 3_000;
/** The primary is isolated first; the nodes lose the Sentinels, which know better, at that moment. */
const slackMs = 1_500;

describe("F11: gateways and the old primary on one side, Sentinels and the new primary on the other", () => {
  it("the gateways suspend within the lease, although their heartbeats are taken, and let nobody in", async ({
    onTestFinished,
  }) => {
    const stage = await setStage({ shape: "sentinel", nodes: 2 });
    onTestFinished(stage.dispose);
    const { visit } = await stage.logIn("anna", 0);
    const [out, kept] = await openMany(visit.socket, 2);
    const { port } = nodeAt(stage.scene, 1);
    const [gone, staying] = [
      await connectLine(port, out?.token ?? ""),
      await connectLine(port, kept?.token ?? ""),
    ];

    const began = performance.now();
    const heal = await stage.world.inflict({ kind: "isolated_primary" });
    const [old, promoted] = stage.world.store.servers;
    expect(await old?.command("SET", "still", "taken")).toBe("OK");
    const revoke = ["revoke", "--session", out?.session ?? ""];
    expect(await stage.world.gatehouse(revoke, promoted?.url)).toMatchObject({ code: 0 });
    for (const line of [gone, staying])
      expect((await line.told("auth_suspended")) - began).toBeLessThan(leaseMs + slackMs);
    const asked = gone.socket.request("auth/current_user", {}, 60_000);
    const frames = gone.frames.length;
    await expect(connectLine(port, out?.token ?? "")).rejects.toThrow("refused with 4100");
    await wait(2_000);

    await heal();
    expect((await gone.closed).code).toBe(4301);
    expect(gone.frames.slice(frames)).toEqual([]);
    expect(await asked).toEqual({ kind: "closed", code: 4301 });
    await staying.told("auth_resumed", 20_000);
    expect(await staying.socket.request("auth/current_user")).toMatchObject({ message: { success: true } });
  }, 90_000);
});
