import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { AuthError } from "../../../src/auth/errors.ts";
import { recordKeys } from "../../../src/auth/record-keys.ts";
import type { CountLimits } from "../../../src/auth/revocation/ended-count.ts";
import type { EpochTarget } from "../../../src/auth/revocation/revocation.ts";
import { openRedisStore } from "../../../src/store/redis/redis-store.ts";
import { startAuthority, type TestAuthority } from "../../support/authority.ts";
import { handClock } from "../../support/hand-clock.ts";
import { type InterposedStore, interposed, interposedEmbeddedStore } from "../../support/interposed-store.ts";
import { startRedis } from "../../support/redis-server.ts";
import { within } from "../../support/within.ts";

interface Place {
  readonly node: TestAuthority;
  readonly store: InterposedStore;
  stop(): Promise<void>;
}

const app = "https://app.example/";
const other = "https://other.example/";
const ofApp = { kind: "client", clientId: app } as const;
const all = { kind: "all" } as const;

async function onEmbedded(counting?: CountLimits): Promise<Place> {
  const clock = handClock(Date.now());
  const { store, close } = await interposedEmbeddedStore(clock);
  return await place(store, close, counting, clock);
}

async function onRedis(): Promise<Place> {
  const redis = await startRedis();
  const store = interposed(await openRedisStore({ url: redis.url, timeoutMs: 5_000 }));
  const close = async () => {
    await store.close();
    await redis.dispose();
  };
  return await place(store, close);
}

async function place(
  store: InterposedStore,
  close: () => Promise<void>,
  counting?: CountLimits,
  clock = handClock(Date.now()),
): Promise<Place> {
  const revocation = counting === undefined ? {} : { revocation: { counting } };
  const node = await startAuthority({ store, clock, ...revocation });
  const stop = async () => {
    await node.stop();
    await close();
  };
  return { node, store, stop };
}

/** What the receipt says at once, and in the end. */
async function revoke({ node }: Place, target: EpochTarget) {
  const { revocation } = node.authority;
  const receipt = await revocation.revoke(target, "session_revoked");
  const settled = await within(revocation.settled(receipt), "completion");
  expect(settled).toMatchObject({ effective: "all", nodes: { applied: 1, pending: 0, fenced: 0 } });
  return [receipt.sessions, settled.sessions];
}

describe.each([
  ["Redis", onRedis],
  ["the embedded store", onEmbedded],
])("the sessions that a raise ended, on %s", (_, make) => {
  let at: Place;
  beforeAll(async () => {
    at = await make();
  });
  afterAll(() => at?.stop());

  it("are counted after it, each once: not what was over before, nor what came since", async () => {
    const { node } = at;
    const { authority } = node;
    const people: string[] = [];
    for (const name of ["ada", "bob", "cleo"]) people.push((await node.user(name)).user.id);
    const [ada = "", bob = "", cleo = ""] = people;
    await node.open(ada);
    await node.open(ada, { clientId: other });
    await node.open(ada, { clientId: null });
    await node.open(bob);
    const { session: ended } = await node.open(bob);
    const target = { kind: "sessions", userId: bob, sessionIds: [ended.id] } as const;
    await authority.revocation.revoke(target, "session_revoked");
    expect(await revoke(at, ofApp)).toEqual([null, 2]);
    expect(await revoke(at, ofApp)).toEqual([null, 0]);
    await node.open(cleo);
    expect(await revoke(at, ofApp)).toEqual([null, 1]);
    await node.open(cleo);
    expect(await revoke(at, all)).toEqual([null, 3]);
    expect(await revoke(at, all)).toEqual([null, 0]);
    expect(await revoke(at, ofApp)).toEqual([null, 0]);
  });

  it("are those of that raise, also where another one has come since", async () => {
    const { node } = at;
    const { user } = await node.user("dora");
    await node.open(user.id);
    await node.open(user.id, { clientId: other });
    const { revocation } = node.authority;
    const first = await revocation.revoke(ofApp, "session_revoked");
    const second = await revocation.revoke(all, "session_revoked");
    const counts = await Promise.all([first, second].map((receipt) => revocation.settled(receipt)));
    expect(counts.map(({ sessions }) => sessions)).toEqual([1, 1]);
  });

  it("are those of one of two raises of the same epoch at once", async () => {
    const { node, store } = at;
    const { user } = await node.user("emil");
    await node.open(user.id);
    let inner: readonly (number | null | undefined)[] = [];
    store.beforeCommit(
      ({ raise }) => raise?.includes(recordKeys.clientEpoch(app)) ?? false,
      async () => {
        inner = await revoke(at, ofApp);
      },
    );
    expect([await revoke(at, ofApp), inner]).toEqual([
      [null, 0],
      [null, 1],
    ]);
  });

  it("are not counted where nobody waits for it", async () => {
    const { node, store } = at;
    const before = store.calls.get;
    await node.authority.revocation.revoke(all, "session_revoked");
    expect(store.calls.get - before).toBe(1);
  });
});

describe("counting what a raise ended", () => {
  it("is given up beyond so many reads", async () => {
    // Of three users: the users, then per user the index, the sessions and their epochs.
    for (const [reads, expected] of [
      [10, 3],
      [9, null],
    ] as const) {
      const at = await onEmbedded({ reads, withinMs: 60_000 });
      for (const name of ["ada", "bob", "cleo"]) await at.node.open((await at.node.user(name)).user.id);
      expect(await revoke(at, all)).toEqual([null, expected]);
      await at.stop();
    }
  });

  it("is given up beyond its time, and where the store does not answer; the revocation stands", async () => {
    const at = await onEmbedded({ reads: 1_000, withinMs: 1_000 });
    const { node, store } = at;
    const { user } = await node.user("ada");
    const first = await node.open(user.id);
    const { list } = store;
    store.list = (index, page) => {
      node.clock.advance(1_000);
      return list(index, page);
    };
    expect(await revoke(at, all)).toEqual([null, null]);
    store.list = list;
    const second = await node.open(user.id);
    store.list = () => Promise.reject(new AuthError("unavailable"));
    expect(await revoke(at, all)).toEqual([null, null]);
    store.list = list;
    for (const { session } of [first, second])
      expect(await node.authority.sessions.get(session.id)).toBeUndefined();
    await at.stop();
  });

  it("leaves a revocation alone whose epoch cannot be read before it", async () => {
    const at = await onEmbedded();
    const { node, store } = at;
    const { session } = await node.open((await node.user("ada")).user.id);
    const { get } = store;
    let failures = 0;
    store.get = (keys) => {
      if (!keys.includes(recordKeys.allEpoch) || keys.length > 1) return get(keys);
      failures += 1;
      return Promise.reject(new AuthError("unavailable"));
    };
    expect([await revoke(at, all), failures]).toEqual([[null, null], 1]);
    store.get = get;
    expect(await node.authority.sessions.get(session.id)).toBeUndefined();
    await at.stop();
  });
});
