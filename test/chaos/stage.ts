import { logIn } from "./actors/newcomer.ts";
import type { Answer } from "./chaos-socket.ts";
import { check, type Violation } from "./checker.ts";
import type { Holding, Person } from "./people.ts";
import type { Scene } from "./scene.ts";
import { setTheScene } from "./setting.ts";
import { postForm } from "./token-endpoint.ts";
import type { Visit } from "./visit.ts";
import { startWorld, type World, type WorldOptions } from "./world.ts";

/** A deployment in which a test directs every step. What happens is recorded and checked as in a run. */
export interface Stage {
  readonly world: World;
  readonly scene: Scene;
  person(username: string): Person;
  /** A new session with its first socket at that node. */
  logIn(username: string, node: number): Promise<{ readonly holding: Holding; readonly visit: Visit }>;
  /** Ends a session by its refresh token at that node. Rejects if it was not acknowledged. */
  revoke(holding: Holding, node: number): Promise<void>;
  violations(): readonly Violation[];
  dispose(): Promise<void>;
}

/** How late this process, which has nothing else to do, may read what was sent in time on a busy machine, ms. */
const slackMs = 500;

export async function setStage(options: Omit<WorldOptions, "storeTimeoutMs">): Promise<Stage> {
  const world = await startWorld({ storeTimeoutMs: 1_000, ...options });
  const stop = new AbortController();
  const scene = await setTheScene(world, stop.signal, []).catch(async (error: unknown) => {
    await world.dispose();
    throw error;
  });
  const person = (username: string) => {
    const found = scene.people.find((one) => one.username === username);
    if (found === undefined) throw new RangeError(`nobody is called ${username}`);
    return found;
  };
  return {
    world,
    scene,
    person,
    logIn: async (username, at) => await loggedIn(scene, person(username), at),
    revoke: (holding, node) => revoke(scene, holding, node),
    violations: () => check(scene.history.entries, { slackMs }),
    async dispose() {
      stop.abort();
      scene.owner.end();
      await world.dispose();
    },
  };
}

async function loggedIn(scene: Scene, who: Person, at: number) {
  for (let tries = 0; tries < 20; tries += 1) {
    const entered = await logIn(scene, nodeAt(scene, at), who);
    if (entered !== undefined) return entered;
  }
  throw new Error(`${who.username} cannot log in`);
}

export function nodeAt({ nodes }: Scene, at: number) {
  const node = nodes[at];
  if (node === undefined) throw new RangeError(`there is no node ${at}`);
  return node;
}

async function revoke(scene: Scene, { subject, refreshToken }: Holding, at: number): Promise<void> {
  const node = nodeAt(scene, at);
  const done = scene.history.begin("revoker", { op: "revoke", node: node.name, target: subject });
  const answer = await postForm(node.port, "/auth/revoke", { token: refreshToken });
  const acknowledged = answer.kind === "answer" && answer.status === 200;
  done(acknowledged ? "ok" : "info");
  if (!acknowledged) throw new Error(`the revoke was not acknowledged: ${JSON.stringify(answer)}`);
}

export function succeeded(answer: Answer): boolean {
  return answer.kind === "answer" && answer.message.success === true;
}
