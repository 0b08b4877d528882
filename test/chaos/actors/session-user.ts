import type { Random } from "../random.ts";
import { authenticate, type RecordedSocket } from "../recorded-socket.ts";
import { type RunContext, waitOrStop } from "../run-context.ts";
import type { SessionClient } from "../session-client.ts";

/**
 * Uses a session: a socket at one node with commands all the time, then a socket at another node. After a loss it
 * reconnects with the same token. Stops once it is told that the session has ended.
 */
export async function useSession(
  context: RunContext,
  random: Random,
  client: SessionClient,
  first?: RecordedSocket,
): Promise<void> {
  if (first !== undefined) await useSocket(context, random, client, first);
  while (!context.stopSignal.aborted && !client.hasEnded) {
    const [token = ""] = client.accessTokens;
    const recorded = await authenticate(context, random.pick(context.nodes), client, {
      actor: "holders",
      token,
    });
    if (recorded === undefined) await waitOrStop(random.between(100, 500), context.stopSignal);
    else await useSocket(context, random, client, recorded);
  }
}

async function useSocket(
  context: RunContext,
  random: Random,
  client: SessionClient,
  recorded: RecordedSocket,
): Promise<void> {
  const { socket } = recorded;
  client.recorded = recorded;
  await negotiateFeatures(random, client, recorded);
  const leaveAt = performance.now() + random.between(3_000, 9_000);
  while (socket.isOpen && !context.stopSignal.aborted && performance.now() < leaveAt) {
    recorded.use("auth/current_user");
    if (random.chance(0.1)) void socket.request("ping");
    await Promise.race([waitOrStop(random.between(60, 200), context.stopSignal), socket.closed]);
  }
  if (client.recorded === recorded) client.recorded = undefined;
  socket.end();
  await Promise.race([waitOrStop(300, context.stopSignal), socket.closed]);
  socket.drop();
}

/** Half of them negotiate suspension, as the SDK does. The others behave like Home Assistant's clients. */
async function negotiateFeatures(
  random: Random,
  client: SessionClient,
  { socket }: RecordedSocket,
): Promise<void> {
  if (random.chance(0.5)) void socket.request("supported_features", { features: { auth_suspended: 1 } });
  if (client.testUser.isAdmin) void socket.request("subscribe_events", { event_type: "user_updated" });
}
