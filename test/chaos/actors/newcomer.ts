import type { SessionGrant } from "../../../protocol/flow.ts";
import type { ChaosNode } from "../chaos-node.ts";
import { ChaosSocket } from "../chaos-socket.ts";
import { logInOn } from "../password-login.ts";
import { Holding, type Person } from "../people.ts";
import type { Random } from "../random.ts";
import { rest, type Scene } from "../scene.ts";
import { type Visit, watched } from "../visit.ts";
import { hold } from "./holder.ts";
import { keepFresh } from "./refresher.ts";

/** Maximum of sessions in a run. */
const mostHoldings = 40;

/** Opens a session on a socket, step by step. The socket stays and is the session's first. */
export async function logIn(
  scene: Scene,
  node: ChaosNode,
  person: Person,
): Promise<{ readonly holding: Holding; readonly visit: Visit } | undefined> {
  const socket = await ChaosSocket.open(node.port);
  if (socket === undefined) return undefined;
  const done = scene.history.begin("newcomers", { op: "login", user: person.id, node: node.name });
  const admitted = socket.admitted(15_000);
  const grant = await logInOn<SessionGrant>(socket, person);
  if (grant === undefined || grant === "refused") {
    done(grant === "refused" ? "fail" : "info");
    socket.drop();
    return undefined;
  }
  done("ok", { session: grant.session_id });
  const holding = new Holding(person, grant);
  scene.holdings.push(holding);
  await admitted;
  const about = { ...holding.subject, node: node.name, socket: scene.socketName() };
  return { holding, visit: watched(scene, socket, { ...about, holding, actor: "holders" }) };
}

/** Every user logs in repeatedly, from more devices. */
export async function comeIn(scene: Scene, random: Random): Promise<void> {
  while (!scene.over.aborted && scene.holdings.length < mostHoldings) {
    await rest(random.between(300, 900), scene.over);
    const entered = await logIn(scene, random.pick(scene.nodes), random.pick(scene.people));
    if (entered !== undefined) settle(scene, random, entered.holding, entered.visit);
  }
}

/** From now on the session's own actors run. */
export function settle(scene: Scene, random: Random, holding: Holding, visit: Visit): void {
  scene.spawn(hold(scene, random.fork(`hold ${holding.session}`), holding, visit));
  scene.spawn(keepFresh(scene, random.fork(`refresh ${holding.session}`), holding));
}
