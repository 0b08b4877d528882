import type { ChaosNode } from "./chaos-node.ts";
import { type Answer, ChaosSocket } from "./chaos-socket.ts";
import type { Person } from "./people.ts";

interface SessionGrant {
  readonly session_id: string;
  readonly access_token: string;
}

/** The owner of an installation, who may do everything, through whatever node can be reached. */
export class Owner {
  readonly #token: string;
  readonly #sockets = new Map<string, ChaosSocket>();

  constructor(token: string) {
    this.#token = token;
  }

  /** Sets the installation up with the code that its first node printed. */
  static async create(node: ChaosNode, setupCode: string): Promise<Owner> {
    const socket = await ChaosSocket.open(node.port);
    const answer = await socket?.request("auth/onboarding/create_owner", {
      ...{ setup_code: setupCode, name: "Olga", username: "olga", password: "a long password of the owner" },
    });
    socket?.end();
    const { session } = certain<{ session: SessionGrant }>(answer, "the owner");
    return new Owner(session.access_token);
  }

  /** One command on the owner's socket at that node; one that must be opened first may fail to be. */
  async command(node: ChaosNode, type: string, fields: object, deadlineMs = 6_000): Promise<Answer> {
    const socket = await this.#socketAt(node);
    return (await socket?.request(type, fields, deadlineMs)) ?? { kind: "closed", code: 0 };
  }

  async addPerson(node: ChaosNode, person: Omit<Person, "id">): Promise<Person> {
    const { username, password, isAdmin } = person;
    const group = isAdmin ? "system-admin" : "system-users";
    const created = await this.command(node, "config/auth/create", { name: username, group_ids: [group] });
    const { user } = certain<{ user: { id: string } }>(created, username);
    const login = { user_id: user.id, username, password };
    const added = await this.command(node, "config/auth_provider/homeassistant/create", login);
    certain<null>(added, `the login of ${username}`);
    return { ...person, id: user.id };
  }

  end(): void {
    for (const socket of this.#sockets.values()) socket.drop();
  }

  async #socketAt(node: ChaosNode): Promise<ChaosSocket | undefined> {
    const open = this.#sockets.get(node.name);
    if (open?.isOpen) return open;
    const socket = await ChaosSocket.open(node.port);
    if (socket === undefined) return undefined;
    if ((await socket.authenticate(this.#token)).kind !== "ok") {
      socket.drop();
      return undefined;
    }
    this.#sockets.set(node.name, socket);
    return socket;
  }
}

/** For what happens before the first fault. */
function certain<T>(answer: Answer | undefined, what: string): T {
  if (answer?.kind === "answer" && answer.message.success === true) return answer.message.result as T;
  throw new Error(`could not make ${what}: ${JSON.stringify(answer)}`);
}
