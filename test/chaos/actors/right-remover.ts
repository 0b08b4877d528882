import type { ChaosNode } from "../chaos-node.ts";
import type { Right } from "../history.ts";
import type { Random } from "../random.ts";
import { type RunContext, waitOrStop } from "../run-context.ts";
import type { TestUser } from "../session-client.ts";

const changes: Record<Exclude<Right, "topic">, object> = {
  remote: { local_only: true },
  admin: { group_ids: ["system-users"] },
};

/** The owner takes a right from a user, whose sessions continue. True if it was acknowledged. */
export async function removeRight(
  context: RunContext,
  node: ChaosNode,
  { id }: TestUser,
  takes: keyof typeof changes,
): Promise<boolean> {
  const about = { op: "narrow", user: id, node: node.name, takes } as const;
  const done = context.history.begin("narrower", about);
  const fields = { user_id: id, ...changes[takes] };
  const answer = await context.owner.command(node, "config/auth/update", fields);
  const acknowledged = answer.kind === "answer" && answer.message.success === true;
  done(acknowledged ? "ok" : "info");
  return acknowledged;
}

/** Once in a run a user becomes local-only, and once an administrator becomes an ordinary user. */
export async function removeSomeRights(context: RunContext, random: Random): Promise<void> {
  const able = context.users.filter(({ neverRevoked, isAdmin }) => !neverRevoked && isAdmin);
  for (const takes of ["remote", "admin"] as const) {
    await waitOrStop(random.between(500, 2_500), context.stopSignal);
    if (context.stopSignal.aborted) return;
    await removeRight(context, random.pick(context.nodes), random.pick(able), takes);
  }
}
