import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { Principal, User } from "../../../src/auth/model.ts";
import { createCallerPermissions } from "../../../src/auth/permissions/caller-permissions.ts";
import { noResources } from "../../../src/auth/permissions/entity-rules.ts";
import { createGroupTable } from "../../../src/auth/permissions/group-table.ts";
import type { PermissionsWatch } from "../../../src/auth/permissions/permissions.ts";
import { createPermissionsReader } from "../../../src/auth/permissions/permissions-reader.ts";
import { recordKeys } from "../../../src/auth/record-keys.ts";
import type { SecurityEvent } from "../../../src/auth/revocation/security-events.ts";
import { startAuthority, type TestAuthority } from "../../support/authority.ts";
import { eventually } from "../../support/eventually.ts";
import { handClock } from "../../support/hand-clock.ts";
import { type InterposedStore, interposedEmbeddedStore } from "../../support/interposed-store.ts";
import { principalOf, userOf } from "../../support/people.ts";

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

let names = 0;

async function caller(): Promise<Principal> {
  names += 1;
  const { user } = await node.user(`caller${names}`);
  const { accessToken } = await node.open(user.id);
  return await node.principal(accessToken);
}

/** A watch that counts its calls. */
async function counting(principal: Principal, on = node) {
  const seen: PermissionsWatch["permissions"][] = [];
  const watch: PermissionsWatch = await on.authority.permissions.watch(principal, () =>
    seen.push(watch.permissions),
  );
  return { watch, seen };
}

describe("the permissions of a caller", () => {
  it("are those of their groups, one object for all with the same rights", async () => {
    const [one, two] = [await caller(), await caller()];
    const [first, second] = [
      await node.authority.permissions.of(one),
      await node.authority.permissions.of(two),
    ];
    expect(first).toBe(second);
    expect([first.isAdmin, first.mayUseEntity("light.kitchen", "edit")]).toEqual([false, true]);
    expect([first.mayUseTopic("a/b", "read"), first.mayUseTopic("a/b", "control")]).toEqual([true, false]);
    expect([first.mayUseSomeOf("a/#", "read"), first.mayUseSomeOf("a/#", "control")]).toEqual([true, false]);
    expect(first.mayCommand("config/auth/list")).toBe(false);
  });

  it("are everything for the owner and for administrators", async () => {
    const { id } = await node.owner();
    const { accessToken } = await node.open(id);
    const owner = await node.authority.permissions.of(await node.principal(accessToken));
    const admin = await caller();
    await node.authority.users.update(admin.userId, { groupIds: ["system-admin"] });
    for (const permissions of [owner, await node.authority.permissions.of(admin)]) {
      expect(permissions.isAdmin).toBe(true);
      expect(permissions.mayUseTopic("a", "edit")).toBe(true);
      expect(permissions.mayCommand("config/auth/list")).toBe(true);
    }
  });

  it("are none with a token without the scope api, without a user, and in an unknown group", async () => {
    const principal = await caller();
    const narrowed = await node.authority.permissions.of({ ...principal, scope: "openid" });
    expect([narrowed.mayUseEntity("light.kitchen", "read"), narrowed.mayUseSomeOf("#", "read")]).toEqual([
      false,
      false,
    ]);
    const gone = await node.authority.permissions.of({ ...principal, userId: "nobody" });
    expect(gone.mayUseTopic("a", "read")).toBe(false);
  });
});

