import { afterEach, describe, expect, it } from "vitest";

import { gatehouse, gatehouseJson, type ServeProcess, serve } from "../support/command-line.ts";
import { sharedIssuer, storeKinds } from "../support/gateway.ts";
import { startRedis } from "../support/redis-server.ts";
import { openSocket, type SocketClient } from "../support/socket-client.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

interface History {
  /** Users whose creation was answered. */
  readonly created: string[];
  /** Users whose removal was answered. */
  readonly removed: string[];
  /** Users whose removal was refused as temporary, and may have been carried out. */
  readonly refused: string[];
  /** Long-lived sessions whose end was answered, and those that were made and not ended. */
  readonly ended: string[];
}

interface Answer {
  readonly id?: unknown;
  readonly success?: boolean;
  readonly result?: unknown;
}

/** Commands of one socket, several at once: the answers may come in any order. */
class Calls {
  readonly #socket: SocketClient;
  readonly #waiting = new Map<unknown, (answer: Answer) => void>();
  readonly #over: Promise<never>;
  #lastId = 0;

  constructor(socket: SocketClient) {
    this.#socket = socket;
    this.#over = this.#read();
    this.#over.catch(() => undefined);
  }

  /** Rejects if the connection is lost before the answer. */
  async call(type: string, fields: object = {}): Promise<Answer> {
    this.#lastId += 1;
    const id = this.#lastId;
    const answer = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve));
    this.#socket.send({ id, type, ...fields });
    return await Promise.race([answer, this.#over]);
  }

  async #read(): Promise<never> {
    for (;;) {
      const message = (await this.#socket.next()) as Answer;
      this.#waiting.get(message.id)?.(message);
    }
  }
}

/** Changes things on a socket, several at once, and writes down what was answered, until the connection is lost. */
async function work(socket: Calls, round: number, history: History, answered: () => void): Promise<void> {
  const one = async (index: number): Promise<void> => {
    for (let turn = 0; ; turn += 1) {
      const name = `user ${round} ${index} ${turn}`;
      const created = await socket.call("config/auth/create", { name });
      // A busy machine refuses some as temporary, which says nothing of what was carried out.
      if (created.success !== true) continue;
      history.created.push(name);
      answered();
      if (turn % 3 === 0) {
        const { id } = (created.result as { user: { id: string } }).user;
        const deleted = await socket.call("config/auth/delete", { user_id: id });
        if (deleted.success === true) history.removed.push(name);
        else history.refused.push(name);
        answered();
      }
      if (turn % 3 === 1) {
        await endSession(socket, `${name} token`, history);
        answered();
      }
    }
  };
  await Promise.allSettled(Array.from({ length: 4 }, (_, index) => one(index)));
}

async function endSession(socket: Calls, name: string, history: History) {
  await socket.call("auth/long_lived_access_token", { lifespan: 1, client_name: name });
  const list = await socket.call("auth/refresh_tokens");
  if (list.success !== true) return;
  const found = (list.result as { id: string; client_name: string }[]).find((it) => it.client_name === name);
  if (found === undefined) return;
  const ended = await socket.call("auth/delete_refresh_token", { refresh_token_id: found.id });
  if (ended.success === true) history.ended.push(found.id);
}

/** The gateway has another port after each start, and a token is issued before the first. */
const env = { GATEHOUSE_TOKENS_ISSUER: sharedIssuer, GATEHOUSE_STEP_UP_LONG_LIVED_TOKENS: "off" };

for (const kind of storeKinds) {
  describe(`a gateway on ${kind} that is killed while it answers`, () => {
    it("loses no change that it acknowledged", async () => {
      const folder = temporaryFolder();
      undo.push(() => folder.remove());
      const redis = kind === "redis" ? await startRedis() : undefined;
      if (redis) undo.push(() => redis.dispose());
      const where = ["--data", folder.path, ...(redis ? ["--store", redis.url] : [])];
      const add = ["users", "add", "Paula", "--username", "paula", "--owner", "--password-stdin", ...where];
      expect(await gatehouse(add, { stdin: "correct horse battery\n", env })).toMatchObject({ code: 0 });
      const issue = ["tokens", "issue", "--user", "paula", "--name", "work", ...where];
      const { access_token } = await gatehouseJson<{ access_token: string }>(issue, { env });

      const history: History = { created: [], removed: [], refused: [], ended: [] };
      for (let round = 0; round < 5; round += 1) {
        const gateway: ServeProcess = await serve(where, { env });
        undo.push(() => gateway.kill("SIGKILL"));
        const socket = await openSocket(gateway.port);
        await socket.authenticate(access_token);
        // While others of its answers are under way.
        let left = 15 + Math.floor(Math.random() * 40);
        await work(new Calls(socket), round, history, () => {
          left -= 1;
          if (left === 0) void gateway.kill("SIGKILL");
        });
        expect(await gateway.exited).toBe("SIGKILL");
      }

      const users = await gatehouseJson<{ name: string }[]>(["users", "list", ...where], { env });
      const names = new Set(users.map(({ name }) => name));
      const sessions = await gatehouseJson<{ id: string }[]>(["sessions", "list", ...where], { env });
      const ids = new Set(sessions.map(({ id }) => id));
      const removed = new Set([...history.removed, ...history.refused]);
      // A removal may have been carried out without its answer: those are the last ones of each round.
      const lost = history.created.filter((name) => !names.has(name) && !removed.has(name));
      const underWay = lost.filter((name) => Number(name.split(" ")[3]) % 3 === 0);
      expect(history.created.length).toBeGreaterThan(20);
      expect(history.removed.length).toBeGreaterThan(5);
      expect(history.ended.length).toBeGreaterThan(5);
      expect(lost.length - underWay.length).toBe(0);
      expect(underWay.length).toBeLessThanOrEqual(5 * 4);
      expect(history.removed.filter((name) => names.has(name))).toEqual([]);
      expect(history.ended.filter((id) => ids.has(id))).toEqual([]);
    });
  });
}
