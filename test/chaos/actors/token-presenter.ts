import type { Random } from "../random.ts";
import { authenticate } from "../recorded-socket.ts";
import { type RunContext, waitOrStop } from "../run-context.ts";

/** Keeps tokens of live and of ended sessions, and presents them at any node. */
export async function presentTokens(context: RunContext, random: Random): Promise<void> {
  while (!context.stopSignal.aborted) {
    await waitOrStop(random.between(80, 300), context.stopSignal);
    const client = random.pick(context.clients);
    const token = random.pick(client.accessTokens);
    const how = { actor: "visitors", token, remote: random.chance(0.3) };
    const entered = await authenticate(context, random.pick(context.nodes), client, how);
    if (entered === undefined) continue;
    entered.use("auth/current_user");
    if (client.testUser.isAdmin) entered.useAsAdmin("config/auth/list");
    await waitOrStop(random.between(50, 400), context.stopSignal);
    entered.socket.drop();
  }
}
