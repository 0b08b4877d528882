import { describe, expect, it } from "vitest";
import type { Message } from "../chaos/chaos-socket.ts";
import { type DirectedRun, nodeAt, startDirectedRun, succeeded } from "../chaos/directed-run.ts";
import { eventually } from "../support/eventually.ts";
import { stretched } from "../support/machine-share.ts";
import { type LongLived, openMany, resultOf } from "./many-sessions.ts";
import { connectTimedSocket, type TimedSocket, wait } from "./timed-socket.ts";

const leaseMs = 3_000;
const slackMs = 1_500;
/** Longer than the bound. */
const pastBoundMs = 4_000;

interface Receipt {
  readonly revocation_id: string;
  readonly effective: "pending" | "all";
  readonly durability: string;
  readonly nodes: { readonly applied: number; readonly pending: number; readonly fenced: number };
}

/** The first node is with the Sentinels. The second one is with the old primary, which still accepts its heartbeats. */
describe.concurrent("a network partition, silent, with the old primary and a gateway on the losing side", () => {
  it("that gateway suspends within the lease and authenticates nobody, although its primary accepts its writes", async ({
    onTestFinished,
  }) => {
    const run = await startDirectedRun({ shape: "split", nodes: 2 });
    onTestFinished(run.dispose);
    expect(await readyz(run, 1)).toMatchObject({ revocation_bound_s: 3.25 });
    const { winning, losing, devices, lines } = await setOut(run);
    const [gone, taken, kept] = lines;

    const began = performance.now();
    const splitting = run.deployment.injectFault({ kind: "isolated_primary" });
    const onLosing = revoke(losing, devices[1]);
    for (const line of [gone, kept])
      expect((await line.messageAt("auth_suspended")) - began).toBeLessThan(stretched(leaseMs + slackMs));
    expect((await taken.closed).code).toBe(4301);
    const heal = await splitting;
    const [old] = run.deployment.store.servers;
    expect(await old?.command("SET", "still", "taken")).toBe("OK");

    const onWinning = await revoke(winning, devices[0]);
    // A commit waits 100 ms for a replica. On a busy machine one may be slower, and the receipt says less then.
    await eventually("a replica that answers in time", async () => {
      const [another] = await openMany(winning, 1);
      return another !== undefined && (await revoke(winning, another)).first.durability === "replicated";
    });
    expect(await onWinning.untilAll()).toMatchObject({ nodes: { applied: 1, pending: 0, fenced: 1 } });
    const asked = gone.socket.request("auth/current_user", {}, 60_000);
    const frames = gone.frames.length;
    await expect(connectTimedSocket(nodeAt(run.context, 1).port, devices[0].token)).rejects.toThrow(
      "with 4100",
    );
    // What the losing side committed is nowhere else, and the receipt does not claim it.
    expect((await onLosing).last()).toMatchObject({ effective: "pending", nodes: { applied: 1 } });
    await wait(pastBoundMs);

    expect(gone.frames.slice(frames)).toEqual([]);
    await heal();
    expect((await gone.closed).code).toBe(4301);
    expect(await asked).toEqual({ kind: "closed", code: 4301 });
    await kept.messageAt("auth_resumed");
    expect(await kept.socket.request("auth/current_user")).toMatchObject({ message: { success: true } });
    // Then it is written again.
    expect(await (await onLosing).untilAll()).toMatchObject({ nodes: { applied: 2, pending: 0 } });
    await refused(run, 0, devices[1]);
  });

  it("with Redis' default settings there is no bound, and none is claimed", async ({ onTestFinished }) => {
    const run = await startDirectedRun({ shape: "split", nodes: 2, split: { config: [], replicasOfOld: 0 } });
    onTestFinished(run.dispose);
    for (const node of [0, 1]) {
      const { revocation_bound_s, problems } = await readyz(run, node);
      expect(revocation_bound_s).toBeNull();
      expect(problems.join()).toMatch(/min-replicas-to-write is 0: .* accepts writes for ever/);
    }
    const { winning, losing, devices } = await setOut(run);

    const splitting = run.deployment.injectFault({ kind: "isolated_primary" });
    const onLosing = await revoke(losing, devices[1]);
    const heal = await splitting;
    // No write is refused, and none is replicated.
    expect(onLosing.first.durability).not.toBe("replicated");
    const onWinning = await revoke(winning, devices[0]);
    await wait(pastBoundMs);
    // How long its primary serves the other gateway is unknown, so no receipt says that it is effective.
    expect(onWinning.last()).toMatchObject({ effective: "pending", nodes: { pending: 1, fenced: 0 } });
    expect(onLosing.last()).toMatchObject({ effective: "pending", nodes: { pending: 1, fenced: 0 } });

    await heal();
    for (const one of [onWinning, onLosing])
      expect(await one.untilAll()).toMatchObject({ nodes: { applied: 2, pending: 0, fenced: 0 } });
    for (const node of [0, 1]) {
      await refused(run, node, devices[0]);
      await refused(run, node, devices[1]);
    }
  });
});

type Three<T> = readonly [T, T, T];

/** An administrator at each of the nodes, and three sessions with a socket at the second one. */
async function setOut(run: DirectedRun) {
  const { recorded: winning } = await run.logIn("anna", 0);
  const { recorded: losing } = await run.logIn("anna", 1);
  const [one, other, third] = await openMany(winning.socket, 3);
  if (one === undefined || other === undefined || third === undefined) throw new Error("no sessions");
  const { port } = nodeAt(run.context, 1);
  const connect = ({ token }: LongLived) => connectTimedSocket(port, token);
  const lines: Three<TimedSocket> = [await connect(one), await connect(other), await connect(third)];
  const devices: Three<LongLived> = [one, other, third];
  return { winning: winning.socket, losing: losing.socket, devices, lines };
}

/** Retries until it is committed, and gets every change after that. */
async function revoke(socket: TimedSocket["socket"], { session }: LongLived) {
  const states: Receipt[] = [];
  const before = socket.onMessage;
  socket.onMessage = (message: Message) => {
    before(message);
    if (message.type === "event") states.push(message.event as Receipt);
  };
  const fields = { target: { session_id: session }, subscribe: true };
  let answer = await socket.request("gatehouse/revoke", fields);
  await eventually("it to hold", async () => {
    if (!succeeded(answer)) answer = await socket.request("gatehouse/revoke", fields);
    return succeeded(answer);
  });
  const first = resultOf<Receipt>(answer);
  const last = () => states.findLast((each) => each.revocation_id === first.revocation_id) ?? first;
  return {
    first,
    last,
    async untilAll() {
      await eventually("it to hold", async () => last().effective === "all");
      return last();
    },
  };
}

/** The final answer: `unavailable` is asked again. */
async function refused(run: DirectedRun, node: number, { token }: LongLived): Promise<void> {
  const { port } = nodeAt(run.context, node);
  await eventually("it to hold", async () => {
    const said = await connectTimedSocket(port, token).then(
      () => "let in",
      (error: Error) => error.message,
    );
    expect(said).not.toBe("let in");
    return said === "refused with 4301";
  });
}

async function readyz(run: DirectedRun, node: number) {
  const answer = await fetch(`http://127.0.0.1:${nodeAt(run.context, node).port}/readyz`);
  return (await answer.json()) as {
    readonly revocation_bound_s: number | null;
    readonly problems: readonly string[];
  };
}
