import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { AuthError } from "../../../src/auth/errors.ts";
import type { Store } from "../../../src/auth/store.ts";
import { createCounters } from "../../../src/auth/throttling/counters.ts";
import {
  createLoginThrottle,
  defaultLoginBudgets,
  type LoginThrottle,
} from "../../../src/auth/throttling/login-throttle.ts";
import { openEmbeddedStore } from "../../../src/store/embedded/embedded-store.ts";
import { openRedisStore } from "../../../src/store/redis/redis-store.ts";
import { handClock } from "../../support/hand-clock.ts";
import { startRedis } from "../../support/redis-server.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

const provider = ["homeassistant", null] as const;
const account = (name: string) => ({ provider, name });
const at = (address: string | null) => ({ address });
const home = at("203.0.113.7");
const { pair, account: accountBudget, address: addressBudget } = defaultLoginBudgets;
const counted = { names: 0, hosts: 0 };
function newName(): string {
  counted.names += 1;
  return `name ${counted.names}`;
}
/** Addresses, each in a /64 of its own. */
function newAddress() {
  counted.hosts += 1;
  return at(`2001:db8:0:${counted.hosts.toString(16)}::1`);
}

async function outcome(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "charged",
    (error: unknown) => (error instanceof AuthError ? error.code : String(error)),
  );
}

/** Guesses until the first refusal. */
async function guessesOf(throttle: LoginThrottle, name: string, peer: { address: string | null }) {
  for (let guesses = 0; ; guesses += 1)
    if ((await outcome(throttle.charge(account(name), peer))) !== "charged") return guesses;
}

const stores = {
  async embedded(clock: ReturnType<typeof handClock>) {
    const folder = temporaryFolder();
    const store = await openEmbeddedStore({ folder: folder.path, role: "gateway", clock });
    const close = async () => {
      await store.close();
      folder.remove();
    };
    return { stores: [store, store], close };
  },
  async redis() {
    const redis = await startRedis();
    const opened = [await openRedisStore({ url: redis.url }), await openRedisStore({ url: redis.url })];
    const close = async () => {
      await Promise.all(opened.map((store) => store.close()));
      await redis.dispose();
    };
    return { stores: opened, close };
  },
};

