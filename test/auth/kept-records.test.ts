import { afterEach, expect, it } from "vitest";

import type { JsonObject, Store } from "../../src/auth/store.ts";
import { openEmbeddedStore } from "../../src/store/embedded/embedded-store.ts";
import { StoreFile } from "../../src/store/embedded/store-file.ts";
import { redisKeys } from "../../src/store/redis/keys.ts";
import { openRedisStore } from "../../src/store/redis/redis-store.ts";
import { home, ownerLogin, startAuthority, type TestAuthority } from "../support/authority.ts";
import { handClock } from "../support/hand-clock.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/** The records of a store: keys with the time of their expiry, null for those without one. */
type Contents = ReadonlyMap<string, number | null>;

interface Backend {
  readonly store: Store;
  contents(): Promise<Contents>;
  dispose(): Promise<void>;
}

const undo: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const dispose of undo.splice(0).reverse()) await dispose();
});

async function embedded(): Promise<Backend> {
  const folder = temporaryFolder();
  const store = await openEmbeddedStore({ folder: folder.path, role: "gateway" });
  return {
    store,
    contents: () => embeddedContents(folder.path),
    async dispose() {
      await store.close();
      folder.remove();
    },
  };
}

async function embeddedContents(folder: string): Promise<Contents> {
  const file = await StoreFile.open(folder);
  const { records, members } = file.tables;
  const contents = new Map<string, number | null>();
  for (const { key, value } of records.getRange()) {
    const end = value.split("|", 2)[1] ?? "";
    contents.set(key.toString(), end === "" ? null : Number(end));
  }
  for (const key of members.getKeys()) contents.set(`index ${key.toString().replace("\0", " ")}`, null);
  await file.close();
  return contents;
}

async function redis(): Promise<Backend> {
  const server = await startRedis();
  const store = await openRedisStore({ url: server.url, timeoutMs: 5_000 });
  return {
    store,
    contents: () => redisContents(server),
    async dispose() {
      await store.close();
      await server.dispose();
    },
  };
}

async function redisContents(server: RedisServer): Promise<Contents> {
  const contents = new Map<string, number | null>();
  const now = Date.now();
  for (const key of (await server.command("KEYS", "*")).split("\n").filter((line) => line !== "")) {
    const left = Number(await server.command("PTTL", key));
    const isIndex = (await server.command("TYPE", key)) === "zset";
    const members = isIndex ? (await server.command("ZRANGE", key, "0", "-1")).split("\n") : [];
    for (const member of members) contents.set(`index ${key} ${member}`, null);
    if (!isIndex) contents.set(key, left < 0 ? null : now + left);
  }
  return contents;
}

const clientId = "https://app.example/";

/** Does everything that leaves records in the store, until nothing of it is live. */
async function liveAndLeave(node: TestAuthority, username: string): Promise<void> {
  const { authority } = node;
  const { user } = await node.user(username);
  const about = { clientId, clientName: null, redirectUri: null, codeChallenge: null };
  const wrong = await authority.logins.start(
    { handler: ["homeassistant", null], purpose: "session", ...about },
    home,
  );
  const input: JsonObject = { username, password: "not the password" };
  await authority.logins.advance({ flowId: flowIdOf(wrong.step), flowSecret: wrong.flowSecret, input }, home);

  const revoked = await node.open(user.id);
  await authority.sessions.refresh({ refreshToken: revoked.refreshToken, clientId, peer: home });
  const of = (sessionIds: readonly string[]) => ({ kind: "sessions", userId: user.id, sessionIds }) as const;
  const longLived = (clientName: string) =>
    authority.sessions.openLongLived({ userId: user.id, clientName, clientIcon: null, days: 3650 });
  const token = await longLived("one that is revoked");
  await authority.revocation.revoke(of([revoked.session.id, token.session.id]), "session_revoked");

  await longLived("one that goes with its user");
  await node.open(user.id);
  await authority.localLogins.setPassword(user.id, "another long password");
  await node.open(user.id);
  await longLived("one more");
  await authority.users.remove(user.id);
}

function flowIdOf(step: object): string {
  return "flow_id" in step ? String(step.flow_id) : "";
}

/** The last epoch, kept for as long as a node may write it again. */
const longestMs = 45 * 60_000;

it.each([
  ["embedded", embedded],
  ["redis", redis],
] as const)(
  "ended things leave the store (%s): every record of them expires, and no later than tokens do",
  async (_, open) => {
    const backend = await open();
    undo.push(backend.dispose);
    const node = await startAuthority({ store: backend.store, clock: handClock(Date.now()) });
    undo.push(node.stop);
    await node.owner();
    await liveAndLeave(node, "first");

    const before = await backend.contents();
    for (const username of ["second", "third"]) await liveAndLeave(node, username);
    const after = await backend.contents();
    const added = [...after].filter(([name]) => !before.has(name));
    expect(added.length).toBeGreaterThan(0);
    expect(added.filter(([, end]) => end === null || end > Date.now() + longestMs)).toEqual([]);
  },
);

it("the log is trimmed to what its opener needs, on both stores", async () => {
  const [server, folder] = [await startRedis(), temporaryFolder()];
  undo.push(server.dispose, async () => folder.remove());
  const onRedis = await openRedisStore({ url: server.url, timeoutMs: 5_000, logKeptMs: 50 });
  const inFile = await openEmbeddedStore({ folder: folder.path, role: "gateway", logKeptMs: 50 });
  undo.push(onRedis.close.bind(onRedis), inFile.close.bind(inFile));
  for (const store of [onRedis, inFile]) {
    const events = Array.from({ length: 500 }, (_, n) => ({ n }));
    await store.commit({ log: events });
    await new Promise((resolve) => setTimeout(resolve, 60));
    await store.commit({ log: [{ last: true }] });
  }
  // Redis trims whole nodes of its stream.
  expect(Number(await server.command("XLEN", redisKeys().log))).toBeLessThanOrEqual(101);
  const inFileEntries = async () => {
    const file = await StoreFile.open(folder.path);
    const count = file.tables.log.getKeysCount();
    await file.close();
    return count;
  };
  await expect.poll(inFileEntries, { timeout: 60_000 }).toBeLessThanOrEqual(1);
});

it("sessions from before a revocation of all are removed when their user logs in or is listed", async () => {
  const backend = await embedded();
  undo.push(backend.dispose);
  const node = await startAuthority({ store: backend.store, clock: handClock(Date.now()) });
  undo.push(node.stop);
  const { user } = await node.user(ownerLogin.username);
  for (let n = 0; n < 5; n += 1) await node.open(user.id);
  await node.authority.revocation.revoke({ kind: "all" }, "session_revoked");
  const sessions = async () =>
    [...(await backend.contents()).keys()].filter((name) => /^session:/.test(name)).length;
  expect(await sessions()).toBe(5);
  // Each login samples some, from a random position on.
  for (let n = 0; n < 20; n += 1) await node.open(user.id);
  expect(await sessions()).toBeLessThan(25);
  await node.authority.revocation.revoke({ kind: "all" }, "session_revoked");
  await node.open(user.id);
  expect(await node.authority.sessions.list(user.id)).toHaveLength(1);
  expect(await sessions()).toBe(1);
});
