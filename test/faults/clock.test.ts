import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { refreshAt } from "../chaos/actors/refresher.ts";
import { ChaosSocket } from "../chaos/chaos-socket.ts";
import { nodeAt, startDirectedRun } from "../chaos/directed-run.ts";
import { eventually } from "../support/eventually.ts";
import { stretched } from "../support/machine-share.ts";
import { SetClock } from "../support/set-clock.ts";
import { answerWaitMs } from "../support/within.ts";
import { openMany } from "./many-sessions.ts";
import { connectTimedSocket } from "./timed-socket.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

interface Report {
  readonly reasons: readonly string[];
  readonly problems: readonly string[];
}

async function report(port: number): Promise<Report> {
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
  return (await answer.json()) as Report;
}

const reasons = async (port: number) => (await report(port)).reasons;
const problems = async (port: number) => (await report(port)).problems;

async function startClocked(onTestFinished: (undo: () => Promise<void>) => void) {
  const clock = new SetClock();
  const run = await startDirectedRun({ shape: "standalone", nodes: 1, embedded: { clock } });
  onTestFinished(run.dispose);
  const { client } = await run.logIn("anna", 0);
  const { port } = nodeAt(run.context, 0);
  return { clock, run, client, port, token: client.accessTokens[0] ?? "" };
}

/**
 * The lease ages by the larger of both clocks, so nobody is served after a jump until it is renewed. A jump at the moment at
 * which a heartbeat comes back is not seen, nor is another one after it: from then on the node does not believe its clock.
 * That is about one of eight, so another node tries.
 */
async function startSuspendedByJump(onTestFinished: (undo: () => Promise<void>) => void) {
  for (let tries = 0; tries < 6; tries += 1) {
    const made = await startClocked(onTestFinished);
    const line = await connectTimedSocket(made.port, made.token);
    const suspended = line.messageAt("auth_suspended").then(
      () => true,
      () => false,
    );
    made.clock.offsetMs += hourMs;
    if (await Promise.race([suspended, wait(2_000, false)])) return { ...made, line };
  }
  throw new Error("no jump of the clock suspended a node");
}

async function received(port: number, token: string): Promise<"ok" | number> {
  const socket = await ChaosSocket.open(port);
  const reception = await socket?.authenticate(token, answerWaitMs);
  socket?.drop();
  return reception?.kind === "refused" ? reception.code : (reception?.kind ?? 0);
}

