import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { User, UserState } from "../../../src/auth/model.ts";
import { recordKeys } from "../../../src/auth/record-keys.ts";
import { applyDecidedRights } from "../../../src/auth/users/decided-rights.ts";
import { home, startAuthority, type TestAuthority } from "../../support/authority.ts";
import { userOf } from "../../support/people.ts";
import { within } from "../../support/within.ts";

let node: TestAuthority;
beforeEach(async () => {
  node = await startAuthority();
  await node.owner();
});
afterEach(() => node.stop());

/** The record as it is stored. */
async function stored(userId: string) {
  const [record] = await node.store.get([recordKeys.user(userId)]);
  return record?.value;
}

const put = async (user: User, value: Record<string, unknown>) => {
  const { state: _, ...rest } = user;
  await node.store.commit({
    put: [{ key: recordKeys.user(user.id), value: { ...rest, ...value } as never }],
  });
  return (await node.authority.users.read(user.id))?.user.state;
};

const pending = () => node.authority.users.create({ name: "Willa", state: "pending" });

describe("a user's state", () => {
  it("is read from records that have none, and from those that an older node wrote again", async () => {
    const user = await node.authority.users.create({ name: "Ada" });
    expect(await put(user, { isActive: true })).toBe("active");
    expect(await put(user, { isActive: false })).toBe("deactivated");
    expect(await put(user, { isActive: false, state: "pending" })).toBe("pending");
    expect(await put(user, { isActive: true, state: "pending" })).toBe("active");
    expect(await put(user, { isActive: false, state: "active" })).toBe("deactivated");
  });

  it("is stored so that older nodes let nobody in who waits", async () => {
    const user = await pending();
    expect(user.state).toBe("pending");
    expect(await stored(user.id)).toMatchObject({ isActive: false, state: "pending" });
    expect(await stored((await node.authority.users.create({ name: "Ada" })).id)).toMatchObject({
      isActive: true,
    });
  });

  it("goes from waiting to active by a decision on rights, which every node hears", async () => {
    const other = await node.another();
    const { user } = await node.user("willa");
    await node.authority.users.update(user.id, { state: "deactivated" });
    const waiting = await pending();
    const heard = new Promise<unknown>((resolve) => {
      other.authority.revocation.onSecurityEvent((cut) => {
        if (cut.kind === "user_changed" && cut.userId === waiting.id && cut.change === "updated")
          resolve(cut);
        return 0;
      });
    });
    expect(await other.authority.users.current(waiting.id)).toMatchObject({ state: "pending" });
    await node.authority.users.update(waiting.id, { isActive: true });
    expect(await within(heard, "the change")).toMatchObject({ rights: { state: "active" } });
    expect(await other.authority.users.current(waiting.id)).toMatchObject({ state: "active" });
    const { accessToken } = await node.open(waiting.id, { credential: null });
    expect(await node.principal(accessToken, home)).toMatchObject({ userId: waiting.id });
  });

  it("stays waiting when a client of Home Assistant's sends is_active false with another change", async () => {
    const user = await pending();
    const after = await node.authority.users.update(user.id, { name: "Wilma", isActive: false });
    expect(after).toMatchObject({ name: "Wilma", state: "pending" });
    expect(await node.authority.users.update(user.id, { state: "deactivated" })).toMatchObject({
      state: "deactivated",
    });
  });

  it("gives nobody who waits a session, a token, a refresh, or a long-lived token", async () => {
    const user = await pending();
    const denied = { code: "access_denied", publicMessage: "User is not active" };
    await expect(node.open(user.id)).rejects.toMatchObject(denied);
    const long = { userId: user.id, clientName: "x", days: 1, clientIcon: null } as never;
    await expect(node.authority.sessions.openLongLived(long)).rejects.toMatchObject(denied);
  });

  it("ends the sessions of an active user who is deactivated, once", async () => {
    const { user } = await node.user("ada");
    const { accessToken } = await node.open(user.id);
    const causes: unknown[] = [];
    node.authority.revocation.onSecurityEvent((cut) => {
      if (cut.kind === "user") causes.push(cut.cause);
      return 0;
    });
    await node.authority.users.update(user.id, { isActive: false });
    expect(await node.authority.authentication.authenticate(accessToken, home)).toMatchObject({
      ok: false,
      close: "user_deactivated",
    });
    expect(causes).toEqual(["user_deactivated"]);
    const waiting = await pending();
    await node.authority.users.update(waiting.id, { state: "deactivated" });
    expect(causes).toEqual(["user_deactivated"]);
  });

  it("after the log has decided otherwise is the one that gives less", () => {
    const states: readonly UserState[] = ["active", "pending", "deactivated"];
    const left = states.map((state) =>
      states.map((decided) => {
        const rights = { state: decided, localOnly: false, groupIds: ["system-users"] };
        const user = userOf({ state });
        return applyDecidedRights({ user, version: 5 }, { version: 6, rights })?.state;
      }),
    );
    expect(left).toEqual([
      ["active", "pending", "deactivated"],
      ["pending", "pending", "deactivated"],
      ["deactivated", "deactivated", "deactivated"],
    ]);
  });
});
