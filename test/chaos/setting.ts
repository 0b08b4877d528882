import { History } from "./history.ts";
import { Owner } from "./owner.ts";
import type { Person } from "./people.ts";
import type { Scene } from "./scene.ts";
import type { World } from "./world.ts";

/** Three users whose sessions may end, and one who may never be logged out. */
const people = ["anna", "bert", "cleo", "dora"].map((username) => ({
  username,
  password: `a long password of ${username}`,
  isAdmin: username !== "bert",
  spared: username === "dora",
}));

/** Creates an owner and users with logins, before the first fault. The actors' own actors are kept in `spawned`. */
export async function setTheScene(world: World, over: AbortSignal, spawned: Promise<void>[]): Promise<Scene> {
  const [first] = world.nodes;
  if (first?.setupCode === undefined) throw new Error("the first node printed no set-up code");
  const owner = await Owner.create(first, first.setupCode);
  const added: Person[] = [];
  for (const person of people) added.push(await owner.addPerson(first, person));
  let sockets = 0;
  return {
    nodes: world.nodes,
    history: new History(),
    owner,
    people: added,
    holdings: [],
    over,
    gatehouse: world.gatehouse,
    spawn: (actor) => void spawned.push(actor),
    socketName() {
      sockets += 1;
      return `s${sockets}`;
    },
  };
}
