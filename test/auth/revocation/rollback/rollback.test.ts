import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { newId } from "../../../../src/auth/ids.ts";
import { recordKeys } from "../../../../src/auth/record-keys.ts";
import { RevocationCache } from "../../../../src/auth/revocation/revocation-cache.ts";
import { repairRollback } from "../../../../src/auth/revocation/rollback/repair.ts";
import type { Safeguard } from "../../../../src/auth/safeguards.ts";
import { type RecordKey, readRecord } from "../../../../src/auth/store.ts";
import { home, ownerLogin } from "../../../support/authority.ts";
import { eventually } from "../../../support/eventually.ts";
import { type RedisServer, startRedis } from "../../../support/redis-server.ts";
import { refusal } from "../../../support/refusal.ts";
import { type HandNode, startHandNode } from "../lease-rig.ts";

let redis: RedisServer;
const nodes: HandNode[] = [];
beforeEach(async () => {
  redis = await startRedis();
});
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.stop();
  await redis.dispose();
});

async function start(...protections: readonly Safeguard[]): Promise<HandNode> {
  const node = await startHandNode({ url: redis.url, disabledSafeguards: new Set(protections) });
  nodes.push(node);
  await node.beatUntilTrusted();
  return node;
}

async function someone({ authority }: HandNode, username: string): Promise<string> {
  const { password } = ownerLogin;
  return (await authority.localLogins.createUser({ name: username, username, password, groupIds: [] })).id;
}

async function open({ authority }: HandNode, userId: string, clientId: string | null = null) {
  const standing = await authority.users.read(userId);
  if (standing === undefined) throw new Error("no user");
  const { user, version: userVersion, epoch: userEpoch } = standing;
  return authority.sessions.open({
    user,
    userVersion,
    userEpoch,
    credential: null,
    clientId,
    clientName: null,
    rotates: true,
    assurance: 1,
    amr: ["pwd"],
    authenticatedAt: Date.now(),
    peer: home,
  });
}

/** Everything after `remember` is lost, like in a failover to a replica that was behind, or with an old backup. */
const remember = () => redis.command("SAVE");
async function goBack(...all: readonly HandNode[]): Promise<void> {
  await redis.kill();
  await redis.restart();
  // The nodes notice by an acknowledged write that is not in the log any more, or by the next heartbeat.
  await eventually("the break", async () => {
    for (const node of all) await node.beat();
    return all.every(({ reported }) => reported.includes("lost"));
  });
  await Promise.all(all.map((node) => node.beatUntilTrusted()));
}

const epochOf = async ({ store }: HandNode, key: RecordKey) => (await readRecord(store, key))?.version;
const isLive = async ({ authority }: HandNode, sessionId: string) =>
  (await authority.sessions.get(sessionId)) !== undefined;
const refresh = ({ authority }: HandNode, refreshToken: string) =>
  authority.sessions.refresh({ refreshToken, clientId: null, peer: home });