for (const kind of ["embedded", "redis"] as const) {
  describe(`guesses on ${kind}`, () => {
    const clock = handClock(Date.now());
    let nodes: readonly [LoginThrottle, LoginThrottle];
    let throttle: LoginThrottle;
    let store: Store;
    let close: () => Promise<void>;
    beforeAll(async () => {
      const opened = await stores[kind](clock);
      const [one, other] = opened.stores;
      if (one === undefined || other === undefined) throw new Error("no stores");
      store = one;
      const node = (on: Store) => createLoginThrottle({ store: on, clock });
      nodes = [node(one), node(other)];
      [throttle] = nodes;
      close = opened.close;
    });
    afterAll(() => close());

    it("at one account are limited across nodes and addresses, also if concurrent", async () => {
      const name = newName();
      const addresses = Array.from({ length: 40 }, newAddress);
      const charges = Array.from({ length: 400 }, (_, place) => {
        const peer = addresses[place % addresses.length] ?? home;
        return outcome((nodes[place % 2] ?? throttle).charge(account(name), peer));
      });
      const charged = (await Promise.all(charges)).filter((each) => each === "charged");
      expect(charged).toHaveLength(accountBudget.attempts);
    });

    it("that are charged with their verdict are limited alike, and nobody is told a verdict over the limit", async () => {
      const name = newName();
      const addresses = Array.from({ length: 40 }, newAddress);
      const verdicts = Array.from({ length: 400 }, async (_, place) => {
        const peer = addresses[place % addresses.length] ?? home;
        const guess = await (nodes[place % 2] ?? throttle).chargeWithVerdict(account(name), peer);
        await guess.judged(false);
      });
      const told = (await Promise.all(verdicts.map(outcome))).filter((each) => each === "charged");
      expect(told).toHaveLength(accountBudget.attempts);
      // It is refused before it is judged by now.
      expect(await outcome(throttle.chargeWithVerdict(account(name), newAddress()))).toBe("rate_limited");
    });

    it("that are charged with their verdict are counted in the order of their verdicts, also if right, also on a known device", async () => {
      for (const deviceId of [undefined, "a device"]) {
        const [name, peer] = [newName(), newAddress()];
        const guesses = await Promise.all(
          Array.from({ length: pair.attempts + 1 }, () =>
            throttle.chargeWithVerdict(account(name), peer, deviceId),
          ),
        );
        const outcomes = guesses.map((guess, place) => outcome(guess.judged(place === pair.attempts)));
        const expected = guesses.map((_, place) => (place === pair.attempts ? "rate_limited" : "charged"));
        expect(await Promise.all(outcomes)).toEqual(expected);
        clock.advance(pair.refillMs);
        await (await throttle.chargeWithVerdict(account(name), peer, deviceId)).judged(true);
        expect((await throttle.chargeWithVerdict(account(name), peer)).known).toBe(true);
        expect(await guessesOf(throttle, name, peer)).toBe(pair.attempts);
      }
    });

    it("from one address at one account refill more slowly than the account, so that others can log in", async () => {
      const name = newName();
      const attacker = newAddress();
      expect(await guessesOf(throttle, name, attacker)).toBe(pair.attempts);
      for (let hour = 0; hour < 3; hour += 1) {
        clock.advance(3_600_000);
        await guessesOf(throttle, name, attacker);
      }
      const refusal = await throttle.charge(account(name), attacker).catch((error: unknown) => error);
      expect(refusal).toMatchObject({ code: "rate_limited", retryAfterSeconds: pair.refillMs / 1_000 });
      expect(await outcome(throttle.charge(account(name), newAddress()))).toBe("charged");
    });

    it("refill one by one", async () => {
      const [name, peer] = [newName(), newAddress()];
      await guessesOf(throttle, name, peer);
      clock.advance(pair.refillMs - 1);
      expect(await guessesOf(throttle, name, peer)).toBe(0);
      clock.advance(1);
      expect(await guessesOf(throttle, name, peer)).toBe(1);
    });

    it("at many accounts from one address are limited, for a whole /64", async () => {
      const [one, other] = [at("2001:db8:ffff:1::1"), at("2001:db8:ffff:1:abcd::2")];
      const outcomes = [];
      for (let place = 0; place < addressBudget.attempts + 5; place += 1)
        outcomes.push(await outcome(throttle.charge(account(newName()), place % 2 === 0 ? one : other)));
      expect(outcomes.filter((each) => each === "charged")).toHaveLength(addressBudget.attempts);
      expect(await outcome(throttle.charge(account(newName()), at("2001:db8:ffff:2::1")))).toBe("charged");
    });

    it("from other addresses and at other accounts do not limit an address that the account logged in from", async () => {
      const name = newName();
      const owner = newAddress();
      await (await throttle.charge(account(name), owner)).judged(true);
      const attackers = Array.from({ length: 5 }, newAddress);
      for (const attacker of attackers) await guessesOf(throttle, name, attacker);
      for (let neighbour = 0; neighbour < addressBudget.attempts; neighbour += 1)
        await outcome(throttle.charge(account(newName()), owner));
      expect(await outcome(throttle.charge(account(name), newAddress()))).toBe("rate_limited");
      expect(await outcome(throttle.charge(account(newName()), owner))).toBe("rate_limited");
      for (const node of nodes) {
        const guess = await node.charge(account(name), owner);
        expect(guess.known).toBe(true);
      }
      const remembered = defaultLoginBudgets.knownMs * (31 / 30);
      clock.advance(remembered);
      expect((await throttle.charge(account(name), owner)).known).toBe(false);
    });

    it("are counted although guesses at another node conflict with theirs again and again", async () => {
      const [name, peer] = [newName(), newAddress()];
      let conflicts = 50;
      const contended: Store = Object.assign(Object.create(store) as Store, {
        get: store.get.bind(store),
        async commit(step: Parameters<Store["commit"]>[0]) {
          conflicts -= 1;
          return conflicts > 0 ? { ok: false, conflict: "x" } : await store.commit(step);
        },
      });
      const node = createLoginThrottle({ store: contended, clock });
      for (let count = 0; count < pair.attempts; count += 1)
        await (await node.chargeWithVerdict(account(name), peer)).judged(false);
      expect(await outcome(throttle.charge(account(name), peer))).toBe("rate_limited");
    });

    it("are charged before they are judged for a while, after one whose verdict could not be counted", async () => {
      const [name, peer] = [newName(), newAddress()];
      let answers = true;
      const failing: Store = Object.assign(Object.create(store) as Store, {
        get: store.get.bind(store),
        async commit(step: Parameters<Store["commit"]>[0]) {
          if (!answers) throw new AuthError("unavailable");
          return await store.commit(step);
        },
      });
      const node = createLoginThrottle({ store: failing, clock });
      const guess = await node.chargeWithVerdict(account(name), peer);
      answers = false;
      expect(await outcome(guess.judged(false))).toBe("unavailable");
      expect(await outcome(node.chargeWithVerdict(account(name), peer))).toBe("unavailable");
      clock.advance(60_000);
      await node.chargeWithVerdict(account(name), peer);
    });

    it("at an address that is remembered write nothing, and it stays known for 30 days after the last login", async () => {
      const [name, peer] = [newName(), newAddress()];
      const commit = vi.spyOn(store, "commit");
      for (const hours of [0, 12, 11]) {
        clock.advance(hours * 3_600_000);
        await (await throttle.chargeWithVerdict(account(name), peer)).judged(true);
      }
      expect(commit).toHaveBeenCalledTimes(1);
      commit.mockRestore();
      clock.advance(defaultLoginBudgets.knownMs - 1);
      expect((await throttle.charge(account(name), peer)).known).toBe(true);
    });

    it("from a known address are limited too, and a right one refills the budget", async () => {
      const [name, peer] = [newName(), newAddress()];
      await (await throttle.charge(account(name), peer)).judged(true);
      expect(await guessesOf(throttle, name, peer)).toBe(pair.attempts);
      clock.advance(pair.refillMs);
      await (await throttle.charge(account(name), peer)).judged(true);
      expect(await guessesOf(throttle, name, peer)).toBe(pair.attempts);
    });

    it("that were right, or not carried out, charge other addresses nothing", async () => {
      const name = newName();
      for (let login = 0; login < accountBudget.attempts * 2; login += 1) {
        const guess = await throttle.charge(account(name), newAddress());
        await (login % 2 === 0 ? guess.judged(true) : guess.refund());
      }
      const [peer, other] = [newAddress(), newName()];
      for (let untried = 0; untried < 100; untried += 1)
        await (await throttle.charge(account(other), peer)).refund();
      expect(await guessesOf(throttle, other, peer)).toBe(pair.attempts);
    });

    it("store no name, and records that expire when the budget is full", async () => {
      const puts: { key: string; value: object; expiresAt?: number | undefined }[] = [];
      const told: Store = Object.assign(Object.create(store) as Store, {
        get: store.get.bind(store),
        commit(step: Parameters<Store["commit"]>[0]) {
          puts.push(...(step.put ?? []));
          return store.commit(step);
        },
      });
      const own = createLoginThrottle({ store: told, clock });
      await own.charge(account("canary-secret"), at("198.51.100.77"));
      expect(puts.map(({ expiresAt }) => (expiresAt ?? 0) - clock.now())).toEqual([
        ...[pair.refillMs, accountBudget.refillMs, addressBudget.refillMs],
      ]);
      expect(JSON.stringify(puts)).not.toMatch(/canary|198\.51/);
    });
  });
}

describe("counters", () => {
  it("reject all waiting callers at once, and work afterwards", async () => {
    let broken = true;
    let gets = 0;
    const failing = {
      async get() {
        gets += 1;
        if (broken) throw new AuthError("unavailable");
        return [undefined];
      },
      commit: async () => ({ ok: true, version: 1, positions: [], durability: "memory" }),
    } as unknown as Store;
    const counters = createCounters(failing);
    const work = Array.from({ length: 200 }, () => outcome(counters.change([], () => 0)));
    expect(new Set(await Promise.all(work))).toEqual(new Set(["unavailable"]));
    expect(gets).toBe(1);
    broken = false;
    expect(await outcome(counters.change([], () => 0))).toBe("charged");
  });

  it("give up after repeated conflicts with other nodes, and the throttle says when to try again", async () => {
    const contended = {
      get: async (keys: readonly string[]) => keys.map(() => undefined),
      commit: async () => ({ ok: false, conflict: "x" }),
    } as unknown as Store;
    const throttle = createLoginThrottle({ store: contended, clock: handClock() });
    const refusal = await throttle.charge(account("ada"), home).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: "rate_limited", retryAfterSeconds: 1 });
  });
});
