import { ChaosSocket } from "../chaos-socket.ts";
import { logInOn } from "../password-login.ts";
import type { Random } from "../random.ts";
import { type RunContext, waitOrStop } from "../run-context.ts";
import { fingerprint } from "../session-client.ts";
import { postForm } from "../token-endpoint.ts";

const clientId = "http://127.0.0.1:8123/";
const request = { client_id: clientId, redirect_uri: "http://127.0.0.1:8123/callback", for: "code" };

/**
 * Logs in for an authorization code, and has two nodes redeem it at the same moment and once more later. The second use
 * ends the session that the first one opened, so no actor continues it.
 */
export async function redeem(context: RunContext, random: Random): Promise<void> {
  while (!context.stopSignal.aborted) {
    await waitOrStop(random.between(600, 1_500), context.stopSignal);
    const person = random.pick(context.users);
    const socket = await ChaosSocket.open(random.pick(context.nodes).port);
    if (socket === undefined) continue;
    const code = await logInOn<unknown>(socket, person, request);
    socket.drop();
    if (typeof code !== "string" || code === "refused") continue;
    const once = () => redeemAt(context, random.pick(context.nodes), person.id, code);
    await Promise.all([once(), once()]);
    await waitOrStop(random.between(100, 800), context.stopSignal);
    await once();
  }
}

async function redeemAt(
  { history }: RunContext,
  node: RunContext["nodes"][number],
  user: string,
  code: string,
): Promise<void> {
  const secret = fingerprint(code);
  const done = history.begin("redeemers", { op: "redeem", secret, user, node: node.name });
  const form = { grant_type: "authorization_code", code, client_id: clientId };
  const answer = await postForm(node.port, "/auth/token", form);
  if (answer.kind === "lost" || answer.status >= 500) done("info");
  else done(answer.status === 200 ? "ok" : "fail");
}
