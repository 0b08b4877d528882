import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { type AuthorityOptions, createAuthority } from "../../../../src/auth/authority.ts";
import type { User } from "../../../../src/auth/model.ts";
import { indexKeys, providerKey, recordKeys } from "../../../../src/auth/record-keys.ts";
import type { Safeguard } from "../../../../src/auth/safeguards.ts";
import type { Step, Store } from "../../../../src/auth/store.ts";
import { userPut } from "../../../../src/auth/users/user-record.ts";
import { home } from "../../../support/authority.ts";
import { refusal } from "../../../support/refusal.ts";
import type { HandNode } from "../lease-rig.ts";
import { logIn, open, someone, startWithOwner } from "./rollback-people.ts";
import {
  embeddedRig,
  goBack,
  type RollbackNode,
  type RollbackRig,
  raisesAgain,
  redisRig,
} from "./rollback-rig.ts";

const localProvider = providerKey("homeassistant", null);

let rig: RollbackRig;
afterEach(() => rig.dispose());

const start = (...protections: readonly Safeguard[]) => startWithOwner(rig, ...protections);

/** A process that writes to the same store and whose changes the node has not read from the log. */
async function commandLine({ store, clock }: RollbackNode) {
  const names: Pick<AuthorityOptions, "issuer" | "audience"> = {
    issuer: () => "https://gatehouse.test",
    audience: () => "gatehouse",
  };
  return await createAuthority({ store, clock, secret: Buffer.alloc(32, 7), ...names });
}

const userOf = async ({ authority }: HandNode, userId: string) => (await authority.users.read(userId))?.user;
const isActive = async (node: HandNode, userId: string) => {
  const user = await userOf(node, userId);
  return user && user.state === "active";
};

/** What is left of a user and the login of that name. */
async function leftOf(store: Store, userId: string, username: string): Promise<number> {
  const records = await store.get([
    recordKeys.user(userId),
    recordKeys.credentialOf(localProvider, username),
    recordKeys.credentialSlot(userId, localProvider),
    recordKeys.password(localProvider, username),
  ]);
  const [users, credentials, sessions] = await Promise.all([
    store.list(indexKeys.users, { limit: 1_000 }),
    store.list(indexKeys.credentialsOf(userId), { limit: 10 }),
    store.list(indexKeys.sessionsOf(userId), { limit: 10 }),
  ]);
  const members = [...users.filter((id) => id === userId), ...credentials, ...sessions];
  return records.filter((record) => record !== undefined).length + members.length;
}

const writes = (userId: string) => (step: Step) =>
  step.put?.some(({ key }) => key === recordKeys.user(userId)) ?? false;

