import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { Protection } from "../../../src/auth/protections.ts";
import type { RevokeTarget } from "../../../src/auth/revocation/revocation.ts";
import { openEmbeddedStore } from "../../../src/store/embedded/embedded-store.ts";
import { StoreFile } from "../../../src/store/embedded/store-file.ts";
import type { Tables } from "../../../src/store/embedded/tables.ts";
import { home, ownerLogin } from "../../support/authority.ts";
import { type TemporaryFolder, temporaryFolder } from "../../support/temporary-folder.ts";
import { eventually, type HandNode, startHandNode } from "./lease-rig.ts";

const names = ["records", "members", "log", "expiry", "state"] as const;
type Content = Readonly<Record<(typeof names)[number], readonly (readonly [key: Buffer, value: string])[]>>;

function contentOf(tables: Tables): Content {
  const entries = names.map((name) => [
    name,
    [...tables[name].getRange()].map(({ key, value }) => [Buffer.from(key), value] as const),
  ]);
  return Object.fromEntries(entries) as Content;
}

function replace(tables: Tables, content: Content): void {
  for (const name of names) {
    for (const key of [...tables[name].getKeys()].map((bytes) => Buffer.from(bytes)))
      tables[name].removeSync(key);
    for (const [key, value] of content[name]) tables[name].putSync(key, value);
  }
}

describe("after an old copy was put back under a running gateway on an embedded store", () => {
  let folder: TemporaryFolder;
  let node: HandNode;
  beforeEach(() => {
    folder = temporaryFolder();
  });
  afterEach(async () => {
    await node.stop();
    folder.remove();
  });

  async function start(...protections: readonly Protection[]): Promise<void> {
    const store = await openEmbeddedStore({ folder: folder.path, role: "gateway", timeoutMs: 5_000 });
    node = await startHandNode({ url: store, weakened: new Set(protections) });
    await node.beatUntilTrusted();
  }

  async function file<T>(work: (tables: Tables) => T): Promise<T> {
    const opened = await StoreFile.open(folder.path);
    const result = await opened.transact(work);
    await opened.close();
    return result;
  }

  async function open(userId: string) {
    const standing = await node.authority.users.read(userId);
    if (standing === undefined) throw new Error("no user");
    const { user, version: userVersion, epoch: userEpoch } = standing;
    return node.authority.sessions.open({
      ...{
        user,
        userVersion,
        userEpoch,
        credential: null,
        clientId: "https://one.example/",
        clientName: null,
      },
      ...{ rotates: true, assurance: 1, amr: ["pwd"], authenticatedAt: Date.now(), peer: home },
    });
  }

  /** The file reads as it did before `target` was revoked; resolves once the node has noticed, and trusts itself again. */
  async function revokeAndGoBack(target: (userId: string, sessionId: string) => RevokeTarget) {
    const request = { name: "ada", username: "ada", password: ownerLogin.password, groupIds: [] };
    const { id } = await node.authority.localLogins.createUser(request);
    const opened = await open(id);
    const before = await file(contentOf);
    await node.authority.revocation.revoke(target(id, opened.session.id), "session_revoked");
    await file((tables) => replace(tables, before));
    await eventually("the break", async () => node.told.includes("lost"));
    await node.beatUntilTrusted();
    return opened;
  }

  const targets: readonly (readonly [string, (userId: string, sessionId: string) => RevokeTarget])[] = [
    ["a session", (userId, sessionId) => ({ kind: "sessions", userId, sessionIds: [sessionId] })],
    ["a user", (userId) => ({ kind: "user", userId })],
    ["a client", () => ({ kind: "client", clientId: "https://one.example/" })],
    ["everybody", () => ({ kind: "all" })],
  ];

  it.each(targets)("what was taken from %s stays taken", async (_, target) => {
    await start();
    const { session, accessToken } = await revokeAndGoBack(target);
    expect(node.told).toContain("reasserted 1");
    expect(await node.authority.sessions.get(session.id)).toBeUndefined();
    const verdict = await node.authority.authentication.authenticate(accessToken, home);
    expect(verdict).toMatchObject({ ok: false });
  });

  it.each(targets)("it would be given back to %s without the re-assertion", async (_, target) => {
    await start("reassert");
    const { session } = await revokeAndGoBack(target);
    expect(await node.authority.sessions.get(session.id)).toBeDefined();
  });
});