describe.concurrent("the clock", () => {
  it("an hour ahead: no token and no session ends because of it, and health says why", async ({
    onTestFinished,
  }) => {
    const { clock, run, client, port, token, line } = await startSuspendedByJump(onTestFinished);
    await line.messageAt("auth_resumed");
    const ahead = clock.offsetMs / 1000;
    await eventually("it to hold", async () => (await reasons(port)).includes("clock_drift"));
    await eventually("it to hold", async () =>
      (await problems(port)).some((text) => text.includes(`${ahead} s ahead of the store's`)),
    );
    expect(await received(port, token)).toBe("ok");
    expect(line.socket.isOpen).toBe(true);
    await run.revoke(client, 0);
    expect((await line.closed).code).toBe(4301);
  });

  it("an hour behind: nobody is served beyond the bound, and what was revoked stays so", async ({
    onTestFinished,
  }) => {
    const { clock, run, client, port, token } = await startClocked(onTestFinished);
    const line = await connectTimedSocket(port, token);
    clock.offsetMs = -hourMs;
    await eventually("it to hold", async () => (await reasons(port)).includes("clock_drift"));
    await run.revoke(client, 0);
    expect((await line.closed).code).toBe(4301);
    expect(await received(port, token)).toBe(4301);
    clock.offsetMs = 0;
    await eventually("it to hold", async () => (await reasons(port)).length === 0);
  });

  for (const days of [91, -91])
    it(`${days} days from the store's, from its start on: the node ends nothing, and its refreshes hold`, async ({
      onTestFinished,
    }) => {
      const clock = new SetClock();
      clock.offsetMs = days * dayMs;
      const parts = (node: number) => (node === 1 ? { clock } : {});
      const run = await startDirectedRun({ shape: "standalone", nodes: 2, embedded: parts });
      onTestFinished(run.dispose);
      const [first, second] = [nodeAt(run.context, 0), nodeAt(run.context, 1)];
      expect(await reasons(second.port)).toContain("clock_drift");
      expect(await problems(second.port)).toContainEqual(expect.stringContaining("clock is 91 days"));
      // One from each node, and each is accepted at the other.
      const here = (await run.logIn("anna", 0)).client;
      const there = (await run.logIn("bert", 1)).client;
      for (const { port } of [first, second])
        for (const client of [here, there])
          expect(await received(port, client.accessTokens[0] ?? "")).toBe("ok");
      const line = await connectTimedSocket(second.port, here.accessTokens[0] ?? "");
      const end = async () => (await first.authority?.sessions.get(here.session))?.expiresAt ?? 0;
      const before = await end();
      await refreshAt(run.context, "refreshers", second, here);
      expect(here.accessTokens).toHaveLength(2);
      expect((await end()) - before).toBeLessThan(dayMs);
      expect(await received(first.port, here.accessTokens[0] ?? "")).toBe("ok");
      expect(await second.authority?.sessions.expireIfDue(here.session)).toBe(await end());
      expect(line.socket.isOpen).toBe(true);
      clock.offsetMs = 0;
      await eventually("it to hold", async () =>
        (await problems(second.port)).every((text) => !text.includes("clock")),
      );
    });

  it("drifts: health reports it from 5 s on, and clears it", async ({ onTestFinished }) => {
    const { clock, port, token } = await startClocked(onTestFinished);
    for (const [offsetMs, told] of [
      [-6_000, true],
      [-4_000, false],
      [6_000, true],
      [4_000, false],
    ] as const) {
      clock.offsetMs = offsetMs;
      await eventually("it to hold", async () => (await reasons(port)).includes("clock_drift") === told);
    }
    await eventually("it to hold", async () => (await received(port, token)) === "ok");
  });

  it("sleeps with its machine: the time that the monotonic clock did not count has aged the lease all the same", async ({
    onTestFinished,
  }) => {
    // Behind by less than what counts as drift, until it resumes.
    const clock = new SetClock();
    clock.offsetMs = -4_500;
    const parts = (node: number) => (node === 1 ? { clock } : {});
    const run = await startDirectedRun({ shape: "standalone", nodes: 2, embedded: parts });
    onTestFinished(run.dispose);
    const { recorded } = await run.logIn("anna", 0);
    const [out, kept] = await openMany(recorded.socket, 2);
    const { port } = nodeAt(run.context, 1);
    const [gone, staying] = [
      await connectTimedSocket(port, out?.token ?? ""),
      await connectTimedSocket(port, kept?.token ?? ""),
    ];

    const heal = await run.deployment.injectFault({ kind: "black_hole", node: 1, direction: "both" });
    const fields = { refresh_token_id: out?.session };
    expect(await recorded.socket.request("auth/delete_refresh_token", fields)).toMatchObject({
      message: { success: true },
    });
    clock.offsetMs = 0;
    // By the monotonic clock the lease is valid for another two seconds.
    const asked = [gone, staying].map(({ socket }) => socket.request("auth/current_user", {}, 60_000));
    await staying.messageAt("auth_suspended");
    await heal();
    expect(await asked[0]).toEqual({ kind: "closed", code: 4301 });
    expect(await asked[1]).toMatchObject({ message: { success: true } });
  });

  it("stands still: the lease ages all the same, and a partitioned node suspends", async ({
    onTestFinished,
  }) => {
    const { clock, run, port, token } = await startClocked(onTestFinished);
    clock.freeze();
    const line = await connectTimedSocket(port, token);
    const began = performance.now();
    const heal = await run.deployment.injectFault({ kind: "black_hole", node: 0, direction: "both" });
    expect((await line.messageAt("auth_suspended")) - began).toBeLessThan(stretched(3_000 + 1_000));
    await heal();
    await line.messageAt("auth_resumed");
  });
});
