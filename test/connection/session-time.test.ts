import { describe, expect, it } from "vitest";

import { closeCodes } from "../../protocol/close-codes.ts";
import { limits } from "../../protocol/features.ts";
import { AuthError } from "../../src/auth/errors.ts";
import type { Principal } from "../../src/auth/model.ts";
import { admitted, command, connectionRig, settled } from "../support/connection-rig.ts";
import { loseSocket } from "../support/fake-socket.ts";
import { principalOf } from "../support/people.ts";

const begin = Date.UTC(2026, 10, 23, 12);
const minute = 60_000;
const day = 86_400_000;

function setUp(
  principal: Partial<Principal>,
  expireIfDue: () => Promise<number | null | undefined> = async () => null,
) {
  const rig = connectionRig(
    {
      authentication: { authenticate: () => admitted(principalOf(principal)), recheck: () => undefined },
      sessions: { expireIfDue },
    },
    {
      commands: [
        command("expiring", (_, session) => {
          session.negotiate(["auth_expiring"]);
          return null;
        }),
        command("renew", (message, session) => {
          const { to } = message as unknown as { to: Partial<Principal> };
          session.renew({ ...session.principal, ...to });
          return null;
        }),
      ],
      limits: { heartbeatMs: 365 * day },
    },
  );
  const client = rig.connect();
  client.say({ type: "auth", access_token: "t" });
  client.heard();
  return { rig, client };
}

const closedBy = (client: ReturnType<typeof setUp>["client"]) => client.socket.closedWith?.code;
const token = { tokenIssuedAt: begin, tokenExpiresAt: begin + 30 * minute };

describe("a session's end", () => {
  it("is looked up when it comes, and moves when the session was used elsewhere", async () => {
    const ends = [begin + 180 * day, undefined];
    const asked: number[] = [];
    const { rig, client } = setUp({ sessionExpiresAt: begin + 90 * day }, async () => {
      asked.push((rig.clock.now() - begin) / day);
      return ends.shift();
    });
    for (let passed = 0; passed < 181; passed += 1) {
      rig.wind(day);
      await settled();
    }
    expect(asked).toEqual([90, 180]);
    expect(closedBy(client)).toBe(closeCodes.session_expired.number);
  });

  it("is found within a second of its time, and when the wall clock was set", async () => {
    const asked: number[] = [];
    const { rig } = setUp({ sessionExpiresAt: begin + 2 * day }, async () => {
      asked.push(rig.clock.now());
      return begin + 300 * day;
    });
    rig.clock.setWall(begin + 2 * day + 1);
    for (let passed = 0; passed < 61; passed += 1) {
      rig.wind(minute);
      await settled();
    }
    expect(asked).toHaveLength(1);
  });

  it("is asked for again while the store is away, and the socket stays", async () => {
    let calls = 0;
    const { rig, client } = setUp({ sessionExpiresAt: begin + minute }, async () => {
      calls += 1;
      if (calls < 4) throw new AuthError("unavailable");
      return begin + day;
    });
    for (let seconds = 0; seconds < 90; seconds += 1) {
      rig.wind(1000);
      await settled();
    }
    expect([calls, closedBy(client)]).toEqual([4, undefined]);
  });

  it("is read again when its user changed it, also during a read", async () => {
    const answers: ((end: number | null) => void)[] = [];
    const { rig } = setUp({ sessionExpiresAt: null }, () => new Promise((resolve) => answers.push(resolve)));
    const changed = { kind: "session_changed", sessionId: "s1" } as const;
    rig.connections.hub.apply(changed);
    rig.connections.hub.apply(changed);
    expect(answers).toHaveLength(1);
    answers[0]?.(null);
    await settled();
    expect(answers).toHaveLength(2);
    answers[1]?.(begin + minute);
    await settled();
    rig.wind(2 * minute);
    await settled();
    expect(answers).toHaveLength(3);
  });

  it("leaves no timer behind when the socket is gone", async () => {
    let calls = 0;
    const { rig, client } = setUp({ sessionExpiresAt: begin + minute }, async () => {
      calls += 1;
      return null;
    });
    loseSocket(client.handler);
    rig.wind(day);
    await settled();
    expect(calls).toBe(0);
  });
});

