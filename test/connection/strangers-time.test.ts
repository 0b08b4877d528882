import { describe, expect, it } from "vitest";

import type { Verdict } from "../../src/auth/authentication.ts";
import { addressShare } from "../../src/net/address-share.ts";
import { LoopBudget } from "../../src/net/loop-budget.ts";
import { admitted, connectionRig } from "../support/connection-rig.ts";
import { principalOf } from "../support/people.ts";

function setUp(good: boolean) {
  const loopBudget = new LoopBudget({ msPerSecond: 1000, now: () => 0, onRefused: () => undefined });
  const refused: Verdict = { ok: false, close: "auth_invalid", reason: "unknown", message: "no" };
  const authentication = {
    authenticate: () => (good ? admitted(principalOf()) : refused),
    recheck: () => undefined,
  };
  return { loopBudget, rig: connectionRig({ authentication }, { loopBudget }) };
}

describe("the time of a socket before auth_ok", () => {
  it("is nobody's debt when its first message is a good token, and while it is served", () => {
    const { loopBudget, rig } = setUp(true);
    const client = rig.connect();
    client.say({ type: "auth", access_token: "t" });
    expect(client.heard()).toContainEqual(expect.objectContaining({ type: "auth_ok" }));
    client.say({ id: 1, type: "unknown" });
    client.handler.closed(1000, "");
    expect(loopBudget.shares).toBe(0);
  });

  it("is charged for a token that is not good, and for a socket that went without a word", () => {
    const bad = setUp(false);
    bad.rig.connect().say({ type: "auth", access_token: "t" });
    expect(bad.loopBudget.shares).toBe(1);
    const silent = setUp(true);
    silent.rig.connect().handler.closed(1006, "");
    expect(silent.loopBudget.shares).toBe(1);
  });

  it("used up: a login message is refused before anything is said of its id, and the id is not sent back", () => {
    const { loopBudget, rig } = setUp(false);
    const client = rig.connect();
    client.heard();
    client.say({ id: "no id", type: "auth/providers" });
    expect(client.heard()).toMatchObject([{ id: "no id", error: { code: "invalid_format" } }]);
    loopBudget.charge(addressShare("192.168.1.7"), 20_000);
    const [long, good] = [["x".repeat(2_000)], 7];
    for (const id of [long, good]) client.say({ id, type: "auth/providers" });
    const error = { code: "rate_limited", retry_after: expect.any(Number) };
    expect(client.heard()).toMatchObject([
      { id: 0, error },
      { id: good, error },
    ]);
  });
});