describe("after the store went back in time", () => {
  it("revoked sessions and users stay revoked, and nobody else is affected", async () => {
    const node = await start();
    const [ada, bob] = [await someone(node, "ada"), await someone(node, "bob")];
    const [first, second, spared] = [await open(node, ada), await open(node, ada), await open(node, ada)];
    const untouched = await open(node, bob);
    const other = await open(node, bob);
    await remember();
    const { revocation } = node.authority;
    await revocation.revoke(
      { kind: "sessions", userId: bob, sessionIds: [other.session.id] },
      "token_reused",
    );
    await revocation.revoke({ kind: "user", userId: ada, except: spared.session.id }, "password_changed");
    const epoch = (await readRecord(node.store, recordKeys.userEpoch(ada)))?.version ?? 0;
    await goBack(node);
    expect(node.reported).toContain("rollback_repaired 2");
    const sessions = [first, second, other, spared, untouched];
    expect(await Promise.all(sessions.map(({ session }) => isLive(node, session.id)))).toEqual([
      ...[false, false, false, true, true],
    ]);
    expect((await readRecord(node.store, recordKeys.userEpoch(ada)))?.version).toBe(epoch);
    expect(await refusal(refresh(node, untouched.refreshToken))).toBe("accepted");
    expect(await refusal(refresh(node, other.refreshToken))).toBe("invalid_grant");
  });

  it("revocations of a client and of all hold; sessions that were opened since stay live", async () => {
    const node = await start();
    const ada = await someone(node, "ada");
    const [first, other] = [
      await open(node, ada, "https://one.example/"),
      await open(node, ada, "https://two.example/"),
    ];
    await remember();
    const { revocation } = node.authority;
    await revocation.revoke({ kind: "client", clientId: "https://one.example/" }, "session_revoked");
    const clientEpoch = await epochOf(node, recordKeys.clientEpoch("https://one.example/"));
    await goBack(node);
    expect(node.reported).toContain("rollback_repaired 1");
    expect(await epochOf(node, recordKeys.clientEpoch("https://one.example/"))).toBe(clientEpoch);
    expect([await isLive(node, first.session.id), await isLive(node, other.session.id)]).toEqual([
      false,
      true,
    ]);
    const since = await open(node, ada, "https://one.example/");
    expect(await isLive(node, since.session.id)).toBe(true);

    await remember();
    await revocation.revoke({ kind: "all" }, "session_revoked");
    const epoch = await epochOf(node, recordKeys.allEpoch);
    const reported = node.reported.length;
    await redis.kill();
    await redis.restart();
    await eventually("the second break", async () => {
      await node.beat();
      return node.reported.slice(reported).includes("lost");
    });
    await node.beatUntilTrusted();
    expect(await epochOf(node, recordKeys.allEpoch)).toBe(epoch);
    expect([await isLive(node, other.session.id), await isLive(node, since.session.id)]).toEqual([
      false,
      false,
    ]);
    const enter = async ({ accessToken }: { readonly accessToken: string }) =>
      (await node.authority.authentication.authenticate(accessToken, home)).ok;
    expect([await enter(other), await enter(await open(node, ada))]).toEqual([false, true]);
  });

  it.each([
    ["a user", (userId: string) => ({ kind: "user", userId }) as const],
    ["a client", () => ({ kind: "client", clientId: "https://one.example/" }) as const],
    ["everybody", () => ({ kind: "all" }) as const],
  ])("the sessions of %s are live again without the rollback repair", async (_, target) => {
    const node = await start("rollback_repair");
    const ada = await someone(node, "ada");
    const { session } = await open(node, ada, "https://one.example/");
    await remember();
    await node.authority.revocation.revoke(target(ada), "password_changed");
    await goBack(node);
    expect(await isLive(node, session.id)).toBe(true);
  });

  it("a node that starts afterwards knows them, and a login from in between is not revoked", async () => {
    const node = await start();
    const ada = await someone(node, "ada");
    const old = await open(node, ada);
    await remember();
    await node.authority.revocation.revoke({ kind: "user", userId: ada }, "session_revoked");
    await redis.kill();
    await redis.restart();
    // Before any node has noticed.
    let between: Awaited<ReturnType<typeof open>> | undefined;
    await eventually("a login", async () => {
      between ??= await open(node, ada).catch(() => undefined);
      return between !== undefined;
    });
    await eventually("the break", async () => {
      await node.beat();
      return node.reported.includes("lost");
    });
    await node.beatUntilTrusted();
    const late = await start();
    for (const { authority } of [node, late]) {
      const verdict = (token: string | undefined) => authority.authentication.authenticate(token ?? "", home);
      expect(await verdict(old.accessToken)).toMatchObject({ ok: false });
      expect(await verdict(between?.accessToken)).toMatchObject({ ok: true });
    }
  });

  it("several nodes may repair at the same time", async () => {
    const all = [await start(), await start(), await start()];
    const [node] = all;
    if (node === undefined) throw new Error("no node");
    const ada = await someone(node, "ada");
    const opened = await Promise.all(Array.from({ length: 20 }, () => open(node, ada)));
    const ids = opened.map(({ session }) => session.id);
    await remember();
    const { revocation } = node.authority;
    const receipt = await revocation.revoke(
      { kind: "sessions", userId: ada, sessionIds: ids.slice(0, 10) },
      "session_revoked",
    );
    await eventually("the revocation everywhere", async () => {
      await Promise.all(all.map((each) => each.beat()));
      return (await revocation.settled(receipt)).effective === "all";
    });
    await goBack(...all);
    const live = await Promise.all(ids.map((id) => isLive(node, id)));
    expect(live).toEqual([...Array(10).fill(false), ...Array(10).fill(true)]);
  });

  it.each(["before", "after"])(
    "a session that one node spares ends with a later revocation that another node writes again %s it",
    async (when) => {
      const node = await start();
      const ada = await someone(node, "ada");
      const { session } = await open(node, ada);
      const opened = (await readRecord(node.store, recordKeys.session(session.id)))?.version ?? 0;
      await someone(node, "bob");
      const repair = async (epoch: number, except: string | null) => {
        const cache = new RevocationCache(60_000, 100);
        const raised = {
          epoch,
          except,
          cause: "session_revoked",
          revocationId: newId(),
          replayed: false,
        } as const;
        cache.users.set(ada, raised, Date.now());
        await repairRollback({
          cache,
          store: node.store,
          clock: node.clock,
          logWriter: { commit: (step) => node.store.commit(step) },
          rememberedMs: 60_000,
          onRepaired: () => undefined,
          repairs: {
            ofUser: async () => undefined,
            ofLogin: async () => undefined,
            ofOwner: async () => undefined,
            others: () => [],
          },
        });
      };
      const sparing = () => repair(opened + 1, session.id);
      const ending = () => repair(opened + 2, null);
      if (when === "after") {
        await sparing();
        expect(await isLive(node, session.id)).toBe(true);
        await ending();
      } else {
        await ending();
        await sparing();
      }
      expect(await isLive(node, session.id)).toBe(false);
    },
  );

  it("a lost session authenticates nobody, with any token; another stays live", async () => {
    const node = await start();
    const ada = await someone(node, "ada");
    const kept = await open(node, ada);
    await remember();
    const lost = await open(node, ada);
    await someone(node, "bob");
    const enter = async ({ accessToken }: { readonly accessToken: string }) =>
      (await node.authority.authentication.authenticate(accessToken, home)).ok;
    expect([await enter(kept), await enter(lost)]).toEqual([true, true]);
    await goBack(node);
    expect([await enter(kept), await enter(lost)]).toEqual([true, false]);
  });

  it("the view is trusted again with a higher invalidation count, and each transition is reported once", async () => {
    const node = await start();
    const { view } = node.authority.revocation;
    const { invalidationCount } = view;
    await someone(node, "ada");
    await remember();
    await someone(node, "bob");
    await goBack(node);
    expect([view.trusted, view.invalidationCount > invalidationCount]).toEqual([true, true]);
    const reported = node.reported.filter((each) => each !== "failed");
    // If the log is looked at once more during the repair, which a busy machine makes likely, the repair runs again.
    const transitions = reported.filter((each, at) => each !== reported[at - 1]);
    expect(transitions).toEqual(["recovered", "lost", "lapsed", "rollback_repaired 0", "recovered"]);
  });
});

