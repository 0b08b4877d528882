import type { ChaosNode } from "../chaos-node.ts";
import { endStateActor } from "../checker.ts";
import type { Holding } from "../people.ts";
import type { Scene } from "../scene.ts";
import { enter } from "../visit.ts";
import { refreshAt } from "./refresher.ts";

const deadlineMs = 20_000;

/** Asks every node about every session, and one node for new tokens, until each has answered definitely. */
export async function askForAll(scene: Scene): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  for (const holding of scene.holdings) {
    const nodes = scene.nodes;
    await Promise.all(nodes.map((node) => untilAnswered(deadline, () => askAt(scene, node, holding))));
    const [node] = nodes;
    if (node !== undefined)
      await untilAnswered(
        deadline,
        async () => (await refreshAt(scene, endStateActor, node, holding)) !== "unknown",
      );
  }
}

async function askAt(scene: Scene, node: ChaosNode, holding: Holding): Promise<boolean> {
  const [token = ""] = holding.accessTokens;
  const before = scene.history.entries.length;
  const visit = await enter(scene, node, holding, { actor: endStateActor, token });
  visit?.socket.drop();
  return scene.history.entries
    .slice(before)
    .some(
      (entry) =>
        entry.op === "authenticate" &&
        entry.actor === endStateActor &&
        entry.node === node.name &&
        (entry.phase === "ok" || entry.phase === "fail"),
    );
}

async function untilAnswered(deadline: number, ask: () => Promise<boolean>): Promise<void> {
  while (!(await ask()) && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 100));
}
