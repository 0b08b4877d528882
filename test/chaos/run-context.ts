import type { CommandResult } from "../support/command-line.ts";
import type { ChaosNode } from "./chaos-node.ts";
import type { Deployment } from "./deployment.ts";
import { History } from "./history.ts";
import { Owner } from "./owner.ts";
import type { SessionClient, TestUser } from "./session-client.ts";

/** What the actors of a run share. */
export interface RunContext {
  readonly nodes: readonly ChaosNode[];
  readonly history: History;
  readonly owner: Owner;
  readonly users: readonly TestUser[];
  /** May read the topics below `chaos`, by a group of their own, until that is taken from it. */
  readonly reader: TestUser;
  readonly readersGroup: string;
  /** Every session that was opened, also ended ones; logins add to it. */
  readonly clients: SessionClient[];
  /** Aborted when the actors must stop. */
  readonly stopSignal: AbortSignal;
  /** Starts a parallel actor, which the run waits for. It never rejects. */
  spawn(actor: Promise<void>): void;
  socketName(): string;
  /** The command line on the same store. */
  gatehouse(args: readonly string[]): Promise<CommandResult>;
}

/** Waits, and ends early if the actors must stop. */
export function waitOrStop(ms: number, over: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (over.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      over.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    over.addEventListener("abort", done);
  });
}

/** Three users whose sessions may end, and one who may never be logged out. */
const people = ["anna", "bert", "cleo", "dora"].map((username) => ({
  username,
  password: `a long password of ${username}`,
  isAdmin: username !== "bert",
  neverRevoked: username === "dora",
}));

const emil = {
  username: "emil",
  password: "a long password of emil",
  isAdmin: false,
  neverRevoked: true,
};

/** Creates an owner and users with logins, before the first fault. The actors' own actors are kept in `spawned`. */
export async function createRunContext(
  deployment: Deployment,
  stopSignal: AbortSignal,
  spawned: Promise<void>[],
): Promise<RunContext> {
  const [first] = deployment.nodes;
  if (first?.setupCode === undefined) throw new Error("the first node printed no set-up code");
  const owner = await Owner.create(first, first.setupCode);
  const added: TestUser[] = [];
  for (const person of people) added.push(await owner.addPerson(first, person));
  const readersGroup = await owner.addGroup(first, {
    name: "Readers",
    policy: { topics: { patterns: { "chaos/#": { read: true } } } },
  });
  const reader = await owner.addPerson(first, emil, readersGroup);
  let sockets = 0;
  return {
    nodes: deployment.nodes,
    history: new History(),
    owner,
    users: added,
    reader,
    readersGroup,
    clients: [],
    stopSignal,
    gatehouse: deployment.gatehouse,
    spawn(actor) {
      // `run` waits for it at the end. Until then a failure must not end the process, with the other seeds in it.
      actor.catch(() => undefined);
      spawned.push(actor);
    },
    socketName() {
      sockets += 1;
      return `s${sockets}`;
    },
  };
}
