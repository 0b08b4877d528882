import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { User } from "../../../src/auth/model.ts";
import type { SecurityEvent } from "../../../src/auth/revocation/security-events.ts";
import { startAuthority, type TestAuthority } from "../../support/authority.ts";
import { eventually } from "../../support/eventually.ts";
import { refusal } from "../../support/refusal.ts";

const windowMs = 600_000;

let node: TestAuthority;
let owner: User;
beforeEach(async () => {
  node = await startAuthority({ recentLoginMs: windowMs });
  owner = await node.owner();
});
afterEach(() => node.stop());

async function owners(on = node): Promise<readonly string[]> {
  return (await on.authority.users.list()).filter(({ isOwner }) => isOwner).map(({ id }) => id);
}
async function principalOf(userId: string) {
  return (await node.open(userId)).principal;
}
const transfer = (to: string, by: Parameters<TestAuthority["authority"]["ownership"]["transfer"]>[1]) =>
  node.authority.ownership.transfer(to, by);

describe("a transfer of the ownership", () => {
  it("makes another user the owner, at once on every node, and leaves the rest as it is", async () => {
    const other = await node.another();
    const { user } = await node.user("ada");
    expect((await other.authority.users.current(owner.id))?.isOwner).toBe(true);
    const cuts: SecurityEvent[] = [];
    other.authority.revocation.onSecurityEvent((cut) => cuts.push(cut));
    expect(await transfer(user.id, await principalOf(owner.id))).toMatchObject({
      id: user.id,
      isOwner: true,
    });
    await eventually("the other node", async () => {
      const both = [owner.id, user.id].map((id) => other.authority.users.current(id));
      const [before, after] = (await Promise.all(both)).map((each) => each?.isOwner);
      return before === false && after === true && cuts.length === 3;
    });
    const changed = { kind: "user_changed", change: "updated", keepsRights: true };
    expect(cuts).toMatchObject([
      { ...changed, userId: owner.id },
      { ...changed, userId: user.id },
      { kind: "owner_changed", userId: user.id, previousId: owner.id },
    ]);
    expect(await owners()).toEqual([user.id]);
    const { users } = node.authority;
    expect((await users.read(owner.id))?.user).toMatchObject({ state: "active", groupIds: ["system-admin"] });
    expect(await refusal(users.remove(user.id))).toBe("cannot_remove_owner");
    expect(await refusal(users.update(user.id, { isActive: false }))).toBe("cannot_deactivate_owner");
    await users.remove(owner.id);
    expect(await owners()).toEqual([user.id]);
  });

  it("needs the owner, who logged in recently, on a session that is live", async () => {
    const { user } = await node.user("ada");
    expect(await refusal(transfer(user.id, await principalOf(user.id)))).toBe("unauthorized");
    const { principal, session } = await node.open(owner.id);
    node.clock.advance(windowMs + 1000);
    expect(await refusal(transfer(user.id, principal))).toBe("recent_login_required");
    const again = await node.open(owner.id);
    const sessionIds = [again.session.id, session.id];
    const { revocation } = node.authority;
    await revocation.revoke({ kind: "sessions", userId: owner.id, sessionIds }, "session_revoked");
    expect(await refusal(transfer(user.id, again.principal))).toBe("unauthorized");
    expect(await owners()).toEqual([owner.id]);
  });

  it("is refused to a user who does not exist, is not active, has no login, or is the owner", async () => {
    const by = await principalOf(owner.id);
    const { user } = await node.user("ada");
    await node.authority.users.update(user.id, { isActive: false });
    const pending = await node.authority.users.create({ name: "Pia", state: "pending" });
    const loginless = await node.authority.users.create({ name: "Lo" });
    expect(await refusal(transfer("0".repeat(32), by))).toBe("not_found");
    for (const { id } of [user, pending, loginless, owner])
      expect(await refusal(transfer(id, by))).toBe("not_allowed");
    expect(await owners()).toEqual([owner.id]);
  });

  it("leaves one owner when many are asked for at once, beside a deactivation and a removal", async () => {
    const heirs = await Promise.all(
      ["ada", "bob", "cleo", "dan"].map(async (name) => (await node.user(name)).user),
    );
    const { users, ownership } = node.authority;
    const other = await node.another();
    const by = await principalOf(owner.id);
    const [ada, bob] = heirs;
    if (ada === undefined || bob === undefined) throw new Error("no heirs");
    const outcomes = await Promise.allSettled([
      ...heirs.flatMap(({ id }) => [ownership.transfer(id, by), other.authority.ownership.transfer(id, by)]),
      users.update(ada.id, { isActive: false }),
      users.remove(bob.id),
    ]);
    const codes = outcomes
      .slice(0, 8)
      .map((each) => (each.status === "fulfilled" ? "done" : each.reason.code));
    expect(codes.filter((code) => code === "done")).toHaveLength(1);
    for (const code of codes) expect(["done", "unauthorized", "not_allowed", "not_found"]).toContain(code);
    const now = await owners();
    expect(now).toHaveLength(1);
    expect((await users.read(now[0] ?? ""))?.user.state).toBe("active");
  });

  it("beside the removal of the heir's last credential leaves an owner who can log in", async () => {
    const { ownership, credentials, credentialRemovals } = node.authority;
    const outcomes = new Set<string>();
    for (let round = 0; round < 20; round += 1) {
      const { user, credential } = await node.user(`heir${round}`);
      const removing = credentialRemovals.remove(user.id, credential.id, { keepLast: false });
      const [transferred, removed] = await Promise.allSettled([ownership.transfer(user.id, null), removing]);
      outcomes.add(`${transferred.status} ${removed.status}`);
      const [now = ""] = await owners();
      expect(await credentials.list(now)).toHaveLength(1);
    }
    expect(outcomes).not.toContain("fulfilled fulfilled");
  });

  it("by the command line needs no session", async () => {
    const { user } = await node.user("ada");
    await transfer(user.id, null);
    expect(await owners()).toEqual([user.id]);
  });
});
