import { describe, expect, it } from "vitest";
import { closeCodes } from "../../protocol/close-codes.ts";
import { type DirectedRun, nodeAt, startDirectedRun } from "../chaos/directed-run.ts";
import { eventually } from "../support/eventually.ts";
import { stretched } from "../support/machine-share.ts";
import { openMany, resultOf } from "./many-sessions.ts";
import { connectTimedSocket } from "./timed-socket.ts";

const leaseMs = 3_000;
/** The two cores are shared with other tests here. */
const slackMs = 1_500;
const spreadMs = 10_000;
const unavailable = closeCodes.unavailable.number;
const revoked = closeCodes.session_revoked.number;

describe.concurrent("sockets of a node that is partitioned from Redis, silently", () => {
  it("policy close: within the bound nobody is served, soon all are closed, and they reconnect afterwards", async ({
    onTestFinished,
  }) => {
    const run = await startDirectedRun({
      shape: "standalone",
      nodes: 2,
      config: { revocation: { policy: "close" } },
    });
    onTestFinished(run.dispose);
    expect(await readyz(run)).toMatchObject({ revocation_bound_s: 3.25, revocation: { policy: "close" } });
    const { recorded } = await run.logIn("anna", 0);
    const devices = await openMany(recorded.socket, 8);
    const { port } = nodeAt(run.context, 1);
    const lines = await Promise.all(devices.map(({ token }) => connectTimedSocket(port, token)));

    const began = performance.now();
    const heal = await run.deployment.injectFault({ kind: "black_hole", node: 1, direction: "both" });
    const refresh_token_id = devices[0]?.session;
    expect(await recorded.socket.request("auth/delete_refresh_token", { refresh_token_id })).toMatchObject({
      message: { success: true },
    });
    for (const line of lines)
      expect((await line.messageAt("auth_suspended")) - began).toBeLessThan(stretched(leaseMs + slackMs));
    const asked = lines.map(({ socket }) => socket.request("auth/current_user", {}, 60_000));
    await expect(connectTimedSocket(port, devices[1]?.token ?? "")).rejects.toThrow(`with ${unavailable}`);
    for (const line of lines) {
      const { at, code } = await line.closed;
      expect(code).toBe(unavailable);
      expect(at - began).toBeLessThan(stretched(leaseMs + spreadMs + slackMs));
    }
    // Sockets that will be closed get nothing until then.
    expect(await Promise.all(asked)).toEqual(lines.map(() => ({ kind: "closed", code: unavailable })));

    await heal();
    const [, ...kept] = devices;
    for (const { token } of kept)
      await eventually("it to hold", () =>
        connectTimedSocket(port, token).then(
          () => true,
          () => false,
        ),
      );
    await expect(connectTimedSocket(port, devices[0]?.token ?? "")).rejects.toThrow(`with ${revoked}`);
  });

  it("policy serve_until_exp: they are served until their tokens end, as health reports, and reviewed afterwards", async ({
    onTestFinished,
  }) => {
    const tokens = { access_ttl_seconds: 12 };
    const config = { revocation: { policy: "serve_until_exp" as const }, tokens };
    const run = await startDirectedRun({ shape: "standalone", nodes: 2, config });
    onTestFinished(run.dispose);
    expect(await readyz(run)).toMatchObject({
      revocation_bound_s: null,
      revocation: { policy: "serve_until_exp", trusted: true },
    });
    const { recorded } = await run.logIn("anna", 0);
    const [gone, stays] = await openMany(recorded.socket, 2);
    const { port } = nodeAt(run.context, 1);
    const [dead, kept] = [
      await connectTimedSocket(port, gone?.token ?? ""),
      await connectTimedSocket(port, stays?.token ?? ""),
    ];
    const { client } = await run.logIn("bert", 0);
    const brief = await connectTimedSocket(port, client.accessTokens[0] ?? "");
    const endsAt = performance.now() + tokens.access_ttl_seconds * 1_000;

    const heal = await run.deployment.injectFault({ kind: "black_hole", node: 1, direction: "both" });
    const target = { session_id: gone?.session };
    const states: unknown[] = [];
    recorded.socket.onMessage = ({ type, event }) => void (type === "event" && states.push(event));
    const answer = await recorded.socket.request("gatehouse/revoke", { target, subscribe: true });
    expect(resultOf(answer)).toMatchObject({ effective: "pending", nodes: { pending: 1 } });
    await eventually("it to hold", async () => !(await readyz(run)).revocation.trusted);
    // Weaker than the default, and the clients are told so.
    for (const line of [dead, kept, brief])
      expect(await line.socket.request("supported_features", { features: {} })).toMatchObject({
        message: { success: true },
      });
    await expect(connectTimedSocket(port, stays?.token ?? "")).rejects.toThrow(`with ${unavailable}`);
    const end = await brief.closed;
    expect(end.code).toBe(closeCodes.token_expired.number);
    expect(end.at).toBeLessThan(endsAt + slackMs);
    // Nobody claims that this node had stopped: it has not.
    expect(states).toEqual([]);

    await heal();
    expect((await dead.closed).code).toBe(revoked);
    await eventually(
      "it to hold",
      async () => (states.at(-1) as { effective?: string } | undefined)?.effective === "all",
    );
    expect(await kept.socket.request("auth/current_user")).toMatchObject({ message: { success: true } });
  });
});

async function readyz(run: DirectedRun) {
  const answer = await fetch(`http://127.0.0.1:${nodeAt(run.context, 1).port}/readyz`);
  return (await answer.json()) as {
    readonly revocation_bound_s: number | null;
    readonly revocation: { readonly policy: string; readonly trusted: boolean };
  };
}
