import type { Random } from "../random.ts";
import { type RunContext, waitOrStop } from "../run-context.ts";

/** Changes a name continuously, so that administrators' sockets get events at any moment. */
export async function renameRepeatedly(context: RunContext, random: Random): Promise<void> {
  const about = context.users.find(({ neverRevoked }) => neverRevoked);
  for (let turn = 0; !context.stopSignal.aborted && about !== undefined; turn += 1) {
    await waitOrStop(random.between(80, 250), context.stopSignal);
    const change = { user_id: about.id, name: `${about.username} ${turn}` };
    await context.owner.command(random.pick(context.nodes), "config/auth/update", change, 1_500);
  }
}