describe.each([
  ["Redis", redisRig],
  ["the embedded store", embeddedRig],
])("after %s went back in time", (_, makeRig) => {
  beforeEach(async () => {
    rig = await makeRig();
  });

  it("a deactivated user is deactivated again, and nobody else is", async () => {
    const node = await start();
    const [ada, bob] = [await someone(node, "ada"), await someone(node, "bob")];
    const { session } = await open(node, ada);
    await rig.remember();
    await node.authority.users.update(ada, { isActive: false });
    await goBack(rig, node);
    expect(node.reported).toContain("rollback_repaired 2");
    expect(node.reported).toContain(`repaired ${ada} user_deactivated`);
    expect([await isActive(node, ada), await isActive(node, bob)]).toEqual([false, true]);
    expect(await node.authority.sessions.get(session.id)).toBeUndefined();
    expect([await logIn(node, "ada"), await logIn(node, "bob")]).toEqual(["form", "create_entry"]);
    // The change keeps its version: a user who is activated now stays active, also after another repair.
    await node.authority.users.update(ada, { isActive: true });
    await rig.remember();
    await someone(node, "cleo");
    await goBack(rig, node);
    expect(await isActive(node, ada)).toBe(true);
    expect(await logIn(node, "ada")).toBe("create_entry");
  });

  it("without the rollback repair deactivated and removed users are back", async () => {
    // This node would refuse them by what it remembers; one that comes later would not.
    const node = await start("rollback_repair", "entry_rights");
    const [ada, bob] = [await someone(node, "ada"), await someone(node, "bob")];
    await rig.remember();
    await node.authority.users.update(ada, { isActive: false });
    await node.authority.users.remove(bob);
    await goBack(rig, node);
    expect([await logIn(node, "ada"), await logIn(node, "bob")]).toEqual(["create_entry", "create_entry"]);
  });

  it("a removed user is removed again, with login and sessions, and the name is free", async () => {
    const node = await start();
    const ada = await someone(node, "ada");
    await open(node, ada);
    await rig.remember();
    await node.authority.users.remove(ada);
    await goBack(rig, node);
    expect(await leftOf(node.store, ada, "ada")).toBe(0);
    expect(await refusal(logIn(node, "ada"))).toBe("accepted");
    expect(await logIn(node, "ada")).toBe("form");
    const heir = await someone(node, "ada");
    expect(heir).not.toBe(ada);
    // A rollback that restores nothing takes nothing from the user who has the name now.
    await rig.remember();
    await someone(node, "bob");
    await goBack(rig, node);
    expect(await isActive(node, heir)).toBe(true);
    expect(await logIn(node, "ada")).toBe("create_entry");
  });

  it("sessions that a deactivated or removed user opened in between end", async () => {
    const node = await start();
    const [ada, bob] = [await someone(node, "ada"), await someone(node, "bob")];
    await rig.remember();
    await node.authority.users.update(ada, { isActive: false });
    await node.authority.users.remove(bob);
    const other = { ...node, authority: await commandLine(node) };
    let between: readonly Awaited<ReturnType<typeof open>>[] = [];
    node.store.beforeCommit(raisesAgain, async () => {
      between = [await open(other, ada), await open(other, bob)];
    });
    await goBack(rig, node);
    expect(between).toHaveLength(2);
    const enter = async ({ accessToken }: { readonly accessToken: string }) =>
      await node.authority.authentication.authenticate(accessToken, home);
    expect(await Promise.all(between.map(enter))).toMatchObject([
      { ok: false, close: "user_deactivated" },
      { ok: false, close: "user_removed" },
    ]);
    // Not only for as long as the user is inactive.
    await node.authority.users.update(ada, { isActive: true });
    expect(await Promise.all(between.map(enter))).toMatchObject([{ ok: false }, { ok: false }]);
    expect(await node.authority.sessions.get(between[0]?.session.id ?? "")).toBeUndefined();
  });

  it("a user who was activated again before is active, whether or not that was lost", async () => {
    const node = await start();
    const [ada, bob] = [await someone(node, "ada"), await someone(node, "bob")];
    const { users } = node.authority;
    await users.update(bob, { isActive: false });
    await users.update(bob, { isActive: true });
    await rig.remember();
    await users.update(ada, { isActive: false });
    await users.update(ada, { isActive: true });
    await users.update(ada, { name: "Ada" });
    await goBack(rig, node);
    expect([await isActive(node, ada), await isActive(node, bob)]).toEqual([true, true]);
  });

  it("a lost activation is not restored", async () => {
    const node = await start();
    const ada = await someone(node, "ada");
    await node.authority.users.update(ada, { isActive: false });
    await rig.remember();
    await node.authority.users.update(ada, { isActive: true });
    await goBack(rig, node);
    expect(await isActive(node, ada)).toBe(false);
  });

  it("a user who is activated before the repair stays active", async () => {
    const node = await start();
    const ada = await someone(node, "ada");
    const { users } = node.authority;
    await users.update(ada, { isActive: false });
    await rig.remember();
    await users.update(ada, { isActive: true });
    await users.update(ada, { isActive: false });
    let session = "";
    const elsewhere = await commandLine(node);
    node.store.beforeCommit(raisesAgain, async () => {
      await elsewhere.users.update(ada, { isActive: true });
      await elsewhere.users.update(ada, { name: "Ada" });
      session = (await open(node, ada)).session.id;
    });
    await goBack(rig, node);
    await elsewhere.close();
    expect(await isActive(node, ada)).toBe(true);
    expect(await node.authority.sessions.get(session)).toBeDefined();
  });

  it("a change of the name in between is no decision on rights", async () => {
    const node = await start();
    const ada = await someone(node, "ada");
    await rig.remember();
    await node.authority.users.update(ada, { isActive: false });
    node.store.beforeCommit(raisesAgain, () => node.authority.users.update(ada, { name: "Ada" }));
    await goBack(rig, node);
    expect(await userOf(node, ada)).toMatchObject({ state: "deactivated", name: "Ada" });
  });

  it("a record that changes during the repair is read again", async () => {
    const node = await start();
    const ada = await someone(node, "ada");
    await rig.remember();
    await node.authority.users.update(ada, { isActive: false });
    node.store.beforeCommit(writes(ada), () => node.authority.users.update(ada, { name: "Ada" }));
    await goBack(rig, node);
    expect(await userOf(node, ada)).toMatchObject({ state: "deactivated", name: "Ada" });
  });

  it("administrators are demoted again, and users restricted to local addresses again", async () => {
    const node = await start();
    const [ada, bob] = [await someone(node, "ada", ["system-admin"]), await someone(node, "bob")];
    await rig.remember();
    const { users } = node.authority;
    await users.update(ada, { groupIds: ["system-users"] });
    await users.update(bob, { localOnly: true, groupIds: ["system-admin"] });
    await goBack(rig, node);
    expect(await userOf(node, ada)).toMatchObject({ groupIds: ["system-users"], state: "active" });
    // Rights that were lost are not restored.
    expect(await userOf(node, bob)).toMatchObject({ localOnly: true, groupIds: ["system-users"] });
  });

  it("damaged records do not stop the repair of others", async () => {
    const node = await start();
    const people: Record<string, string> = {};
    for (const name of ["ada", "bob", "cleo", "dora"]) people[name] = await someone(node, name);
    const { ada = "", bob = "", cleo = "", dora = "" } = people;
    const [credential = ""] = await node.store.list(indexKeys.credentialsOf(cleo), { limit: 1 });
    await node.store.commit({
      put: [recordKeys.user(ada), recordKeys.user(bob), recordKeys.credential(credential)].map((key) => ({
        key,
        value: { damaged: true },
      })),
    });
    await rig.remember();
    const whole = (id: string): User => ({
      id,
      name: id,
      isOwner: false,
      state: "active",
      systemGenerated: false,
      localOnly: false,
      groupIds: [],
      createdAt: 0,
    });
    const put = [ada, bob].map((id) => userPut(whole(id)));
    await node.store.commit({ put });
    const { users } = node.authority;
    await users.update(ada, { isActive: false });
    await users.remove(bob);
    await users.remove(cleo);
    await users.update(dora, { isActive: false });
    await goBack(rig, node);
    expect(await isActive(node, dora)).toBe(false);
    const [damaged, ...gone] = await node.store.get([ada, bob, cleo].map(recordKeys.user));
    expect([damaged?.value, gone]).toEqual([{ damaged: true }, [undefined, undefined]]);
    expect(await logIn(node, "cleo")).toBe("form");
  });
});

