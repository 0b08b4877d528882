import type { ChaosNode } from "../chaos-node.ts";
import { endStateActor } from "../checker.ts";
import { authenticate } from "../recorded-socket.ts";
import type { RunContext } from "../run-context.ts";
import type { SessionClient } from "../session-client.ts";
import { isUnknown, refreshAt } from "./refresher.ts";

/** Of each question: on a busy machine a node may lose its trust in the store once more, and all questions wait then. */
const deadlineMs = 30_000;

/** Asks every node about every session, and one node for new tokens, until each has answered definitely. */
export async function askEndState(context: RunContext): Promise<void> {
  for (const client of context.clients) {
    const nodes = context.nodes;
    await Promise.all(nodes.map((node) => untilAnswered(() => askAt(context, node, client))));
    const [node] = nodes;
    if (node !== undefined)
      await untilAnswered(async () => !isUnknown(await refreshAt(context, endStateActor, node, client)));
  }
}

async function askAt(context: RunContext, node: ChaosNode, client: SessionClient): Promise<boolean> {
  const [token = ""] = client.accessTokens;
  const before = context.history.entries.length;
  const recorded = await authenticate(context, node, client, { actor: endStateActor, token });
  recorded?.socket.drop();
  return context.history.entries
    .slice(before)
    .some(
      (entry) =>
        entry.op === "authenticate" &&
        entry.actor === endStateActor &&
        entry.node === node.name &&
        (entry.phase === "ok" || entry.phase === "fail"),
    );
}

async function untilAnswered(ask: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (!(await ask()) && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 100));
}
