import type { Holding } from "../people.ts";
import type { Random } from "../random.ts";
import { rest, type Scene } from "../scene.ts";
import { enter, type Visit } from "../visit.ts";

/**
 * Uses a session: a socket at one node with commands all the time, then a socket at another node. After a loss it
 * reconnects with the same token. Stops once it is told that the session has ended.
 */
export async function hold(scene: Scene, random: Random, holding: Holding, first?: Visit): Promise<void> {
  if (first !== undefined) await stay(scene, random, holding, first);
  while (!scene.over.aborted && !holding.isOver) {
    const [token = ""] = holding.accessTokens;
    const visit = await enter(scene, random.pick(scene.nodes), holding, { actor: "holders", token });
    if (visit === undefined) await rest(random.between(100, 500), scene.over);
    else await stay(scene, random, holding, visit);
  }
}

async function stay(scene: Scene, random: Random, holding: Holding, visit: Visit): Promise<void> {
  const { socket } = visit;
  holding.visit = visit;
  await settleIn(random, holding, visit);
  const leaveAt = performance.now() + random.between(3_000, 9_000);
  while (socket.isOpen && !scene.over.aborted && performance.now() < leaveAt) {
    visit.use("auth/current_user");
    if (random.chance(0.1)) void socket.request("ping");
    await Promise.race([rest(random.between(60, 200), scene.over), socket.closed]);
  }
  if (holding.visit === visit) holding.visit = undefined;
  socket.end();
  await Promise.race([rest(300, scene.over), socket.closed]);
  socket.drop();
}

/** Half of them negotiate suspension, as the SDK does. The others behave like Home Assistant's clients. */
async function settleIn(random: Random, holding: Holding, { socket }: Visit): Promise<void> {
  if (random.chance(0.5)) void socket.request("supported_features", { features: { auth_suspended: 1 } });
  if (holding.person.isAdmin) void socket.request("subscribe_events", { event_type: "user_updated" });
}
