import type { Random } from "../random.ts";
import { rest, type Scene } from "../scene.ts";
import { enter } from "../visit.ts";

/** Keeps tokens of live and of ended sessions, and presents them at any node. */
export async function visit(scene: Scene, random: Random): Promise<void> {
  while (!scene.over.aborted) {
    await rest(random.between(80, 300), scene.over);
    const holding = random.pick(scene.holdings);
    const token = random.pick(holding.accessTokens);
    const how = { actor: "visitors", token, remote: random.chance(0.3) };
    const entered = await enter(scene, random.pick(scene.nodes), holding, how);
    if (entered === undefined) continue;
    entered.use("auth/current_user");
    if (holding.person.isAdmin) entered.administer("config/auth/list");
    await rest(random.between(50, 400), scene.over);
    entered.socket.drop();
  }
}
