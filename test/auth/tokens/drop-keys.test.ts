import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { AuthError } from "../../../src/auth/errors.ts";
import type { Step } from "../../../src/auth/store.ts";
import { home, startAuthority, type TestAuthority } from "../../support/authority.ts";
import { handClock } from "../../support/hand-clock.ts";
import { type InterposedStore, interposedEmbeddedStore } from "../../support/interposed-store.ts";
import { open, someone, startWithOwner } from "../revocation/rollback/rollback-people.ts";
import { goBack, redisRig } from "../revocation/rollback/rollback-rig.ts";

const hour = 3_600_000;
const dropsKeys = (step: Step) => step.log?.some(({ dropped }) => dropped !== undefined) === true;

describe("signing keys that are dropped", () => {
  let node: TestAuthority;
  let store: InterposedStore;
  let closeStore: () => Promise<void>;
  beforeEach(async () => {
    const clock = handClock();
    ({ store, close: closeStore } = await interposedEmbeddedStore(clock));
    node = await startAuthority({ store, clock });
  });
  afterEach(async () => {
    await node.stop();
    await closeStore();
  });

  it("authenticate nobody whose token is being looked up, or waits for the last check", async () => {
    const { authentication, sessions } = node.authority;
    const userId = (await node.user("ada")).user.id;
    const request = { userId, clientName: "robot", clientIcon: null, days: 3650 };
    const { accessToken } = await sessions.openLongLived(request);
    const admitted = await authentication.authenticate((await node.open(userId)).accessToken, home);
    node.clock.advance(2 * hour);
    const { get } = store;
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    store.get = async (keys) => {
      const found = await get(keys);
      await held;
      return found;
    };
    const verdict = authentication.authenticate(accessToken, home);
    store.get = get;
    expect(verdict).toBeInstanceOf(Promise);
    const { receipt, key } = await node.authority.dropKeys();
    expect(receipt).toMatchObject({ sessions: 0 });
    release();
    expect(await verdict).toMatchObject({ ok: false, close: "token_expired", reason: "key_dropped" });
    expect(admitted.ok && authentication.recheck(admitted.principal)).toBe("token_expired");
    if (!admitted.ok) throw new Error("not admitted");
    expect(await authentication.review([{ principal: admitted.principal, peer: home }])).toEqual([
      "token_expired",
    ]);

    const { accessToken: next } = await node.open(userId);
    expect(await authentication.authenticate(next, home)).toMatchObject({
      ok: true,
      principal: { keyId: key.kid },
    });
  });

  it("are refused, and sign nothing, also if the store cannot be read any more", async () => {
    const { authentication } = node.authority;
    const userId = (await node.user("ada")).user.id;
    const { accessToken, refreshToken } = await node.open(userId);
    const { get } = store;
    store.beforeCommit(dropsKeys, async () => {
      store.get = () => Promise.reject(new AuthError("unavailable"));
    });
    await node.authority.dropKeys();
    expect(authentication.authenticate(accessToken, home)).toMatchObject({ close: "token_expired" });
    expect(() => node.authority.keyring.jwks()).toThrow(AuthError);
    store.get = get;
    const request = { refreshToken, clientId: "https://app.example/", peer: home };
    const { accessToken: next } = await node.authority.sessions.refresh(request);
    expect(await authentication.authenticate(next, home)).toMatchObject({ ok: true });
  });

  it("are dropped when another node writes to the keyring at the same time", async () => {
    const other = await node.another();
    store.beforeCommit(dropsKeys, () => other.authority.keyring.rotate());
    const { key, dropped } = await node.authority.dropKeys();
    expect(dropped).toHaveLength(2);
    await node.authority.keyring.reload();
    expect(node.authority.keyring.list().map(({ kid }) => kid)).toEqual([key.kid]);
    await other.stop();
  });
});

describe("signing keys that were dropped before the store went back in time", () => {
  it("stay dropped, also for nodes that start later, and the new key stays valid", async () => {
    const rig = await redisRig();
    try {
      const node = await startWithOwner(rig);
      const { accessToken: old, refreshToken } = await open(node, await someone(node, "ada"));
      await rig.remember();
      const { key, dropped } = await node.authority.dropKeys();
      const { accessToken } = await node.authority.sessions.refresh({
        refreshToken,
        clientId: "https://one.example/",
        peer: home,
      });
      await goBack(rig, node);
      const later = await rig.start();
      for (const { authority } of [node, later]) {
        expect(authority.keyring.list().map(({ kid }) => kid)).toEqual([key.kid]);
        const refused = { ok: false, close: "token_expired" };
        expect(await authority.authentication.authenticate(old, home)).toMatchObject(refused);
        const admitted = { ok: true, principal: { keyId: key.kid } };
        expect(await authority.authentication.authenticate(accessToken, home)).toMatchObject(admitted);
      }
      expect(dropped).not.toContain(key.kid);
    } finally {
      await rig.dispose();
    }
  });
});