describe("a client that had just rotated its refresh token", () => {
  const rotated = async (node: HandNode) => {
    const ada = await someone(node, "ada");
    const { refreshToken, session } = await open(node, ada);
    await remember();
    const second = (await refresh(node, refreshToken)).refreshToken ?? "";
    node.clock.advance(11_000);
    const third = (await refresh(node, second)).refreshToken ?? "";
    // A rotation is not in the log: no node needs to have noticed that the store went back.
    await redis.kill();
    await redis.restart();
    await eventually("the store", async () => {
      const found = await node.authority.sessions.get(session.id).catch(() => undefined);
      return found?.generation === 1;
    });
    return { session, refreshToken, third };
  };

  it("is not taken for a thief after a rollback, and its session continues from there", async () => {
    const node = await start();
    const { session, refreshToken, third } = await rotated(node);
    const grant = await refresh(node, third);
    expect(grant.session.generation).toBe(4);
    node.clock.advance(11_000);
    // The holder of the first token is a thief.
    expect(await refusal(refresh(node, refreshToken))).toBe("token_reused");
    expect(await isLive(node, session.id)).toBe(false);
  });

  it("is taken for a thief without healing forward", async () => {
    const node = await start("heal_forward");
    const { third } = await rotated(node);
    expect(await refusal(refresh(node, third))).toBe("token_reused");
  });
});
