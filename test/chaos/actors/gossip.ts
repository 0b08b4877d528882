import type { Random } from "../random.ts";
import { rest, type Scene } from "../scene.ts";

/** Changes a name all the time, so that administrators' sockets get events that they did not ask for just then. */
export async function gossip(scene: Scene, random: Random): Promise<void> {
  const about = scene.people.find(({ spared }) => spared);
  for (let turn = 0; !scene.over.aborted && about !== undefined; turn += 1) {
    await rest(random.between(80, 250), scene.over);
    const change = { user_id: about.id, name: `${about.username} ${turn}` };
    await scene.owner.command(random.pick(scene.nodes), "config/auth/update", change, 1_500);
  }
}