describe("a watch of permissions", () => {
  it("is told in the tick in which the change is applied, and only of changes", async () => {
    const principal = await caller();
    const { watch, seen } = await counting(principal);
    const before = watch.permissions;
    let toldBefore: number | undefined;
    const undo = node.authority.revocation.onSecurityEvent((event) => {
      if (event.kind === "user_changed" && event.userId === principal.userId) toldBefore ??= seen.length;
      return 0;
    });
    await node.authority.users.update(principal.userId, { groupIds: ["system-read-only"] });
    undo();
    expect(toldBefore).toBe(1);
    expect(watch.permissions).not.toBe(before);
    expect(watch.permissions.mayUseEntity("light.kitchen", "control")).toBe(false);

    await node.authority.users.update(principal.userId, { name: "Another name" });
    expect(seen).toHaveLength(1);
    await node.authority.users.update(principal.userId, { groupIds: ["system-users"] });
    expect(watch.permissions).toBe(before);
    watch.end();
    await node.authority.users.update(principal.userId, { groupIds: [] });
    expect(seen).toHaveLength(2);
  });

  it("denies everything once the user is deactivated or removed", async () => {
    const principal = await caller();
    const { watch } = await counting(principal);
    await node.authority.users.update(principal.userId, { state: "deactivated" });
    expect(watch.permissions.mayUseTopic("a", "read")).toBe(false);
    await node.authority.users.update(principal.userId, { state: "active" });
    expect(watch.permissions.mayUseTopic("a", "read")).toBe(true);
    await node.authority.users.remove(principal.userId);
    expect(watch.permissions.mayUseTopic("a", "read")).toBe(false);
  });

  it("does not miss a change while the user is read", async () => {
    const principal = await caller();
    // The record is read before the change, and the answer comes after it.
    let changed = false;
    const { get } = store;
    await node.authority.users.update(principal.userId, { name: "Not cached" });
    store.get = async (keys) => {
      const records = await get(keys);
      if (!changed && keys.includes(recordKeys.user(principal.userId))) {
        changed = true;
        await node.authority.users.update(principal.userId, { groupIds: [] });
      }
      return records;
    };
    const { watch } = await counting(principal);
    store.get = get;
    expect(changed).toBe(true);
    expect(watch.permissions.mayUseTopic("a", "read")).toBe(false);
    watch.end();
  });

  it("denies everything after a change that it does not understand, until the record was read", async () => {
    const principal = await caller();
    const { watch, seen } = await counting(principal);
    const { revocation } = node.authority as typeof node.authority & {
      readonly revocation: { commit(step: object): Promise<unknown> };
    };
    await revocation.commit({ log: [{ type: "of_a_newer_node", userId: principal.userId }] });
    expect(seen).toHaveLength(1);
    await eventually("the second call", () => seen.length === 2);
    expect(seen[0]?.mayUseTopic("a", "read")).toBe(false);
    expect(seen[1]?.mayUseTopic("a", "read")).toBe(true);
    watch.end();
  });

  it("follows a change of the owner", async () => {
    const heir = await caller();
    const { watch } = await counting(heir);
    const before = await node.owner();
    await node.authority.ownership.transfer(heir.userId, null);
    expect(watch.permissions.isAdmin).toBe(true);
    await node.authority.ownership.transfer(before.id, null);
    expect(watch.permissions.isAdmin).toBe(false);
    watch.end();
  });

  it("is told on another node", async () => {
    const principal = await caller();
    const other = await node.another();
    const { seen } = await counting(principal, other);
    await node.authority.users.update(principal.userId, { groupIds: [] });
    await eventually("the call on the other node", () => seen.length === 1);
    expect(seen[0]?.mayUseTopic("a", "read")).toBe(false);
  });
});

describe("a watch that begins while something happens", () => {
  /** A reader of its own, whose reads end when the test says so. */
  function reader() {
    const listeners: ((event: SecurityEvent) => number)[] = [];
    const reads: ((user: User) => void)[] = [];
    const callers = createCallerPermissions({
      groups: createGroupTable(),
      resources: { ...noResources, revision: 0 },
    });
    const made = createPermissionsReader({
      users: { current: () => new Promise((resolve) => reads.push(resolve)) },
      callers,
      revocation: {
        onSecurityEvent(listener) {
          listeners.push(listener);
          return () => undefined;
        },
        onRecovery: () => undefined,
      },
    });
    return { made, reads, emit: (event: SecurityEvent) => listeners.map((listener) => listener(event)) };
  }
  const ada = userOf({ groupIds: ["system-users"] });
  const change = (more: object) =>
    ({ kind: "user_changed", userId: ada.id, change: "updated", ...more }) as SecurityEvent;

  it.each([
    ["a decision", change({ rights: { state: "active", localOnly: false, groupIds: [] } })],
    ["a change of the name", change({ keepsRights: true })],
    ["what it does not understand", change({})],
  ])("reads the user again after %s", async (_, event) => {
    const { made, reads, emit } = reader();
    const watching = made.watch(principalOf({ userId: ada.id }), () => undefined);
    emit(event);
    reads[0]?.(ada);
    await new Promise((resolve) => setImmediate(resolve));
    expect(reads).toHaveLength(2);
    reads[1]?.({ ...ada, groupIds: ["system-read-only"] });
    const { permissions } = await watching;
    expect(["read", "control"].map((verb) => permissions.mayUseEntity("light.hall", verb as "read"))).toEqual(
      [true, false],
    );
  });

  it("lets a later watch of the same user begin without a read, and forgets the user after the last", async () => {
    const { made, reads } = reader();
    const first = made.watch(principalOf({ userId: ada.id }), () => undefined);
    const second = made.watch(principalOf({ userId: ada.id }), () => undefined);
    reads[0]?.(ada);
    const third = await Promise.all([first, second]).then(() =>
      made.watch(principalOf({ userId: ada.id }), () => undefined),
    );
    expect(reads).toHaveLength(1);
    for (const watch of [await first, await second, third]) watch.end();
    void made.watch(principalOf({ userId: ada.id }), () => undefined);
    await new Promise((resolve) => setImmediate(resolve));
    expect(reads).toHaveLength(2);
  });
});
