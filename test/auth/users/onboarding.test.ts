import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { AuthError } from "../../../src/auth/errors.ts";
import { recordKeys } from "../../../src/auth/record-keys.ts";
import { readRecord, type Store } from "../../../src/auth/store.ts";
import { createSealing } from "../../../src/auth/tokens/sealing.ts";
import { isSetupCode, setupCodeOf } from "../../../src/auth/users/setup-code.ts";
import { openRedisStore } from "../../../src/store/redis/redis-store.ts";
import { home, ownerLogin, startAuthority, type TestAuthority } from "../../support/authority.ts";
import { guestProvider } from "../../support/guest-provider.ts";
import { handClock } from "../../support/hand-clock.ts";
import { interposedEmbeddedStore } from "../../support/interposed-store.ts";
import { type RedisServer, startRedis } from "../../support/redis-server.ts";
import { refusal } from "../../support/refusal.ts";

let node: TestAuthority;
afterEach(() => node.stop());

const request = async (more: object = {}) => ({
  setupCode: await node.authority.onboarding.setupCode(),
  ...ownerLogin,
  ...more,
});

it("opens no session for an owner of whom a second factor is demanded", async () => {
  node = await startAuthority();
  const { onboarding, secondFactors, users } = node.authority;
  await secondFactors.demand("system-admin", true);
  const asked = { ...(await request()), clientId: null, peer: home };
  expect(await refusal(onboarding.createOwnerWithSession(asked))).toBe("not_allowed");
  expect(await users.list()).toEqual([]);
  await onboarding.createOwner(await request());
});

describe("the set-up code", () => {
  it("is the same on every node and after a restart, and another for another installation", async () => {
    node = await startAuthority();
    const code = await node.authority.onboarding.setupCode();
    expect(code).toMatch(/^([0-9A-HJKMNP-TV-Z]{5}-){3}[0-9A-HJKMNP-TV-Z]{5}$/);
    const other = await node.another();
    expect(await other.authority.onboarding.setupCode()).toBe(code);
    const instance = await readRecord(node.store, recordKeys.instance);
    expect(setupCodeOf(createSealing(node.secret), String(instance?.value.id))).toBe(code);
    expect(setupCodeOf(createSealing(node.secret), "another installation")).not.toBe(code);
    expect(JSON.stringify(instance)).not.toContain(code.slice(0, 5));
  });

  it("is read however a person types it, and in no other way", () => {
    expect(isSetupCode("abcde-01jkm npqrs-tvwxy", "ABCDE-01JKM-NPQRS-TVWXY")).toBe(true);
    expect(isSetupCode("ABCDEOLJKMNPQRSTVWXY", "ABCDE-01JKM-NPQRS-TVWXY")).toBe(true);
    for (const wrong of [
      "",
      "ABCDE",
      "ABCDE-01JKM-NPQRS-TVWXZ",
      "ABCDE-01JKM-NPQRS-TVWXY-A",
      "é".repeat(200),
    ])
      expect(isSetupCode(wrong, "ABCDE-01JKM-NPQRS-TVWXY")).toBe(false);
  });

  it("makes no owner when it is wrong, and costs no hashing", async () => {
    node = await startAuthority();
    const { onboarding, users } = node.authority;
    for (const setupCode of ["", "00000-00000-00000-00000", "x".repeat(10_000)])
      expect(await refusal(onboarding.createOwner(await request({ setupCode })))).toBe("invalid_setup_code");
    expect(await onboarding.required()).toBe(true);
    expect(await users.list()).toEqual([]);
  });
});

describe("whether an owner is missing", () => {
  it("is known without the store once there is one, and not before", async () => {
    const clock = handClock();
    const { store, close } = await interposedEmbeddedStore(clock);
    node = await startAuthority({ store, clock });
    const { get } = store;
    const away = () => Promise.reject(new AuthError("unavailable"));
    store.get = away;
    expect(await refusal(node.authority.onboarding.required())).toBe("unavailable");
    store.get = get;
    await node.owner();
    expect(await node.authority.onboarding.required()).toBe(false);
    store.get = away;
    expect(await node.authority.onboarding.required()).toBe(false);
    store.get = get;
    await node.stop();
    await close();
    node = await startAuthority();
  });
});

describe("guesses of the set-up code", () => {
  it("are bounded for an address, whichever way they come, and not for another or for the operator", async () => {
    node = await startAuthority();
    const { onboarding } = node.authority;
    const good = await request();
    const wrong = { ...good, setupCode: "00000-00000-00000-00000" };
    const clientId = "https://app.example/";
    const guess = (place: number) =>
      refusal(
        place % 2 === 0
          ? onboarding.createOwnerWithSession({ ...wrong, clientId: null, peer: home })
          : onboarding.createOwnerWithCode({ ...wrong, clientId, peer: home }),
      );
    const answers = await Promise.all(Array.from({ length: 30 }, (_, place) => guess(place)));
    expect(answers.filter((answer) => answer === "invalid_setup_code")).toHaveLength(10);
    expect(answers.filter((answer) => answer === "rate_limited")).toHaveLength(20);
    // Who has used it up does not learn whether a code is right.
    expect(await refusal(onboarding.createOwnerWithCode({ ...good, clientId, peer: home }))).toBe(
      "rate_limited",
    );
    expect(await refusal(onboarding.createOwner(wrong))).toBe("invalid_setup_code");
    const elsewhere = { address: "192.0.2.7" };
    expect(await refusal(onboarding.createOwnerWithCode({ ...good, clientId, peer: elsewhere }))).toBe(
      "accepted",
    );
  });
});

