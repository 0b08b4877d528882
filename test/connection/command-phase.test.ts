import { describe, expect, it } from "vitest";

import { closeCodes } from "../../protocol/close-codes.ts";
import { limits } from "../../protocol/features.ts";
import { AuthError } from "../../src/auth/errors.ts";
import { answered, type Command, TranslatedError } from "../../src/connection/command.ts";
import { batchLimit } from "../../src/connection/command-phase.ts";
import { admitted, command, connectionRig, settled } from "../support/connection-rig.ts";
import { principalOf } from "../support/people.ts";

const pending: ((value: unknown) => void)[] = [];
const commands: readonly Command[] = [
  command("echo", (message) => (message as { value?: unknown }).value),
  command("ping", ({ id }, session) => {
    session.send({ id, type: "pong" });
    return answered;
  }),
  command("features", (message, session) => {
    session.negotiate(Object.keys((message as unknown as { features: object }).features));
    return null;
  }),
  command("late", () => new Promise((resolve) => pending.push(resolve))),
  command("deny", () => {
    throw new AuthError("overloaded", {
      publicMessage: "Later",
      detail: "for the log",
      retryAfterSeconds: 3,
    });
  }),
  command("deny-late", async () => {
    throw new TranslatedError(
      { key: "username_already_exists", domain: "auth", placeholders: { username: "u" } },
      { publicMessage: "Username already exists" },
    );
  }),
  command("fault", () => {
    throw new RangeError("secret of ours");
  }),
  command("fault-late", () => Promise.reject(new RangeError("secret of ours"))),
  command("unsendable", () => {
    const loop: { self?: unknown } = {};
    loop.self = loop;
    return loop;
  }),
  command("subscribe", ({ id }, session) => {
    session.disposables.add(id, () => session.send({ id, type: "event", event: "undone" }));
    return null;
  }),
  command("strict", () => {
    throw new AuthError("invalid_format", { publicMessage: "name: must be string" });
  }),
];

function setUp(perSecond = 10_000) {
  pending.length = 0;
  const rig = connectionRig(
    { authentication: { authenticate: () => admitted(principalOf()), recheck: () => undefined } },
    { commands, limits: { messagesPerSecond: perSecond } },
  );
  const client = rig.connect();
  client.say({ type: "auth", access_token: "t" });
  client.heard();
  const ask = (message: unknown) => {
    client.say(message);
    return client.heard() as Record<string, unknown>[];
  };
  return { rig, client, ask };
}

const failure = (id: unknown, code: string, message = expect.any(String)) => ({
  id,
  type: "result",
  success: false,
  error: { code, message },
});
const success = (id: number, result: unknown) => ({ id, type: "result", success: true, result });

