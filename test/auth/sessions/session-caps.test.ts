import { describe, expect, it } from "vitest";
import type { SecurityEvent } from "../../../src/auth/revocation/security-events.ts";
import { startAuthority } from "../../support/authority.ts";

describe("sessions beyond the cap", () => {
  it("are revoked, least recently used first, and never the new one", async () => {
    const node = await startAuthority({ sessionCaps: { sessions: 3 } });
    const owner = await node.owner();
    const cuts: SecurityEvent[] = [];
    node.authority.revocation.onSecurityEvent((cut) => {
      cuts.push(cut);
      return 0;
    });
    const opened = [];
    for (let count = 0; count < 3; count += 1) {
      opened.push(await node.open(owner.id));
      node.clock.advance(60_000);
    }
    const [oldest, second, third] = opened;
    if (oldest === undefined || second === undefined || third === undefined) throw new Error("not opened");
    const peer = { address: "192.168.1.20" };
    const { refreshToken, session } = oldest;
    await node.authority.sessions.refresh({ refreshToken, clientId: session.clientId, peer });
    node.clock.advance(60_000);
    const fourth = await node.open(owner.id);

    const left = (await node.authority.sessions.list(owner.id)).map(({ id }) => id);
    expect(left.toSorted()).toEqual([oldest.session.id, third.session.id, fourth.session.id].toSorted());
    expect(cuts).toContainEqual(
      expect.objectContaining({
        kind: "sessions",
        sessionIds: [second.session.id],
        cause: "session_revoked",
      }),
    );
    await node.stop();
  });

  it("end a twentieth of the cap at once, so that most logins beyond it read none of them", async () => {
    const node = await startAuthority({ sessionCaps: { sessions: 40 } });
    const owner = await node.owner();
    const ended: number[] = [];
    node.authority.revocation.onSecurityEvent((cut) => {
      if (cut.kind === "sessions") ended.push(cut.sessionIds.length);
      return 0;
    });
    for (let count = 0; count < 45; count += 1) await node.open(owner.id);
    // The 41st leaves 38, the 44th leaves 38 again.
    expect(ended).toEqual([3, 3]);
    expect(await node.authority.sessions.list(owner.id)).toHaveLength(39);
    await node.stop();
  });

  it("are reduced to a lowered cap, and long-lived tokens are not counted", async () => {
    const node = await startAuthority({ sessionCaps: { sessions: 5 } });
    const owner = await node.owner();
    const { sessions } = node.authority;
    for (let count = 0; count < 4; count += 1)
      await sessions.openLongLived({ userId: owner.id, clientName: `t${count}`, clientIcon: null, days: 1 });
    for (let count = 0; count < 7; count += 1) await node.open(owner.id);
    const types = (await sessions.list(owner.id)).map(({ type }) => type);
    expect(types.filter((type) => type === "normal")).toHaveLength(5);
    expect(types.filter((type) => type === "long_lived_access_token")).toHaveLength(4);
    await node.stop();
  });
});

describe("long-lived tokens beyond the cap", () => {
  it("are refused, also if requested concurrently, until one has ended", async () => {
    const node = await startAuthority({ sessionCaps: { longLivedTokens: 5 } });
    const owner = await node.owner();
    const { sessions, revocation } = node.authority;
    const openOne = (name: string) =>
      sessions.openLongLived({ userId: owner.id, clientName: name, clientIcon: null, days: 1 });
    for (let count = 0; count < 6; count += 1) await node.open(owner.id);
    const results = await Promise.allSettled(Array.from({ length: 12 }, (_, place) => openOne(`t${place}`)));
    const refused = results.filter((result) => result.status === "rejected");
    expect(refused.map(({ reason }) => (reason as { code?: string }).code)).toEqual(
      Array.from({ length: 7 }, () => "too_many_tokens"),
    );
    await expect(openOne("one more")).rejects.toMatchObject({ code: "too_many_tokens" });

    const first = results.find((result) => result.status === "fulfilled");
    const sessionIds = first === undefined ? [] : [first.value.session.id];
    await revocation.revoke({ kind: "sessions", userId: owner.id, sessionIds }, "session_revoked");
    await expect(openOne("one more")).resolves.toMatchObject({ session: { clientName: "one more" } });
    await node.stop();
  });
});
