import { setTimeout as wait } from "node:timers/promises";

import { type ErrorName, errorCodes } from "../../protocol/errors.ts";
import type { ChaosNode } from "./chaos-node.ts";
import { type Answer, ChaosSocket } from "./chaos-socket.ts";
import type { TestUser } from "./session-client.ts";

interface SessionGrant {
  readonly session_id: string;
  readonly access_token: string;
}

/** The owner of an installation, with all rights, through any reachable node. */
export class Owner {
  readonly #token: string;
  readonly #sockets = new Map<string, ChaosSocket>();

  constructor(token: string) {
    this.#token = token;
  }

  /** Creates the owner with the code that the first node printed. */
  static async create(node: ChaosNode, setupCode: string): Promise<Owner> {
    const answer = await carriedOut(async () => {
      const socket = await ChaosSocket.open(node.port);
      const created = await socket?.request("auth/onboarding/create_owner", {
        setup_code: setupCode,
        name: "Olga",
        username: "olga",
        password: "a long password of the owner",
      });
      socket?.end();
      return created;
    });
    const { session } = certain<{ session: SessionGrant }>(answer, "the owner");
    return new Owner(session.access_token);
  }

  /** One command on the owner's socket at that node. If the socket must be opened first, that may fail. */
  async command(node: ChaosNode, type: string, fields: object, deadlineMs = 6_000): Promise<Answer> {
    const socket = await this.#socketAt(node);
    return (await socket?.request(type, fields, deadlineMs)) ?? { kind: "closed", code: 0 };
  }

  /** Returns its id. */
  async addGroup(
    node: ChaosNode,
    group: { readonly name: string; readonly policy: object },
  ): Promise<string> {
    return (await this.#certain<{ group_id: string }>(node, "gatehouse/groups/create", group)).group_id;
  }

  async addPerson(
    node: ChaosNode,
    person: Omit<TestUser, "id">,
    group = person.isAdmin ? "system-admin" : "system-users",
  ): Promise<TestUser> {
    const { username, password } = person;
    const fields = { name: username, group_ids: [group] };
    const { user } = await this.#certain<{ user: { id: string } }>(node, "config/auth/create", fields);
    const login = { user_id: user.id, username, password };
    await this.#certain<null>(node, "config/auth_provider/homeassistant/create", login, "credential_exists");
    return { ...person, id: user.id };
  }

  /** `done`: the error that says that it was carried out before, by a try whose answer was lost. */
  async #certain<T>(node: ChaosNode, type: string, fields: object, done?: string): Promise<T> {
    const answer = await carriedOut(() => this.command(node, type, fields));
    if (done !== undefined && answer?.kind === "answer" && codeOf(answer.message.error) === done)
      return null as T;
    return certain<T>(answer, `${type} before the first fault`);
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

const patienceMs = 60_000;

/**
 * A command before the first fault. On a busy machine it may be refused as temporary, or its answer may be lost, so it is
 * sent until it is carried out.
 */
async function carriedOut(send: () => Promise<Answer | undefined>): Promise<Answer | undefined> {
  let answer: Answer | undefined;
  const end = performance.now() + patienceMs;
  while (performance.now() < end) {
    answer = await send();
    if (answer?.kind === "answer" && !isTemporary(answer.message.error)) break;
    await wait(100);
  }
  return answer;
}

function codeOf(error: unknown): unknown {
  return ((error ?? {}) as { readonly code?: unknown }).code;
}

function isTemporary(error: unknown): boolean {
  const code = codeOf(error);
  return (
    typeof code === "string" &&
    Object.hasOwn(errorCodes, code) &&
    "retryable" in errorCodes[code as ErrorName]
  );
}

/** For operations before the first fault. */
function certain<T>(answer: Answer | undefined, what: string): T {
  if (answer?.kind === "answer" && answer.message.success === true) return answer.message.result as T;
  throw new Error(`could not make ${what}: ${JSON.stringify(answer)}`);
}