describe("command phase", () => {
  it.each([
    ["a number", 5, 0],
    ["null", null, 0],
    ["a string", "x", 0],
    ["an object without id", { type: "echo" }, 0],
    ["id 0", { id: 0, type: "echo" }, 0],
    ["a negative id", { id: -3, type: "echo" }, -3],
    ["a fraction", { id: 1.5, type: "echo" }, 1.5],
    ["true as id", { id: true, type: "echo" }, true],
    ["a string as id", { id: "7", type: "echo" }, "7"],
    ["an object as id", { id: { a: [1] }, type: "echo" }, { a: [1] }],
    ["no type", { id: 9 }, 9],
    ["a type that is no string", { id: 9, type: 4 }, 9],
    ["auth, as before auth_ok", { type: "auth", access_token: "t" }, 0],
  ])("answers %s with invalid_format and the id as it was sent, and stays", (_, message, id) => {
    const { client, ask } = setUp();
    expect(ask(message)).toEqual([failure(id, "invalid_format", "Message incorrectly formatted.")]);
    expect(client.socket.closedWith).toBeUndefined();
    expect(ask({ id: 1, type: "echo", value: 1 })).toEqual([success(1, 1)]);
  });

  it("wants ids that rise; gaps are fine, and a refused id does not count", () => {
    const { ask } = setUp();
    expect(ask({ id: 3, type: "echo" })).toEqual([success(3, null)]);
    expect(ask({ id: 3, type: "echo" })).toEqual([
      failure(3, "id_reuse", "Identifier values have to increase."),
    ]);
    expect(ask({ id: 2, type: "echo" })).toEqual([failure(2, "id_reuse")]);
    expect(ask({ id: 900, type: "echo" })).toEqual([success(900, null)]);
    expect(ask({ id: Number.MAX_SAFE_INTEGER, type: "echo" })).toHaveLength(1);
  });

  it("does not use up the id of an unknown command, and does of one that is malformed", () => {
    const { ask } = setUp();
    expect(ask({ id: 5, type: "get_states" })).toEqual([failure(5, "unknown_command", "Unknown command.")]);
    expect(ask({ id: 5, type: "strict" })).toEqual([failure(5, "invalid_format", "name: must be string")]);
    expect(ask({ id: 5, type: "echo" })).toEqual([failure(5, "id_reuse")]);
  });

  it("knows no login messages any more, and no names of objects", () => {
    const { ask } = setUp();
    for (const type of ["auth/login/start", "auth/providers", "__proto__", "constructor", "x".repeat(5000)])
      expect(ask({ id: 1, type })).toEqual([failure(1, "unknown_command")]);
  });

  it("handles every message of a batch, in order, and bounds batches", () => {
    const { client, ask } = setUp();
    expect(ask([{ id: 1, type: "echo", value: "a" }, 7, { id: 2, type: "ping" }, [[]]])).toEqual([
      success(1, "a"),
      failure(0, "invalid_format"),
      { id: 2, type: "pong" },
      failure(0, "invalid_format"),
    ]);
    expect(ask([])).toEqual([]);
    const many = Array.from({ length: batchLimit }, (_, index) => ({ id: 3 + index, type: "ping" }));
    expect(ask(many)).toHaveLength(batchLimit);
    expect(ask([...many, 0])).toEqual([failure(0, "invalid_format")]);
    expect(client.socket.closedWith).toBeUndefined();
  });

  it("closes on what cannot be decoded and on frames over 64 KiB", () => {
    for (const [frame, name] of [
      ["{", "invalid_payload"],
      ["", "invalid_payload"],
      [new Uint8Array(), "unsupported_frame"],
      [`"${" ".repeat(limits.frame)}"`, "message_too_big"],
      ['{"id":1,"id":2,"type":"ping"}', "invalid_payload"],
      ['{"id":1,"type":"echo","value":{"__proto__":{}}}', "invalid_payload"],
    ] as const) {
      const { client } = setUp();
      client.handler.message(frame);
      expect([client.heard(), client.socket.closedWith?.code]).toEqual([[], closeCodes[name].number]);
    }
  });

  it("lets results come in the order in which they are ready", async () => {
    const { client, ask } = setUp();
    client.say({ id: 1, type: "late" });
    client.say({ id: 2, type: "late" });
    await settled();
    expect(ask({ id: 3, type: "echo", value: "now" })).toEqual([success(3, "now")]);
    pending[1]?.("second");
    await settled();
    pending[0]?.("first");
    await settled();
    expect(client.heard()).toEqual([success(2, "second"), success(1, "first")]);
  });

  it("takes 64 commands in flight and calls itself overloaded for more, until one is done", async () => {
    const { client, ask } = setUp();
    for (let id = 1; id <= limits.inFlight; id += 1) client.say({ id, type: "late" });
    await settled();
    expect(client.heard()).toEqual([]);
    expect(ask({ id: 65, type: "late" })).toEqual([failure(65, "overloaded")]);
    pending[10]?.("done");
    await settled();
    expect(client.heard()).toEqual([success(11, "done")]);
    expect(ask({ id: 65, type: "echo" })).toEqual([success(65, null)]);
  });

  it("shows code, public text and retry time of a refusal, and keeps the detail for the log", async () => {
    const { rig, client, ask } = setUp();
    expect(ask({ id: 1, type: "deny" })).toEqual([
      {
        id: 1,
        type: "result",
        success: false,
        error: { code: "overloaded", message: "Later", retry_after: 3 },
      },
    ]);
    expect(JSON.stringify(rig.logged)).toContain("for the log");
    client.say({ id: 2, type: "deny-late" });
    await settled();
    expect(client.heard()).toEqual([
      {
        id: 2,
        type: "result",
        success: false,
        error: {
          code: "home_assistant_error",
          message: "Username already exists",
          translation_key: "username_already_exists",
          translation_domain: "auth",
          translation_placeholders: { username: "u" },
        },
      },
    ]);
  });

  it("answers unknown_error to a fault of ours, logs it, and stays", async () => {
    const { rig, client, ask } = setUp();
    for (const [id, type] of [
      [1, "fault"],
      [2, "fault-late"],
      [3, "unsendable"],
    ] as const) {
      client.say({ id, type });
      await settled();
      expect(client.heard()).toEqual([failure(id, "unknown_error", "Unknown error")]);
    }
    expect(rig.logged.map(({ message }) => message)).toEqual([
      "message failed",
      "message failed",
      "message failed",
    ]);
    expect(ask({ id: 4, type: "ping" })).toEqual([{ id: 4, type: "pong" }]);
  });

  it("counts a frame by its size too, before it is read, and an empty batch", () => {
    const { client } = setUp(100);
    // 500 at once; a frame of 50 KiB counts for 100.
    for (let id = 1; id <= 5; id += 1) client.say({ id, type: "echo", value: "x".repeat(51_200) });
    expect(client.socket.closedWith).toBeUndefined();
    client.heard();
    client.say({ id: 6, type: "echo", value: "x".repeat(51_200) });
    expect(client.heard()).toEqual([]);
    expect(client.socket.closedWith?.code).toBe(closeCodes.rate_limited.number);

    const { client: other } = setUp(10);
    for (let count = 0; count < 101; count += 1) other.say([]);
    expect(other.socket.closedWith?.code).toBe(closeCodes.rate_limited.number);
  });

  it("counts the messages of all sockets of a user together, also after a reconnect", () => {
    const rig = connectionRig(
      { authentication: { authenticate: () => admitted(principalOf()), recheck: () => undefined } },
      { commands, limits: { messagesPerSecond: 10_000, messagesPerSecondPerUser: 10 } },
    );
    const enter = () => {
      const client = rig.connect();
      client.say({ type: "auth", access_token: "t" });
      client.heard();
      return client;
    };
    const [one, two] = [enter(), enter()];
    for (let id = 1; id <= 25; id += 1) for (const client of [one, two]) client.say({ id, type: "echo" });
    expect(one.heard().filter((answer) => (answer as { success: boolean }).success)).toHaveLength(25);
    two.heard();
    two.say({ id: 26, type: "echo" });
    expect(two.heard()).toEqual([failure(26, "rate_limited")]);
    for (let id = 27; id <= 77; id += 1) two.say({ id, type: "echo" });
    expect(two.socket.closedWith?.code).toBe(closeCodes.rate_limited.number);
    const again = enter();
    again.say({ id: 1, type: "echo" });
    expect(again.socket.closedWith?.code).toBe(closeCodes.rate_limited.number);
  });

  it("refuses messages over the rate, and closes who goes on", () => {
    const { client } = setUp(10);
    for (let id = 1; id <= 51; id += 1) client.say({ id, type: "ping" });
    const heard = client.heard();
    expect(heard).toHaveLength(51);
    expect(heard.at(-1)).toEqual(failure(51, "rate_limited"));
    for (let id = 52; id <= 102; id += 1) client.say({ id, type: "ping" });
    expect(client.socket.closedWith?.code).toBe(closeCodes.rate_limited.number);
  });

  it("counts pings, and pongs that nobody asked for, as messages", () => {
    for (const control of ["ping", "pong"] as const) {
      const { client } = setUp(10);
      for (let count = 1; count <= 50; count += 1) client.handler[control]();
      client.say({ id: 1, type: "ping" });
      expect(client.heard()).toEqual([failure(1, "rate_limited")]);
      for (let count = 1; count <= 49; count += 1) client.handler[control]();
      expect(client.socket.closedWith).toBeUndefined();
      client.handler[control]();
      expect(client.socket.closedWith?.code).toBe(closeCodes.rate_limited.number);
    }
  });

  it("counts the messages of batches as messages", () => {
    const { client, ask } = setUp(10);
    const heard = ask(Array.from({ length: 60 }, (_, index) => ({ id: index + 1, type: "ping" })));
    expect(heard.filter((message) => message.type === "pong")).toHaveLength(50);
    expect(client.socket.closedWith).toBeUndefined();
  });

  it("coalesces once the client asked for it", async () => {
    const { client, ask } = setUp();
    expect(ask({ id: 1, type: "features", features: { coalesce_messages: 1, unknown: 1 } })).toEqual([]);
    client.say([
      { id: 2, type: "ping" },
      { id: 3, type: "ping" },
    ]);
    await settled();
    expect(client.heard()).toEqual([[success(1, null), { id: 2, type: "pong" }, { id: 3, type: "pong" }]]);
    client.say({ id: 4, type: "ping" });
    await settled();
    expect(client.heard()).toEqual([{ id: 4, type: "pong" }]);
  });

  it("undoes what a session acquired when it ends, and is silent from then on", async () => {
    const { rig, client } = setUp();
    client.say({ id: 1, type: "subscribe" });
    client.say({ id: 2, type: "late" });
    client.heard();
    rig.connections.hub.apply({
      kind: "sessions",
      userId: "u1",
      sessionIds: ["s1"],
      cause: "session_revoked",
    });
    pending[0]?.("too late");
    await settled();
    expect(client.heard()).toEqual([]);
    expect(rig.logged).toEqual([]);
  });

  it("stops in the middle of a batch that ends the socket", () => {
    const { rig, client } = setUp(10);
    client.say(Array.from({ length: 200 }, (_, index) => ({ id: index + 1, type: "ping" })));
    expect(client.socket.closedWith?.code).toBe(closeCodes.rate_limited.number);
    expect(client.heard()).toHaveLength(100);
    expect(rig.connections.hub.sockets).toBe(0);
  });
});
