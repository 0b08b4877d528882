import type { SessionGrant } from "../../../protocol/flow.ts";
import type { ChaosNode } from "../chaos-node.ts";
import { ChaosSocket } from "../chaos-socket.ts";
import { logInOn } from "../password-login.ts";
import type { Random } from "../random.ts";
import { type RecordedSocket, recordSocket } from "../recorded-socket.ts";
import { type RunContext, waitOrStop } from "../run-context.ts";
import { SessionClient, type TestUser } from "../session-client.ts";
import { refreshRepeatedly } from "./refresher.ts";
import { useSession } from "./session-user.ts";

/** Maximum of sessions in a run. */
const maxSessions = 40;

/** Opens a session on a socket, step by step. The socket stays and is the session's first. */
export async function logIn(
  context: RunContext,
  node: ChaosNode,
  person: TestUser,
): Promise<{ readonly client: SessionClient; readonly recorded: RecordedSocket } | undefined> {
  const socket = await ChaosSocket.open(node.port);
  if (socket === undefined) return undefined;
  const done = context.history.begin("newcomers", { op: "login", user: person.id, node: node.name });
  const admitted = socket.admitted(15_000);
  const grant = await logInOn<SessionGrant>(socket, person);
  if (grant === undefined || grant === "refused") {
    done(grant === "refused" ? "fail" : "info");
    socket.drop();
    return undefined;
  }
  done("ok", { session: grant.session_id });
  const client = new SessionClient(person, grant);
  context.clients.push(client);
  await admitted;
  const about = { ...client.subject, node: node.name, socket: context.socketName() };
  return { client, recorded: recordSocket(context, socket, { ...about, client, actor: "holders" }) };
}

/** Every user logs in repeatedly, from more devices. */
export async function logInRepeatedly(context: RunContext, random: Random): Promise<void> {
  while (!context.stopSignal.aborted && context.clients.length < maxSessions) {
    await waitOrStop(random.between(300, 900), context.stopSignal);
    const entered = await logIn(context, random.pick(context.nodes), random.pick(context.users));
    if (entered !== undefined) startSessionActors(context, random, entered.client, entered.recorded);
  }
}

/** From now on the session's own actors run. */
export function startSessionActors(
  context: RunContext,
  random: Random,
  client: SessionClient,
  recorded: RecordedSocket,
): void {
  context.spawn(useSession(context, random.fork(`hold ${client.session}`), client, recorded));
  context.spawn(refreshRepeatedly(context, random.fork(`refresh ${client.session}`), client));
}
