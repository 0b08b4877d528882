import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { newId } from "../../../src/auth/ids.ts";
import type { Credential, User } from "../../../src/auth/model.ts";
import { indexKeys, providerKey, recordKeys } from "../../../src/auth/record-keys.ts";
import type { SecurityEvent } from "../../../src/auth/revocation/security-events.ts";
import { readRecord, type Step } from "../../../src/auth/store.ts";
import { userPut } from "../../../src/auth/users/user-record.ts";
import { isAdmin } from "../../../src/auth/users/users.ts";
import { home, ownerLogin, startAuthority, type TestAuthority } from "../../support/authority.ts";
import { handClock } from "../../support/hand-clock.ts";
import { type InterposedStore, interposedEmbeddedStore } from "../../support/interposed-store.ts";
import { refusal } from "../../support/refusal.ts";

let node: TestAuthority;
let store: InterposedStore;
let closeStore: () => Promise<void>;

beforeAll(async () => {
  const clock = handClock();
  ({ store, close: closeStore } = await interposedEmbeddedStore(clock));
  node = await startAuthority({ store, clock });
  await node.owner();
});
afterAll(async () => {
  await node.stop();
  await closeStore();
});

/** Collects the revocation events of `work` on this node. */
async function cutsOf(work: () => Promise<unknown>, on = node): Promise<readonly SecurityEvent[]> {
  const cuts: SecurityEvent[] = [];
  const undo = on.authority.revocation.onSecurityEvent((cut) => {
    cuts.push(cut);
    return 0;
  });
  await work();
  undo();
  return cuts;
}

function systemUser(): User {
  return {
    id: newId(),
    name: "Supervisor",
    isOwner: false,
    state: "active",
    systemGenerated: true,
    localOnly: false,
    groupIds: ["system-admin"],
    createdAt: node.clock.now(),
  };
}

const localProvider = providerKey("homeassistant", null);

/** What `work` commits. */
async function stepsOf(work: () => Promise<unknown>): Promise<readonly Step[]> {
  const steps: Step[] = [];
  const look = (step: Step) => {
    steps.push(step);
    return false;
  };
  store.beforeCommit(look, async () => undefined);
  await work();
  store.beforeCommit(
    () => false,
    async () => undefined,
  );
  return steps;
}