describe("after Redis went back in time under several nodes", () => {
  beforeEach(async () => {
    rig = await redisRig();
  });

  it("all may repair at the same time; a node that starts later, and remembers nothing, refuses too", async () => {
    const first = await start();
    const all = [first, await rig.start(), await rig.start()];
    const names = Array.from({ length: 12 }, (_, index) => `user${index}`);
    const ids: string[] = [];
    for (const name of names) ids.push(await someone(first, name));
    await rig.remember();
    for (const id of ids.slice(0, 4)) await first.authority.users.update(id, { isActive: false });
    for (const id of ids.slice(4, 8)) await first.authority.users.remove(id);
    for (const node of all) await node.beatUntilTrusted();
    await goBack(rig, ...all);
    const late = await rig.start();
    const active = await Promise.all(ids.map((id) => isActive(late, id)));
    const expected = [...Array(4).fill(false), ...Array(4).fill(undefined), ...Array(4).fill(true)];
    expect(active).toEqual(expected);
    expect([await logIn(late, "user0"), await logIn(late, "user5"), await logIn(late, "user9")]).toEqual([
      ...["form", "form", "create_entry"],
    ]);
    const left = await Promise.all(
      [4, 5, 6, 7].map((at) => leftOf(late.store, ids[at] ?? "", names[at] ?? "")),
    );
    expect(left).toEqual([0, 0, 0, 0]);
  });
});

describe("the owner", () => {
  beforeEach(async () => {
    rig = await embeddedRig();
  });

  it("is neither deactivated nor removed by what a node remembers", async () => {
    const node = await start();
    const { users } = node.authority;
    const owner = (await users.list()).find((user) => user.isOwner);
    if (owner === undefined) throw new Error("no owner");
    const ada = await someone(node, "ada");
    await rig.remember();
    // No path does that; so the record, for a while, says that they are no owners.
    const mark = async (isOwner: boolean) => {
      const standing = await users.read(owner.id);
      if (standing === undefined) throw new Error("no owner");
      await node.store.commit({ put: [userPut({ ...standing.user, isOwner })] });
    };
    await mark(false);
    await users.update(owner.id, { isActive: false });
    await users.update(ada, { isActive: false });
    await goBack(rig, node);
    expect([await isActive(node, owner.id), await isActive(node, ada)]).toEqual([true, false]);
    await rig.remember();
    await mark(false);
    await users.remove(owner.id);
    await goBack(rig, node);
    expect(await userOf(node, owner.id)).toMatchObject({ isOwner: true, state: "active" });
  });
});
