import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { AuthError } from "../../src/auth/errors.ts";
import { Namespaces } from "../../src/topics/namespaces.ts";
import type { Subscription } from "../../src/topics/subscription.ts";

function setUp() {
  const state = { isAway: false, follows: 0, unfollows: 0, arrived: undefined as (() => void)[] | undefined };
  const broker = {
    async follow() {
      state.follows += 1;
      if (state.isAway) throw new AuthError("unavailable");
      return { epoch: "e", sequence: 7 };
    },
    unfollow: () => {
      state.unfollows += 1;
    },
    followAll: async () => undefined,
    unfollowAll: () => undefined,
  };
  const namespaces = new Namespaces(broker, (_namespace, task) =>
    state.arrived === undefined ? task() : state.arrived.push(task),
  );
  const subscription = () => ({}) as Subscription;
  return { state, namespaces, subscription };
}

describe("namespaces that are followed", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("are followed once for all of their subscriptions, until the last one ends", async () => {
    const { state, namespaces, subscription } = setUp();
    const [one, other] = [namespaces.follow("a"), namespaces.follow("a")];
    await Promise.all([one.ready, other.ready]);
    expect([state.follows, one.position]).toEqual([1, { epoch: "e", sequence: 7 }]);
    const mine = subscription();
    one.add(mine);
    expect(namespaces.subscriptionsTo("a")).toEqual([mine]);
    one.end();
    one.end();
    expect([namespaces.subscriptionsTo("a"), state.unfollows]).toEqual([[], 0]);
    other.end();
    await vi.advanceTimersByTimeAsync(0);
    expect(state.unfollows).toBe(1);
  });

  it("begin behind the messages that have arrived and wait to be handed out", async () => {
    for (const [handedOut, position] of [
      [6, 7],
      [9, 9],
    ] as const) {
      const { state, namespaces } = setUp();
      const arrived: (() => void)[] = [];
      state.arrived = arrived;
      const following = namespaces.follow("a");
      let isReady = false;
      const ready = following.ready.then(() => {
        isReady = true;
      });
      await vi.advanceTimersByTimeAsync(0);
      namespaces.passed("a", { epoch: "e", sequence: handedOut });
      await vi.advanceTimersByTimeAsync(0);
      expect([isReady, arrived.length]).toEqual([false, 1]);
      for (const task of arrived) task();
      await ready;
      expect(following.position).toEqual({ epoch: "e", sequence: position });
    }
  });

  it("are tried again by the next one if the broker was away", async () => {
    const { state, namespaces } = setUp();
    state.isAway = true;
    const failed = namespaces.follow("a");
    await expect(failed.ready).rejects.toMatchObject({ code: "unavailable" });
    failed.end();
    state.isAway = false;
    const following = namespaces.follow("a");
    await following.ready;
    expect([state.follows, state.unfollows]).toEqual([2, 0]);
  });

  it("are tried again in the background until the broker is there, or the subscription ends", async () => {
    const { state, namespaces, subscription } = setUp();
    state.isAway = true;
    const [mine, gone] = [subscription(), subscription()];
    namespaces.followInBackground("a", mine);
    const end = namespaces.followInBackground("b", gone);
    await vi.advanceTimersByTimeAsync(2_500);
    expect(namespaces.subscriptionsTo("a")).toEqual([]);
    end();
    state.isAway = false;
    const before = state.follows;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(state.follows).toBe(before + 1);
    expect([namespaces.subscriptionsTo("a"), namespaces.subscriptionsTo("b")]).toEqual([[mine], []]);
  });
});
