// Gatehouse with its default configuration, with metrics and audit records, and an owner. Arguments: transport, and
// configuration overrides as JSON in the structure of `gatehouse.yaml`.
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { defineConfig } from "../../src/server/config/load.ts";
import { createGateway } from "../../src/server/gateway.ts";
import type { Post } from "../load/posts.ts";
import { answer } from "../support/answering.ts";
import { monotonicNow } from "../support/machine.ts";

export interface OpenedSession {
  readonly id: string;
  readonly accessToken: string;
  readonly refreshToken: string;
}

const [, , transport, otherwise = "{}"] = process.argv;
const data = mkdtempSync(path.join(tmpdir(), "gatehouse-bench-"));
process.on("exit", () => rmSync(data, { recursive: true, force: true }));
const gateway = await createGateway(
  defineConfig({
    port: 0,
    data,
    transport: transport === "uws" ? "uws" : "ws",
    password: { scrypt_n: 1024, workers: 1 },
    limits: {
      unauthenticated_per_address: 100_000,
      unauthenticated: 100_000,
      sockets_per_session: 100_000,
      sockets_per_user: 100_000,
      sessions_per_user: 1_000_000,
    },
    ...(JSON.parse(otherwise) as object),
  }),
);
const { authority } = gateway;
let cutAt = Number.NaN;
// Registered before the gateway's own listener, which closes the sockets: at this moment the store has acknowledged the
// commit.
authority.revocation.onSecurityEvent(() => {
  cutAt = monotonicNow();
  return 0;
});
const { port } = await gateway.start();
const ownerId = (await authority.onboarding.required()) ? (await makeOwner()).id : await findOwner();

async function makeOwner(): Promise<{ readonly id: string }> {
  return await authority.onboarding.createOwner({
    setupCode: await authority.onboarding.setupCode(),
    name: "Owner",
    username: "owner",
    password: "correct horse battery",
  });
}

/** Another node on the same store was first. */
async function findOwner(): Promise<string> {
  const owner = (await authority.users.list()).find(({ isOwner }) => isOwner);
  if (owner === undefined) throw new Error("the owner is gone");
  return owner.id;
}

async function standingOf(userId: string) {
  const found = await authority.users.read(userId);
  if (found === undefined) throw new Error("the user is gone");
  return { user: found.user, userVersion: found.version, userEpoch: found.epoch };
}

const open = (standing: Awaited<ReturnType<typeof standingOf>>, rotates: boolean) =>
  authority.sessions.open({
    ...standing,
    credential: null,
    clientId: null,
    clientName: null,
    rotates,
    assurance: 1,
    amr: ["pwd"],
    authenticatedAt: Date.now(),
    peer: { address: "127.0.0.1" },
  });

export interface SessionsWanted {
  readonly n: number;
  readonly rotates?: boolean;
  /** Default: the owner's. */
  readonly userId?: string;
}

/** Separate sessions, as logins open them. */
async function sessions({ n, rotates = false, userId = ownerId }: SessionsWanted): Promise<OpenedSession[]> {
  const standing = await standingOf(userId);
  const opened: OpenedSession[] = [];
  while (opened.length < n) {
    const size = Math.min(100, n - opened.length);
    const batch = await Promise.all(Array.from({ length: size }, () => open(standing, rotates)));
    opened.push(
      ...batch.map(({ accessToken, refreshToken, session: { id } }) => ({ accessToken, refreshToken, id })),
    );
  }
  return opened;
}

/** Each token is of a session of its own. */
async function mint({ n }: { n: number }): Promise<string[]> {
  return (await sessions({ n })).map(({ accessToken }) => accessToken);
}

