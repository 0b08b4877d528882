import { describe, expect, it } from "vitest";

import { nodeAt, startDirectedRun } from "../chaos/directed-run.ts";
import { connectTimedSocket } from "./timed-socket.ts";

describe("one node is partitioned from Redis, the others are not", () => {
  it("a revoke takes effect everywhere only once that node's lease has run out, and the others serve", async ({
    onTestFinished,
  }) => {
    const run = await startDirectedRun({ shape: "standalone", nodes: 3, embedded: {} });
    onTestFinished(run.dispose);
    const { client } = await run.logIn("anna", 0);
    const { client: other } = await run.logIn("bert", 1);
    const [token = ""] = client.accessTokens;
    const cut = await connectTimedSocket(nodeAt(run.context, 2).port, token);
    const served = await connectTimedSocket(nodeAt(run.context, 1).port, other.accessTokens[0] ?? "");

    const heal = await run.deployment.injectFault({ kind: "refuse", node: 2 });
    const revocation = nodeAt(run.context, 0).authority?.revocation;
    const target = { kind: "sessions", userId: client.user, sessionIds: [client.session] } as const;
    const receipt = await revocation?.revoke(target, "session_revoked");
    expect(receipt).toMatchObject({ effective: "pending", nodes: { fenced: 0 } });
    if (receipt === undefined) throw new Error("no receipt");

    const settled = revocation?.settled(receipt).then((last) => ({ last, at: performance.now() }));
    const suspendedAt = cut.messageAt("auth_suspended");
    expect(await served.socket.request("auth/current_user")).toMatchObject({ message: { success: true } });
    const end = await settled;
    expect(end?.last).toMatchObject({
      effective: "all",
      nodes: { applied: 2, pending: 0, fenced: 1 },
    });
    // Never before the partitioned node stopped.
    expect(await suspendedAt).toBeLessThan(end?.at ?? 0);
    expect(await served.socket.request("auth/current_user")).toMatchObject({ message: { success: true } });
    await heal();
    expect((await cut.closed).code).toBe(4301);
  });
});
