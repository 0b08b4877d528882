import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { recordKeys } from "../../../src/auth/record-keys.ts";
import type { SecurityEvent } from "../../../src/auth/revocation/security-events.ts";
import { readRecord } from "../../../src/auth/store.ts";
import { home, startAuthority, type TestAuthority } from "../../support/authority.ts";
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
});
afterAll(async () => {
  await node.stop();
  await closeStore();
});

const app = "https://app.example/";
const other = "https://other.example/";
let made = 0;
async function someone(): Promise<string> {
  made += 1;
  return (await node.user(`user${made}`)).user.id;
}
const revocation = () => node.authority.revocation;
const isLive = async (sessionId: string) => (await node.authority.sessions.get(sessionId)) !== undefined;
const verdictOf = async (accessToken: string) =>
  await node.authority.authentication.authenticate(accessToken, home);
const refresh = (refreshToken: string, clientId = app) =>
  node.authority.sessions.refresh({ refreshToken, clientId, peer: home });

async function cutsOf(work: () => Promise<unknown>): Promise<readonly SecurityEvent[]> {
  const cuts: SecurityEvent[] = [];
  const undo = revocation().onSecurityEvent((cut) => {
    cuts.push(cut);
    return 1;
  });
  await work();
  undo();
  return cuts;
}

describe("revoking a client", () => {
  it("ends its sessions of every user and no others; new logins work", async () => {
    const [ada, bob] = [await someone(), await someone()];
    const [first, second] = [await node.open(ada), await node.open(bob)];
    const elsewhere = await node.open(ada, { clientId: other });
    const nowhere = await node.open(ada, { clientId: null });
    const cuts = await cutsOf(async () => {
      const receipt = await revocation().revoke({ kind: "client", clientId: app }, "session_revoked");
      expect(receipt).toMatchObject({ sessions: null, socketsClosed: 1, effective: "all" });
    });
    expect(cuts).toMatchObject([{ kind: "client", clientId: app }]);
    const sessions = [first, second, elsewhere, nowhere];
    expect(await Promise.all(sessions.map(({ session }) => isLive(session.id)))).toEqual([
      ...[false, false, true, true],
    ]);
    // In the order of their ids, which are random.
    const left = (await node.authority.sessions.list(ada)).map(({ clientId }) => clientId);
    expect(new Set(left)).toEqual(new Set([other, null]));
    expect(left).toHaveLength(2);
    for (const { accessToken, refreshToken } of [first, second]) {
      expect(await verdictOf(accessToken)).toMatchObject({ ok: false, close: "session_revoked" });
      expect(await refusal(refresh(refreshToken))).toBe("invalid_grant");
    }
    expect(await verdictOf(elsewhere.accessToken)).toMatchObject({ ok: true });
    const again = await node.open(ada);
    expect(await verdictOf(again.accessToken)).toMatchObject({ ok: true });
    expect(await refusal(refresh(again.refreshToken))).toBe("accepted");
  });

  it("ends a session that is refreshed or opened at the same moment", async () => {
    const ada = await someone();
    const { refreshToken } = await node.open(ada);
    store.beforeCommit(
      ({ put }) => (put ?? []).length > 0,
      () => revocation().revoke({ kind: "client", clientId: app }, "session_revoked"),
    );
    expect(await refusal(refresh(refreshToken))).toBe("invalid_grant");
    store.beforeCommit(
      ({ put }) => (put ?? []).length > 0,
      () => revocation().revoke({ kind: "client", clientId: app }, "session_revoked"),
    );
    expect(await refusal(node.open(ada))).toBe("conflict");
  });

  it("is not undone by sparing a session, nor by a change of its expiry", async () => {
    const ada = await someone();
    const { session, accessToken } = await node.open(ada);
    const principal = await node.principal(accessToken);
    await revocation().revoke({ kind: "client", clientId: app }, "session_revoked");
    const sparing = { kind: "user", userId: ada, except: session.id } as const;
    expect(await refusal(revocation().revoke(sparing, "password_changed"))).toBe("unauthorized");
    expect(await refusal(node.authority.sessions.setExpiry(principal, session.id, false))).toBe(
      "invalid_token_id",
    );
    expect(await isLive(session.id)).toBe(false);
  });

  it("is known to a node that starts later, from the log, and from the store after the log was trimmed", async () => {
    const ada = await someone();
    const { accessToken } = await node.open(ada);
    const robot = await node.authority.sessions.openLongLived({
      userId: ada,
      clientName: "robot",
      clientIcon: null,
      days: 365,
    });
    await revocation().revoke({ kind: "client", clientId: app }, "session_revoked");
    const late = await node.another();
    const verdict = (token: string) => late.authority.authentication.authenticate(token, home);
    expect(await verdict(accessToken)).toMatchObject({ ok: false });
    expect(await verdict(robot.accessToken)).toMatchObject({ ok: true });
    await revocation().revoke({ kind: "all" }, "session_revoked");
    node.clock.advance(3 * 3_600_000);
    const later = await node.another();
    expect(await later.authority.authentication.authenticate(robot.accessToken, home)).toMatchObject({
      ok: false,
    });
    await late.stop();
    await later.stop();
  });
});

describe("revoking everything", () => {
  it("ends every session and long-lived token; new logins work", async () => {
    const [ada, bob] = [await someone(), await someone()];
    const opened = [await node.open(ada), await node.open(bob, { clientId: null })];
    const robot = await node.authority.sessions.openLongLived({
      userId: bob,
      clientName: "robot",
      clientIcon: null,
      days: 1,
    });
    const cuts = await cutsOf(() => revocation().revoke({ kind: "all" }, "session_revoked"));
    expect(cuts).toMatchObject([{ kind: "all" }]);
    for (const { session } of [...opened, robot]) expect(await isLive(session.id)).toBe(false);
    expect(await verdictOf(robot.accessToken)).toMatchObject({ ok: false, close: "session_revoked" });
    const again = await node.open(ada);
    expect(await verdictOf(again.accessToken)).toMatchObject({ ok: true });
    const epoch = (await readRecord(store, recordKeys.allEpoch))?.version ?? 0;
    expect((await node.principal(again.accessToken)).epoch).toBe(epoch);
  });
});

describe("the created version of a session", () => {
  it("is that of its login, however often the record was written since", async () => {
    const ada = await someone();
    const { session, refreshToken } = await node.open(ada);
    const key = recordKeys.session(session.id);
    const createdVersion = (await readRecord(store, key))?.version ?? 0;
    node.clock.advance(60_000);
    await refresh(refreshToken);
    const record = await readRecord(store, key);
    expect(record?.value).toMatchObject({ createdVersion });
    expect(record?.version).toBeGreaterThan(createdVersion);
    // What a failover loses and a node writes again: an epoch from between the login and the refresh.
    await store.commit({ raiseEpochsTo: [{ key: recordKeys.userEpoch(ada), version: createdVersion + 1 }] });
    expect(await isLive(session.id)).toBe(false);
  });
});