describe("users", () => {
  it("whose rights change are written durably, so that no failover gives a right back; a name need not be", async () => {
    const { users } = node.authority;
    const eve = await users.create({ name: "Eve", groupIds: ["system-admin"] });
    const durable = async (patch: Parameters<typeof users.update>[1]) =>
      (await stepsOf(() => users.update(eve.id, patch))).map((step) => step.durable === true);
    expect(await durable({ groupIds: ["system-users"] })).toEqual([true]);
    expect(await durable({ localOnly: true })).toEqual([true]);
    expect(await durable({ name: "Eva" })).toEqual([false]);
    expect(await durable({ isActive: false })).toEqual([true]);
    expect((await stepsOf(() => users.remove(eve.id))).some((step) => step.durable === true)).toBe(true);
  });

  it("are created active, in known groups, and listed oldest first", async () => {
    const { users } = node.authority;
    expect(await refusal(users.create({ name: "Eve", groupIds: ["no-such-group"] }))).toBe("invalid_group");
    node.clock.advance(1000);
    const ada = await users.create({ name: "Ada", groupIds: ["system-admin", "system-admin"] });
    node.clock.advance(1000);
    const bob = await users.create({ name: "Bob", localOnly: true });
    expect(ada).toMatchObject({
      state: "active",
      isOwner: false,
      groupIds: ["system-admin"],
      localOnly: false,
    });
    expect([isAdmin(ada), isAdmin(bob)]).toEqual([true, false]);
    const listed = (await users.list()).map((user) => user.id);
    expect(listed.slice(-2)).toEqual([ada.id, bob.id]);
    expect(await users.read(bob.id)).toMatchObject({ user: bob, epoch: 0 });
    expect(await users.read(newId())).toBeUndefined();
  });

  it("keep every one of many updates at once", async () => {
    const { users } = node.authority;
    const { id } = await users.create({ name: "Before" });
    await Promise.all([
      users.update(id, { name: "After" }),
      users.update(id, { localOnly: true }),
      users.update(id, { groupIds: ["system-users"] }),
      users.update(id, { isActive: false }),
    ]);
    expect((await users.read(id))?.user).toMatchObject({
      name: "After",
      localOnly: true,
      groupIds: ["system-users"],
      state: "deactivated",
    });
  });

  it("cannot be changed where nobody may", async () => {
    const { users } = node.authority;
    const owner = await node.owner();
    const system = systemUser();
    await node.store.commit({ put: [userPut(system)] });
    expect(await refusal(users.update(newId(), { name: "x" }))).toBe("not_found");
    expect(await refusal(users.update(owner.id, { groupIds: ["nope"] }))).toBe("invalid_group");
    expect(await refusal(users.update(system.id, { name: "x" }))).toBe("cannot_modify_system_generated");
    expect(await refusal(users.update(owner.id, { isActive: false }))).toBe("cannot_deactivate_owner");
    expect(await refusal(users.remove(owner.id))).toBe("cannot_remove_owner");
    expect(await refusal(users.remove(newId()))).toBe("not_found");
  });

  it("lose every session and token with their activation, in the commit that takes it", async () => {
    const { authority } = node;
    const { user } = await node.user("dora");
    const sessions = await Promise.all([node.open(user.id), node.open(user.id)]);
    const before = await authority.users.read(user.id);
    const cuts = await cutsOf(() => authority.users.update(user.id, { isActive: false }));
    const after = await authority.users.read(user.id);
    expect(after?.user.state).toBe("deactivated");
    // One version on both: the deactivation and the end of the sessions cannot come apart.
    expect(after?.epoch).toBe(after?.version);
    expect(after?.epoch).toBeGreaterThan(before?.epoch ?? 0);
    expect(cuts.map((cut) => cut.kind)).toEqual(["user", "user_changed"]);
    expect(cuts[0]).toMatchObject({ cause: "user_deactivated", epoch: after?.epoch, except: null });
    expect(await authority.sessions.list(user.id)).toEqual([]);
    for (const { accessToken, refreshToken } of sessions) {
      const refresh = authority.sessions.refresh({
        refreshToken,
        clientId: "https://app.example/",
        peer: home,
      });
      expect(await refusal(refresh)).toBe("invalid_grant");
      expect(await authority.authentication.authenticate(accessToken, home)).toMatchObject({
        ok: false,
        close: "user_deactivated",
        message: "Invalid access token or password",
      });
    }
    expect(await node.store.list(indexKeys.sessionsOf(user.id), { limit: 10 })).toEqual([]);
    expect(await refusal(node.open(user.id))).toBe("access_denied");
  });

  it("do not get their sessions back with their activation", async () => {
    const { authority } = node;
    const { user } = await node.user("erik");
    const { refreshToken, accessToken } = await node.open(user.id);
    await authority.users.update(user.id, { isActive: false });
    await authority.users.update(user.id, { isActive: true });
    const refresh = authority.sessions.refresh({
      refreshToken,
      clientId: "https://app.example/",
      peer: home,
    });
    expect(await refusal(refresh)).toBe("invalid_grant");
    expect(await authority.authentication.authenticate(accessToken, home)).toMatchObject({ ok: false });
    expect(await refusal(node.open(user.id))).toBe("accepted");
  });

  it("are given no older right by a read that began before the change", async () => {
    const { authority } = node;
    const { user } = await node.user("gail");
    await authority.users.update(user.id, { groupIds: ["system-admin"] });
    const read = store.get;
    let answer: () => void = () => undefined;
    const released = new Promise<void>((resolve) => {
      answer = resolve;
    });
    store.get = async (keys) => {
      const found = await read(keys);
      await released;
      return found;
    };
    const asked = [authority.users.current(user.id), authority.users.read(user.id)] as const;
    store.get = read;
    await authority.users.update(user.id, { groupIds: ["system-users"], localOnly: true });
    answer();
    const less = { groupIds: ["system-users"], localOnly: true };
    expect([await asked[0], (await asked[1])?.user]).toMatchObject([less, less]);
  });

  it("keep their sessions when groups, name or local_only change, and are read again", async () => {
    const { authority } = node;
    const { user } = await node.user("fern");
    const { session } = await node.open(user.id);
    expect(await authority.users.current(user.id)).toMatchObject({ groupIds: ["system-users"] });
    const cuts = await cutsOf(() => authority.users.update(user.id, { groupIds: ["system-read-only"] }));
    const rights = { state: "active", localOnly: false, groupIds: ["system-read-only"] };
    expect(cuts).toEqual([{ kind: "user_changed", userId: user.id, change: "updated", rights }]);
    expect(await authority.users.current(user.id)).toMatchObject({ groupIds: ["system-read-only"] });
    expect(await authority.sessions.get(session.id)).toMatchObject({ id: session.id });
    expect(await cutsOf(() => authority.users.update(user.id, { groupIds: ["system-read-only"] }))).toEqual(
      [],
    );
  });

  it("are read again on every other node", async () => {
    const other = await node.another();
    const { user } = await node.user("gina");
    expect(await other.authority.users.current(user.id)).toMatchObject({ name: "gina" });
    const heard = new Promise<void>((resolve) => {
      other.authority.revocation.onSecurityEvent((cut) => {
        if (cut.kind === "user_changed" && cut.userId === user.id && cut.change === "updated") resolve();
        return 0;
      });
    });
    await node.authority.users.update(user.id, { name: "Gina" });
    await heard;
    expect(await other.authority.users.current(user.id)).toMatchObject({ name: "Gina" });
    await other.stop();
  });

  it("are not taken from a cache that no log corrects", async () => {
    const unfed = await node.another({ fed: false });
    const { user } = await node.user("hans");
    expect(await unfed.authority.users.current(user.id)).toMatchObject({ name: "hans" });
    await node.authority.users.update(user.id, { name: "Hans" });
    expect(await unfed.authority.users.current(user.id)).toMatchObject({ name: "Hans" });
  });
});