/** Tokens of so many people, each in a group of their own with a policy of its own. All may read the topics of the bench. */
async function members({ n, groups }: { n: number; groups: number }): Promise<string[]> {
  const tokens: string[] = [];
  for (let nth = 0; nth < groups; nth += 1) {
    const patterns = { all: { read: true }, "+": { read: true }, [`only/${nth}/#`]: { read: true } } as const;
    const { group } = await authority.groups.create({
      name: `Group ${nth}`,
      policy: { topics: { patterns } },
    });
    const { id } = await authority.users.create({ name: `Person ${nth}`, groupIds: [group.id] });
    const opened = await sessions({ n: Math.ceil(n / groups), userId: id });
    tokens.push(...opened.map(({ accessToken }) => accessToken));
  }
  return tokens.slice(0, n);
}

export interface RevokeTimes {
  /** Milliseconds of `monotonicNow`: the call; the store's acknowledgement of the commit; the return of `revoke`. */
  readonly called: number;
  readonly committed: number;
  readonly returned: number;
}

async function revoke(target: { userId?: string; sessionId?: string }): Promise<RevokeTimes> {
  const { userId = ownerId, sessionId } = target;
  const called = monotonicNow();
  await authority.revocation.revoke(
    sessionId === undefined
      ? { kind: "user", userId }
      : { kind: "sessions", userId, sessionIds: [sessionId] },
    "session_revoked",
  );
  return { called, committed: cutAt, returned: monotonicNow() };
}

/** People with a login name and the owner's password. */
async function people({ n }: { n: number }): Promise<string[]> {
  const usernames = Array.from({ length: n }, (_, nth) => `person-${nth}`);
  for (const username of usernames)
    await authority.localLogins.createUser({
      name: username,
      username,
      password: "correct horse battery",
      groupIds: ["system-users"],
    });
  return usernames;
}

const user = async () => (await authority.users.create({ name: "Somebody", groupIds: ["system-users"] })).id;

/** A user is created, gets tokens, changes the password and is removed. Then all of the owner's sessions end. */
async function comeAndGo({ nth }: { nth: number }): Promise<void> {
  const { localLogins, users, sessions: owned, revocation } = authority;
  const login = { username: `user-${nth}`, password: "a long enough password" };
  const { id } = await localLogins.createUser({ name: "Somebody", groupIds: ["system-users"], ...login });
  const [first] = await sessions({ n: 4, userId: id });
  await owned.openLongLived({ userId: id, clientName: `a script ${nth}`, clientIcon: null, days: 365 });
  if (first !== undefined)
    await revocation.revoke({ kind: "sessions", userId: id, sessionIds: [first.id] }, "session_revoked");
  await localLogins.setPassword(id, "another long password");
  await users.remove(id);
  const of = (await owned.list(ownerId)).map((session) => session.id);
  await revocation.revoke({ kind: "sessions", userId: ownerId, sessionIds: of }, "session_revoked");
}

/** How HTTP clients refresh. The token follows the body. */
const refresh = (): Post => ({
  path: "/auth/token",
  headers: { "content-type": "application/x-www-form-urlencoded" },
  body: "grant_type=refresh_token&refresh_token=",
});

/** How a backend asks about an access token, with the token of a system user of its own. */
async function introspection(): Promise<Post> {
  const { refreshToken } = await authority.systemUsers.create({ name: "Backend" });
  const peer = { address: "127.0.0.1" };
  const { accessToken } = await authority.sessions.refresh({ refreshToken, clientId: null, peer });
  return {
    path: "/auth/introspect",
    headers: {
      "content-type": "application/x-www-form-urlencoded",
      authorization: `Bearer ${accessToken}`,
    },
    body: "token=",
  };
}

const dataBytes = () => statSync(path.join(data, "gatehouse.mdb")).size;

const { version } = JSON.parse(readFileSync(path.resolve("package.json"), "utf8")) as { version: string };
answer(
  { port, version },
  {
    mint,
    sessions,
    members,
    people,
    user,
    revoke,
    refresh,
    introspection,
    "come-and-go": comeAndGo,
    "data-bytes": dataBytes,
  },
);