describe("an access token's end", () => {
  it("means nothing to a client that did not negotiate auth_expiring", () => {
    const { rig, client } = setUp(token);
    rig.wind(30 * day);
    expect([client.heard(), closedBy(client)]).toEqual([[], undefined]);
  });

  it("is announced between 75 and 90 % of its life, and closes 30 s after it came", () => {
    const { rig, client } = setUp(token);
    client.say({ id: 1, type: "expiring" });
    client.heard();
    rig.wind(0.75 * 30 * minute - 200);
    expect(client.heard()).toEqual([]);
    rig.wind(0.15 * 30 * minute + 400);
    const [announced, ...more] = client.heard() as { type: string; expires_in: number }[];
    expect([announced?.type, more]).toEqual(["auth_expiring", []]);
    expect(announced?.expires_in).toBeGreaterThanOrEqual(179);
    expect(announced?.expires_in).toBeLessThanOrEqual(450);
    rig.wind(3 * minute + 29_000);
    expect(closedBy(client)).toBeUndefined();
    rig.wind(1500);
    expect(client.socket.closedWith).toEqual({ code: 4200, reason: closeCodes.token_expired.text });
  });

  it("is announced at different times to sockets that connected together", () => {
    const times = new Set<number>();
    for (let count = 0; count < 20; count += 1) {
      const { rig, client } = setUp(token);
      client.say({ id: 1, type: "expiring" });
      client.heard();
      rig.wind(0.75 * 30 * minute);
      let waited = 0;
      while (client.heard().length === 0) {
        rig.wind(1000);
        waited += 1;
      }
      times.add(waited);
    }
    expect(times.size).toBeGreaterThan(5);
  });

  it("moves with a refresh: the next token is announced, the old one's end closes nothing", () => {
    const { rig, client } = setUp(token);
    client.say({ id: 1, type: "expiring" });
    rig.wind(29 * minute);
    const now = begin + 29 * minute;
    client.say({
      id: 2,
      type: "renew",
      to: { tokenIssuedAt: now, tokenExpiresAt: now + 30 * minute },
    });
    client.heard();
    rig.wind(20 * minute);
    expect([client.heard(), closedBy(client)]).toEqual([[], undefined]);
    rig.wind(8 * minute);
    expect(client.heard()).toMatchObject([{ type: "auth_expiring" }]);
    rig.wind(3 * minute);
    expect(closedBy(client)).toBe(4200);
  });

  it("is announced at once to who asks late", () => {
    const { rig, client } = setUp(token);
    rig.wind(29 * minute);
    client.say({ id: 1, type: "expiring" });
    rig.wind(200);
    expect(client.heard()).toMatchObject([{ id: 1 }, { type: "auth_expiring", expires_in: 59 }]);
  });

  it("cannot be renewed with another session's token", () => {
    const { client } = setUp(token);
    client.say({ id: 1, type: "renew", to: { sessionId: "s2" } });
    expect(client.heard()).toMatchObject([{ id: 1, success: false, error: { code: "unknown_error" } }]);
  });
});

describe("heartbeat", () => {
  function beating() {
    const rig = connectionRig({
      authentication: { authenticate: () => admitted(principalOf()), recheck: () => undefined },
    });
    const client = rig.connect();
    client.say({ type: "auth", access_token: "t" });
    return { rig, client };
  }

  it("pings every 55 s and goes on while pongs come", () => {
    const { rig, client } = beating();
    for (let count = 1; count <= 5; count += 1) {
      for (let passed = 0; passed < limits.heartbeatMs; passed += 500) rig.wind(500);
      expect(client.socket.pings).toBe(count);
      client.handler.pong();
    }
    expect(client.socket.closedWith).toBeUndefined();
  });

  it("ends a socket from which nothing came within half of that", () => {
    const { rig, client } = beating();
    rig.wind(limits.heartbeatMs + 100);
    rig.wind(limits.heartbeatMs / 2 - 200);
    expect(client.socket.closedWith).toBeUndefined();
    rig.wind(300);
    expect(client.socket.closedWith?.code).toBe(closeCodes.heartbeat_timeout.number);
    expect(rig.connections.hub.sockets).toBe(0);
  });

  it("lets a peer that answered in time live on when this node was held up", () => {
    const { rig, client } = beating();
    rig.wind(limits.heartbeatMs + 100);
    // The loop stalls; its timers come first, and only then the pong that has been waiting.
    rig.wind(600_000);
    expect(client.socket.closedWith).toBeUndefined();
    client.handler.pong();
    rig.wind(1100);
    expect(client.socket.closedWith).toBeUndefined();
  });

  it("ends a peer that is dead also after a stall", () => {
    const { rig, client } = beating();
    rig.wind(limits.heartbeatMs + 100);
    rig.wind(600_000);
    rig.wind(600_000);
    expect(client.socket.closedWith?.code).toBe(closeCodes.heartbeat_timeout.number);
  });

  it("takes any message for a sign of life, and an old pong for none", () => {
    const alive = beating();
    alive.rig.wind(limits.heartbeatMs + 100);
    alive.client.say({ id: 1, type: "x" });
    alive.rig.wind(limits.heartbeatMs / 2);
    expect(alive.client.socket.closedWith).toBeUndefined();

    const stale = beating();
    stale.client.handler.pong();
    stale.rig.wind(limits.heartbeatMs + 100);
    stale.rig.wind(limits.heartbeatMs / 2 + 100);
    expect(stale.client.socket.closedWith?.code).toBe(closeCodes.heartbeat_timeout.number);
  });
});
