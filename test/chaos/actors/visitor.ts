import type { Random } from "../random.ts";
import { rest, type Scene } from "../scene.ts";
import { enter } from "../visit.ts";

/** Somebody who keeps tokens, of living and of dead sessions, and tries them at whatever node. */
export async function visit(scene: Scene, random: Random): Promise<void> {
  while (!scene.over.aborted) {
    await rest(random.between(80, 300), scene.over);
    const holding = random.pick(scene.holdings);
    const token = random.pick(holding.accessTokens);
    const entered = await enter(scene, random.pick(scene.nodes), holding, { actor: "visitors", token });
    if (entered === undefined) continue;
    entered.use("auth/current_user");
    await rest(random.between(50, 400), scene.over);
    entered.socket.drop();
  }
}