describe("onboarding", () => {
  it("makes no session for a client id that is none", async () => {
    node = await startAuthority();
    const { onboarding } = node.authority;
    const asked = { ...(await request()), peer: home };
    for (const clientId of ["javascript:alert(1)", "client", "https://user@app.example/"])
      expect(await refusal(onboarding.createOwnerWithSession({ ...asked, clientId }))).toBe("invalid_client");
    expect(await onboarding.required()).toBe(true);
  });

  it("makes the owner, an administrator, once", async () => {
    node = await startAuthority();
    const { onboarding, users, localLogins } = node.authority;
    const owner = await onboarding.createOwner(await request());
    expect(owner).toMatchObject({
      isOwner: true,
      state: "active",
      groupIds: ["system-admin"],
      name: "Olivia",
    });
    expect(await users.read(owner.id)).toMatchObject({ user: owner });
    expect(await localLogins.usernameOf(owner.id)).toBe("olivia");
    expect(await onboarding.required()).toBe(false);
    expect(await refusal(onboarding.createOwner(await request({ username: "eve" })))).toBe("onboarding_done");
    // Done is done: the code is not compared any more, so it cannot be guessed afterwards either.
    expect(await refusal(onboarding.createOwner(await request({ setupCode: "" })))).toBe("onboarding_done");
  });

  it("leaves nothing behind when the name or the password is refused", async () => {
    node = await startAuthority();
    const { onboarding, users, credentials } = node.authority;
    expect(await refusal(onboarding.createOwner(await request({ password: "short" })))).toBe(
      "invalid_password",
    );
    expect(await refusal(onboarding.createOwner(await request({ username: "Olivia " })))).toBe(
      "username_not_normalized",
    );
    expect(await onboarding.required()).toBe(true);
    expect(await users.list()).toEqual([]);
    expect(await credentials.find("homeassistant", null, "olivia")).toBeUndefined();
    expect(await refusal(onboarding.createOwner(await request()))).toBe("accepted");
  });

  it("gives the one who asked a session, by the same commit", async () => {
    node = await startAuthority();
    const { onboarding, sessions } = node.authority;
    const asked = { ...(await request()), clientId: null, peer: home };
    const { user, grant } = await onboarding.createOwnerWithSession(asked);
    const principal = await node.principal(grant.accessToken);
    expect(principal).toMatchObject({ userId: user.id, sessionType: "normal", amr: ["pwd"], assurance: 1 });
    expect(await sessions.get(grant.session.id)).toMatchObject({
      providerType: "homeassistant",
      rotates: true,
    });
    expect(await refusal(onboarding.createOwnerWithSession(asked))).toBe("onboarding_done");
  });

  it("gives a client an authorization code, by the same commit", async () => {
    node = await startAuthority();
    const { onboarding, codes } = node.authority;
    const clientId = "https://app.example/";
    const { user, code } = await onboarding.createOwnerWithCode({
      ...(await request()),
      clientId,
      peer: home,
    });
    const { grant } = await codes.redeem({ code, clientId, peer: home });
    expect(grant).toMatchObject({ userId: user.id, clientId, amr: ["pwd"] });
  });
});

/** All three ways in, from two nodes, 50 at once. */
async function race(nodes: readonly [TestAuthority, TestAuthority]) {
  const setupCode = await nodes[0].authority.onboarding.setupCode();
  const work = Array.from({ length: 50 }, async (_, place) => {
    const { onboarding } = nodes[place % 2 === 0 ? 0 : 1].authority;
    // The name is the same for some: who loses by the name is told of the owner all the same.
    const asked = { setupCode, ...ownerLogin, username: `owner${place % 20}` };
    if (place % 3 === 0) return refusal(onboarding.createOwner(asked));
    if (place % 3 === 1)
      return refusal(onboarding.createOwnerWithSession({ ...asked, clientId: null, peer: home }));
    return refusal(
      onboarding.createOwnerWithCode({ ...asked, clientId: "https://app.example/", peer: home }),
    );
  });
  return await Promise.all(work);
}

async function expectOneOwner(nodes: readonly [TestAuthority, TestAuthority], answers: readonly string[]) {
  expect(answers.filter((answer) => answer === "accepted")).toHaveLength(1);
  expect(new Set(answers)).toEqual(new Set(["accepted", "onboarding_done"]));
  const users = await nodes[0].authority.users.list();
  expect(users.map((user) => user.isOwner)).toEqual([true]);
  const credentials = await Promise.all(users.map((user) => nodes[1].authority.credentials.list(user.id)));
  expect(credentials.flat()).toHaveLength(1);
  for (let place = 0; place < 20; place += 1) {
    const found = await nodes[0].authority.credentials.find("homeassistant", null, `owner${place}`);
    if (found !== undefined) expect(found.credential.userId).toBe(users[0]?.id);
  }
}

describe("50 onboardings at once from two nodes", () => {
  it("make one owner on the embedded store", async () => {
    node = await startAuthority();
    const nodes = [node, await node.another()] as const;
    await expectOneOwner(nodes, await race(nodes));
  });

  describe("on Redis", () => {
    let redis: RedisServer;
    let store: Store;
    beforeAll(async () => {
      redis = await startRedis();
      store = await openRedisStore({ url: redis.url });
    });
    afterAll(async () => {
      await store.close();
      await redis.dispose();
    });

    it("make one owner too", async () => {
      node = await startAuthority({ store });
      const nodes = [node, await node.another()] as const;
      await expectOneOwner(nodes, await race(nodes));
    });
  });
});

describe("without a provider of names and passwords", () => {
  it("no owner is made who could not log in", async () => {
    node = await startAuthority({ providers: () => [guestProvider()] });
    expect(await refusal(node.authority.onboarding.createOwner(await request()))).toBe("not_supported");
    expect(await node.authority.onboarding.required()).toBe(true);
    expect(await node.authority.users.list()).toEqual([]);
  });
});
