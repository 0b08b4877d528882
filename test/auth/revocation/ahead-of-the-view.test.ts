import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { abroad, home, openSession, ownerLogin } from "../../support/authority.ts";
import { eventually } from "../../support/eventually.ts";
import { type RedisServer, startRedis } from "../../support/redis-server.ts";
import { within } from "../../support/within.ts";
import { type HandNode, startHandNode } from "./lease-rig.ts";

let redis: RedisServer;
const nodes: HandNode[] = [];
beforeAll(async () => {
  redis = await startRedis();
});
beforeEach(() => redis.command("FLUSHALL"));
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.stop();
});
afterAll(() => redis?.dispose());

/** Two nodes with the same clock. The token is older than a change of its user, so `other` asks the store about it. */
async function unsureOf() {
  const node = await startHandNode({ url: redis.url });
  const other = await startHandNode({ url: redis.url, clock: node.clock });
  nodes.push(node, other);
  for (const each of nodes) await each.beatUntilTrusted();
  const { users, onboarding } = node.authority;
  await onboarding.createOwner({ setupCode: await onboarding.setupCode(), ...ownerLogin });
  const user = await users.create({ name: "Gus", groupIds: ["system-users"] });
  const opened = await openSession(node.authority, node.clock, user.id);
  await users.update(user.id, { groupIds: ["system-read-only"] });
  const applied = node.authority.revocation.progress.newestChange;
  await eventually("the change", async () => other.authority.revocation.progress.readUpTo >= applied);
  return { node, other, user, ...opened };
}

/** What the node told its sockets to end, in the order of the log. */
function cutsOf({ authority }: HandNode): string[] {
  const cuts: string[] = [];
  authority.revocation.onSecurityEvent(({ kind }) => {
    cuts.push(kind);
    return 0;
  });
  return cuts;
}

describe("a token that the store calls ended, before its entry of the log has arrived", () => {
  it.each(["session", "user"] as const)(
    "is refused only after the node has ended the %s's sockets",
    async (kind) => {
      const { node, other, user, session, accessToken } = await unsureOf();
      const cuts = cutsOf(other);
      other.hold();
      const target =
        kind === "user"
          ? ({ kind, userId: user.id } as const)
          : ({ kind: "sessions", userId: user.id, sessionIds: [session.id] } as const);
      await node.authority.revocation.revoke(target, "session_revoked");
      const entries = await other.held(1);
      const answer = Promise.resolve(other.authority.authentication.authenticate(accessToken, home));
      let answered = false;
      void answer.finally(() => {
        answered = true;
      });
      // Longer than any look-up: two others, one after the other, that started later.
      for (let times = 0; times < 2; times += 1) await other.authority.users.read(user.id);
      expect({ answered, cuts }).toEqual({ answered: false, cuts: [] });
      other.release(entries);
      expect(await within(answer, "the answer")).toMatchObject({ ok: false, close: "session_revoked" });
      expect(cuts).toEqual([kind === "user" ? "user" : "sessions"]);
    },
  );

  it("is refused from elsewhere, if the user is local-only by now, only after the node has closed such sockets", async () => {
    const { node, other, user, accessToken } = await unsureOf();
    const cuts = cutsOf(other);
    other.hold();
    await node.authority.users.update(user.id, { localOnly: true });
    const entries = await other.held(1);
    const answer = Promise.resolve(other.authority.authentication.authenticate(accessToken, abroad));
    let answered = false;
    void answer.finally(() => {
      answered = true;
    });
    for (let times = 0; times < 2; times += 1) await other.authority.users.read(user.id);
    expect({ answered, cuts }).toEqual({ answered: false, cuts: [] });
    other.release(entries);
    expect(await within(answer, "the answer")).toMatchObject({ ok: false, close: "address_not_allowed" });
    expect(cuts).toEqual(["user_changed"]);
  });

  it("is answered with unavailable, for now, if the entry does not arrive", async () => {
    const { node, other, user, session, accessToken } = await unsureOf();
    other.hold();
    const target = { kind: "sessions", userId: user.id, sessionIds: [session.id] } as const;
    await node.authority.revocation.revoke(target, "session_revoked");
    const entries = await other.held(1);
    const ask = async () => other.authority.authentication.authenticate(accessToken, home);
    await expect(ask()).rejects.toMatchObject({ code: "unavailable" });
    other.release(entries);
    expect(await ask()).toMatchObject({ ok: false, close: "session_revoked" });
  });
});
