import type { ChaosNode } from "../chaos-node.ts";
import type { Right } from "../history.ts";
import type { Person } from "../people.ts";
import type { Random } from "../random.ts";
import { rest, type Scene } from "../scene.ts";

const changes: Record<Right, object> = {
  remote: { local_only: true },
  admin: { group_ids: ["system-users"] },
};

/** The owner takes a right from a user, whose sessions continue. True if it was acknowledged. */
export async function narrow(scene: Scene, node: ChaosNode, { id }: Person, takes: Right): Promise<boolean> {
  const about = { op: "narrow", user: id, node: node.name, takes } as const;
  const done = scene.history.begin("narrower", about);
  const fields = { user_id: id, ...changes[takes] };
  const answer = await scene.owner.command(node, "config/auth/update", fields);
  const acknowledged = answer.kind === "answer" && answer.message.success === true;
  done(acknowledged ? "ok" : "info");
  return acknowledged;
}

/** Once in a run a user becomes local-only, and once an administrator becomes an ordinary user. */
export async function narrowSome(scene: Scene, random: Random): Promise<void> {
  const able = scene.people.filter(({ spared, isAdmin }) => !spared && isAdmin);
  for (const takes of ["remote", "admin"] as const) {
    await rest(random.between(500, 2_500), scene.over);
    if (scene.over.aborted) return;
    await narrow(scene, random.pick(scene.nodes), random.pick(able), takes);
  }
}
