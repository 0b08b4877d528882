import { describe, expect, it } from "vitest";

import { closeCodes } from "../../protocol/close-codes.ts";
import { limits } from "../../protocol/features.ts";
import type { Verdict } from "../../src/auth/authentication.ts";
import { AuthError } from "../../src/auth/errors.ts";
import { admitted, connectionRig, settled } from "../support/connection-rig.ts";
import { loseSocket } from "../support/fake-socket.ts";
import { principalOf } from "../support/people.ts";

const refused: Verdict = {
  ok: false,
  close: "auth_invalid",
  message: "Invalid access token or password",
  reason: "expired",
};
const good = () => ({
  authentication: { authenticate: () => admitted(principalOf()), recheck: () => undefined },
});
const auth = { type: "auth", access_token: "t" };
const required = { type: "auth_required", ha_version: "2026.11.0", gatehouse: { protocol: 1 } };
const ok = { type: "auth_ok", ha_version: "2026.11.0" };
const closed = (name: keyof typeof closeCodes) => ({
  code: closeCodes[name].number,
  reason: closeCodes[name].text,
});
const incorrect = {
  type: "auth_invalid",
  message: expect.stringMatching(/^Auth message incorrectly formatted: /),
};

describe("auth phase", () => {
  it("greets at open, and a good token gives auth_ok and nothing after it", async () => {
    const rig = connectionRig(good());
    const client = rig.connect();
    expect(client.heard()).toEqual([required]);
    client.say(auth);
    expect(client.heard()).toEqual([ok]);
    expect(rig.connections.count).toMatchObject({ sockets: 1, unauthenticated: 0 });
    expect(rig.connections.hub.sockets).toBe(1);
    rig.wind(30_000);
    await settled();
    expect(client.heard()).toEqual([]);
  });

  it("answers a wrong token with auth_invalid and the verdict's code", () => {
    const rig = connectionRig({ authentication: { authenticate: () => refused } });
    const client = rig.connect();
    client.say(auth);
    expect(client.heard()).toEqual([required, { type: "auth_invalid", message: refused.message }]);
    expect(client.socket.closedWith).toEqual(closed("auth_invalid"));
    expect(rig.connections.hub.sockets).toBe(0);
  });

  it("never says auth_invalid when nothing can be said about the token", async () => {
    const unavailable = new AuthError("unavailable");
    const thrown = connectionRig({
      authentication: {
        authenticate() {
          throw unavailable;
        },
      },
    });
    const rejected = connectionRig({ authentication: { authenticate: () => Promise.reject(unavailable) } });
    const late = connectionRig({
      authentication: {
        authenticate: () => admitted(principalOf()),
        recheck() {
          throw unavailable;
        },
      },
    });
    for (const rig of [thrown, rejected, late]) {
      const client = rig.connect();
      client.say(auth);
      await settled();
      expect(client.heard()).toEqual([required]);
      expect(client.socket.closedWith).toEqual(closed("unavailable"));
      expect(rig.connections.hub.sockets).toBe(0);
    }
  });

  it("closes with internal_error, and a line in the log, on a fault of ours", async () => {
    const rig = connectionRig({
      authentication: { authenticate: () => Promise.reject(new TypeError("a fault")) },
    });
    const client = rig.connect();
    client.say(auth);
    await settled();
    expect(client.heard()).toEqual([required]);
    expect(client.socket.closedWith).toEqual(closed("internal_error"));
    expect(rig.logged.map(({ message }) => message)).toEqual(["authentication failed"]);
  });

  it.each([
    ["a number", 5],
    ["null", null],
    ["a string", "auth"],
    ["an array, also of good messages", [auth]],
    ["no type", { access_token: "t" }],
    ["a type that is no string", { type: 7 }],
    ["auth without a token", { type: "auth" }],
    ["auth with an id", { ...auth, id: 1 }],
    ["auth with another key", { ...auth, api_password: "x" }],
    ["a token that is no string", { type: "auth", access_token: { a: 1 } }],
  ])("calls %s malformed", (_, message) => {
    const client = connectionRig(good()).connect();
    client.say(message);
    expect(client.heard()).toEqual([required, incorrect]);
    expect(client.socket.closedWith).toEqual(closed("malformed_auth"));
  });

  it.each([
    "ping",
    "auth/current_user",
    "config/auth/list",
    "auth/refresh",
    "auth_ok",
    "",
    "__proto__",
    "toString",
  ])("closes on %j before auth_ok, whatever it carries", (type) => {
    const client = connectionRig(good()).connect();
    client.say({ id: 1, type });
    expect(client.heard()).toEqual([required, incorrect]);
    expect(client.socket.closedWith).toEqual(closed("unexpected_message"));
  });

  it("repeats nothing of what was sent", () => {
    for (const message of [
      { type: "auth", access_token: "t", "canary-key": 1 },
      { type: "canary-type" },
      { type: "auth", access_token: ["canary-value"] },
    ]) {
      const client = connectionRig(good()).connect();
      client.say(message);
      expect(JSON.stringify([client.heard(), client.socket.closedWith])).not.toContain("canary");
    }
  });

  it("closes what cannot be decoded, or is too big, without auth_invalid", () => {
    const frames = [
      ["{", "invalid_payload"],
      ["", "invalid_payload"],
      [new Uint8Array([1]), "unsupported_frame"],
      [" ".repeat(limits.frameBeforeAuth + 1), "message_too_big"],
      [`"${"€".repeat(limits.frameBeforeAuth / 3)}"`, "message_too_big"],
      [`{"a":${"[".repeat(40)}${"]".repeat(40)}}`, "invalid_payload"],
    ] as const;
    for (const [frame, name] of frames) {
      const client = connectionRig(good()).connect();
      client.handler.message(frame);
      expect([client.heard(), client.socket.closedWith]).toEqual([[required], closed(name)]);
    }
  });

  it("takes a frame of exactly the limit", () => {
    const client = connectionRig(good()).connect();
    const text = JSON.stringify(auth);
    client.handler.message(text + " ".repeat(limits.frameBeforeAuth - text.length));
    expect(client.heard()).toEqual([required, ok]);
  });

  it("closes after 64 messages without auth_ok", () => {
    const client = connectionRig(good()).connect();
    for (let count = 0; count < limits.messagesBeforeAuth; count += 1) client.say({ type: "auth/providers" });
    expect(client.socket.closedWith).toBeUndefined();
    client.say(auth);
    expect(client.socket.closedWith).toEqual(closed("rate_limited"));
  });

  it("counts pings, and pongs that nobody asked for, among them", () => {
    for (const control of ["ping", "pong"] as const) {
      const client = connectionRig(good()).connect();
      client.say({ type: "auth/providers" });
      for (let count = 1; count < limits.messagesBeforeAuth; count += 1) client.handler[control]();
      expect(client.socket.closedWith).toBeUndefined();
      client.handler[control]();
      expect(client.socket.closedWith).toEqual(closed("rate_limited"));
    }
  });

  it("ends at 10 s without a word; pings and answers do not put it off", () => {
    const rig = connectionRig(good());
    const client = rig.connect();
    for (let second = 0; second < 9; second += 1) {
      rig.wind(1000);
      client.handler.pong();
      client.say({ type: "auth/providers" });
    }
    client.heard();
    rig.wind(900);
    expect(client.socket.closedWith).toBeUndefined();
    rig.wind(200);
    expect(client.heard()).toEqual([]);
    expect(client.socket.closedWith).toEqual(closed("auth_timeout"));
  });

  describe("while a token is being checked", () => {
    function checking() {
      let decide: (verdict: Verdict) => void = () => undefined;
      const rig = connectionRig({
        authentication: {
          authenticate: () =>
            new Promise<Verdict>((resolve) => {
              decide = resolve;
            }),
          recheck: () => undefined,
        },
      });
      const client = rig.connect();
      client.say(auth);
      client.heard();
      return { rig, client, decide: (verdict: Verdict) => decide(verdict) };
    }

    it("closes on a second auth, of any shape", () => {
      for (const second of [auth, { type: "auth" }]) {
        const { client } = checking();
        client.say(second);
        expect(client.heard()).toEqual([incorrect]);
        expect(client.socket.closedWith).toEqual(closed("unexpected_message"));
      }
    });

    it("keeps what a hasty client sends on, and handles it after auth_ok in order", async () => {
      const { client, decide } = checking();
      client.say({ id: 3, type: "nonsense" });
      client.say({ id: 0, type: "nonsense" });
      client.say([{ id: 4, type: "nonsense" }]);
      client.say({ id: 5, type: "auth/providers" });
      expect(client.heard()).toEqual([]);
      decide(admitted(principalOf()));
      await settled();
      const heard = client.heard() as { type: string; id?: number; error?: { code: string } }[];
      expect(heard.map(({ type, id, error }) => [type, id, error?.code])).toEqual([
        ["auth_ok", undefined, undefined],
        ["result", 3, "unknown_command"],
        ["result", 0, "invalid_format"],
        ["result", 4, "unknown_command"],
        ["result", 5, "unknown_command"],
      ]);
    });

    it("drops a verdict that comes after the end", async () => {
      const { rig, client, decide } = checking();
      loseSocket(client.handler);
      decide(admitted(principalOf()));
      await settled();
      expect([client.heard(), rig.connections.hub.sockets, rig.connections.count.sockets]).toEqual([
        [],
        0,
        0,
      ]);
    });

    it("bounds what it keeps", () => {
      const { client } = checking();
      for (let count = 1; count < limits.messagesBeforeAuth; count += 1) client.say({ id: count, type: "x" });
      expect(client.socket.closedWith).toBeUndefined();
      client.say({ id: 99, type: "x" });
      expect(client.socket.closedWith).toEqual(closed("rate_limited"));
    });
  });
});
