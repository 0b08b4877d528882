import { afterEach, describe, expect, it } from "vitest";

import { closeCodes } from "../../protocol/close-codes.ts";
import type { Safeguard } from "../../src/auth/safeguards.ts";
import { cheapScrypt } from "../support/authority.ts";
import { startProcess } from "../support/child-process.ts";
import { gatehouse, gatehouseJson } from "../support/command-line.ts";
import type { StoreKind } from "../support/gateway.ts";
import { startRedis } from "../support/redis-server.ts";
import { type Message, openSocket, type SocketClient } from "../support/socket-client.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { within } from "../support/within.ts";

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

/** L of the lease, and what a look more or less takes. */
const leaseIsOverMs = 3_500;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * A gateway process is stopped (SIGSTOP) for longer than its lease, with input waiting in the kernel, and a session is
 * revoked meanwhile by another process. When it goes on, the input is there before the log can be read.
 */
async function wakeUp(
  transport: "ws" | "uws",
  kind: StoreKind,
  disabledSafeguards: readonly Safeguard[] = [],
) {
  const folder = temporaryFolder();
  undo.push(() => folder.remove());
  const redis = kind === "redis" ? await startRedis() : undefined;
  if (redis) undo.push(() => redis.dispose());
  const store = redis === undefined ? {} : { store: redis.url };
  const where = ["--data", folder.path, ...(redis === undefined ? [] : ["--store", redis.url])];
  const add = ["users", "add", "Paula", "--username", "paula", "--owner", "--password-stdin", ...where];
  expect(await gatehouse(add, { stdin: "correct horse battery\n" })).toMatchObject({ code: 0 });
  const issue = (name: string) =>
    gatehouseJson<{ access_token: string; session_id: string }>([
      ...["tokens", "issue", "--user", "paula", "--name", name, ...where],
    ]);

  const password = { scrypt_n: cheapScrypt.N, workers: 1 };
  // Two cores run everything at once here; how soon a lost store is noticed has tests of its own.
  const config = { ...store, port: 0, data: folder.path, transport, password, store_timeout_ms: 5_000 };
  const script = new URL("../server/serve-process.ts", import.meta.url);
  const node = startProcess({ script, args: [JSON.stringify(config), JSON.stringify(disabledSafeguards)] });
  undo.push(async () => {
    node.kill("SIGKILL");
    await node.exited;
  });
  const { port } = JSON.parse(await node.line(/^\{/)) as { port: number };
  const [lost, kept] = [await issue("lost"), await issue("kept")];
  const enter = async (token: string): Promise<SocketClient> => {
    const client = await openSocket(port);
    undo.push(() => client.terminate());
    expect(await client.authenticate(token)).toMatchObject({ type: "auth_ok" });
    await client.call("supported_features", { features: { auth_suspended: 1 } });
    return client;
  };
  const [revoked, other] = [await enter(lost.access_token), await enter(kept.access_token)];

  node.kill("SIGSTOP");
  const stoppedAt = performance.now();
  for (const client of [revoked, other]) {
    client.send({ id: 5, type: "supported_features", features: {} });
    client.send({ id: 6, type: "config/auth/create", name: `by ${client === other ? "other" : "revoked"}` });
  }
  const revoke = ["revoke", "--session", lost.session_id, ...where];
  expect(await gatehouse(revoke)).toMatchObject({ code: 0 });
  await pause(leaseIsOverMs - (performance.now() - stoppedAt));
  node.kill("SIGCONT");

  const { code } = await within(revoked.closed, "the close");
  const list = () => gatehouseJson<{ name: string }[]>(["users", "list", ...where]);
  const names = async () => (await list()).map(({ name }) => name);
  return { code, unread: revoked.unread as Message[], other, names };
}

describe("a process that was stopped, with input waiting", () => {
  it.each([
    ["ws", "embedded"],
    ["ws", "redis"],
    ["uws", "redis"],
  ] as const)(
    "on %s and %s: carries nothing out for who was revoked meanwhile, and goes on with the others",
    async (transport, kind) => {
      const { code, unread, other, names } = await wakeUp(transport, kind);
      expect(code).toBe(closeCodes.session_revoked.number);
      expect(unread.filter(({ type }) => type !== "auth_suspended")).toEqual([]);
      for (const id of [5, 6])
        expect(await other.find((message) => message.id === id, "the answer")).toMatchObject({
          success: true,
        });
      expect(await names()).toEqual(["Paula", "by other"]);
    },
  );

  it("without the looks before input and output it answers who was revoked (negative control)", async () => {
    const { code, unread } = await wakeUp("ws", "redis", ["input_check", "flush_check"]);
    expect(code).toBe(closeCodes.session_revoked.number);
    expect(unread).toContainEqual({ id: 5, type: "result", success: true, result: null });
  });
});