describe("removing a user", () => {
  const leftOf = async ({ user, credential }: { user: User; credential: Credential }) => {
    const { store } = node;
    const records = await store.get([
      recordKeys.user(user.id),
      recordKeys.credential(credential.id),
      recordKeys.credentialOf(localProvider, credential.subject),
      recordKeys.credentialSlot(user.id, localProvider),
      recordKeys.password(localProvider, credential.subject),
    ]);
    const members = await Promise.all([
      store.list(indexKeys.credentialsOf(user.id), { limit: 10 }),
      store.list(indexKeys.sessionsOf(user.id), { limit: 10 }),
    ]);
    return { records: records.filter((record) => record !== undefined), members: members.flat() };
  };

  it("removes login, claims, password and sessions, and frees the login name", async () => {
    const { authority } = node;
    const made = await node.user("ivan");
    const { session, accessToken } = await node.open(made.user.id);
    const cuts = await cutsOf(() => authority.users.remove(made.user.id));
    expect(cuts.map((cut) => cut.kind)).toEqual(["user", "user_changed"]);
    expect(cuts[0]).toMatchObject({ cause: "user_removed" });
    expect(await leftOf(made)).toEqual({ records: [], members: [] });
    expect((await authority.users.list()).some((user) => user.id === made.user.id)).toBe(false);
    expect(await authority.sessions.get(session.id)).toBeUndefined();
    expect(await authority.users.current(made.user.id)).toBeUndefined();
    expect(await authority.authentication.authenticate(accessToken, home)).toMatchObject({
      ok: false,
      close: "user_removed",
    });
    expect(await refusal(authority.users.remove(made.user.id))).toBe("not_found");
    expect(await refusal(node.user("ivan"))).toBe("accepted");
  });

  const removes = (userId: string) => (step: Step) => step.remove?.includes(recordKeys.user(userId)) ?? false;

  it("leaves nothing of a login that was renamed between its read and its commit", async () => {
    const { authority } = node;
    const made = await node.user("judy");
    store.beforeCommit(removes(made.user.id), () =>
      authority.localLogins.changeUsername(made.user.id, "judith"),
    );
    await authority.users.remove(made.user.id);
    expect(await leftOf(made)).toEqual({ records: [], members: [] });
    for (const key of [recordKeys.credentialOf, recordKeys.password])
      expect(await readRecord(node.store, key(localProvider, "judith"))).toBeUndefined();
  });

  it("leaves nothing of a login that was added between its read and its commit", async () => {
    const { authority } = node;
    const user = await authority.users.create({ name: "No login yet" });
    store.beforeCommit(removes(user.id), () =>
      authority.localLogins.create(user.id, "kate", ownerLogin.password),
    );
    await authority.users.remove(user.id);
    expect(await authority.credentials.find("homeassistant", null, "kate")).toBeUndefined();
    expect(await authority.credentials.list(user.id)).toEqual([]);
    expect(await refusal(node.user("kate"))).toBe("accepted");
  });

  it("prevents that a login is added afterwards", async () => {
    const { authority } = node;
    const user = await authority.users.create({ name: "No login yet" });
    store.beforeCommit(
      (step) => step.link?.some(({ index }) => index === indexKeys.credentialsOf(user.id)) ?? false,
      () => authority.users.remove(user.id),
    );
    const adding = authority.localLogins.create(user.id, "leo", ownerLogin.password);
    expect(await refusal(adding)).toBe("conflict");
    expect(await authority.credentials.find("homeassistant", null, "leo")).toBeUndefined();
  });
});

describe("credentials", () => {
  const credential = (userId: string, subject: string, providerId: string | null = "x"): Credential => ({
    id: newId(),
    userId,
    providerType: "oidc",
    providerId,
    subject,
    createdAt: node.clock.now(),
  });

  it("are one per subject of a provider, and one per provider of a user", async () => {
    const { authority, store } = node;
    const [ada, bob] = [newId(), newId()];
    const link = async (one: Credential) => (await store.commit(authority.credentials.linkStep(one))).ok;
    const first = credential(ada, "subject-1");
    const outcomes = await Promise.all([link(first), link(credential(bob, "subject-1"))]);
    expect(outcomes).toEqual([true, false]);
    expect(await link(credential(ada, "subject-2"))).toBe(false);
    // Another instance of the same provider type is another provider.
    expect(await link(credential(ada, "subject-1", "y"))).toBe(true);
    expect(await authority.credentials.find("oidc", "x", "subject-1")).toMatchObject({ credential: first });
    expect(await authority.credentials.find("oidc", null, "subject-1")).toBeUndefined();
    expect(await authority.credentials.list(ada)).toHaveLength(2);
    await store.commit(authority.credentials.unlinkStep(first));
    expect(await authority.credentials.get(first.id)).toBeUndefined();
    expect(await link(credential(bob, "subject-1"))).toBe(true);
  });
});
