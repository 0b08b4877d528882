import type { Random } from "../random.ts";
import { rest, type Scene } from "../scene.ts";

/** Changes a name continuously, so that administrators' sockets get events at any moment. */
export async function gossip(scene: Scene, random: Random): Promise<void> {
  const about = scene.people.find(({ spared }) => spared);
  for (let turn = 0; !scene.over.aborted && about !== undefined; turn += 1) {
    await rest(random.between(80, 250), scene.over);
    const change = { user_id: about.id, name: `${about.username} ${turn}` };
    await scene.owner.command(random.pick(scene.nodes), "config/auth/update", change, 1_500);
  }
}
