import { describe, expect, it } from "vitest";

import { closeCodes } from "../../protocol/close-codes.ts";
import { limits } from "../../protocol/features.ts";
import type { FlowStep } from "../../protocol/flow.ts";
import { AuthError } from "../../src/auth/errors.ts";
import type { FlowAnswer, LoginFlows } from "../../src/auth/login/login-flows.ts";
import type { RevokeTarget } from "../../src/auth/revocation/receipt.ts";
import { admitted, connectionRig, type RigParts, settled } from "../support/connection-rig.ts";
import { loseSocket } from "../support/fake-socket.ts";
import { principalOf } from "../support/people.ts";

const handler: [string, null] = ["homeassistant", null];
const flowId = (digit: number) => String(digit).repeat(32);
const form = (flow: string): FlowStep => ({
  type: "form",
  flow_id: flow,
  handler,
  step_id: "init",
  data_schema: [],
  errors: {},
  description_placeholders: null,
  last_step: null,
  preview: null,
});
const entry = (flow: string): FlowStep => ({
  type: "create_entry",
  flow_id: flow,
  handler,
  description: null,
  description_placeholders: null,
  result: {
    access_token: "granted",
    token_type: "Bearer",
    expires_in: 1800,
    refresh_token: "r",
    session_id: "s1",
    ha_auth_provider: "homeassistant",
  },
});

/** A login engine that knows its flows by number and finishes at the first step. */
function engine() {
  const calls: string[] = [];
  const holders: unknown[] = [];
  let started = 0;
  const answer = (step: FlowStep): FlowAnswer => ({
    step,
    flowSecret: `secret-${step.flow_id[0]}`,
    stepNumber: 1,
    purpose: "session",
    endsInMs: 300_000,
  });
  const logins: LoginFlows = {
    waysOf: async () => [],
    providers: () => [{ type: "homeassistant", id: null, name: "Local" }],
    async start(request, _peer, holder) {
      holders.push(holder);
      if (request.handler[0] !== handler[0]) throw new AuthError("invalid_handler");
      started += 1;
      calls.push(`start ${request.purpose} ${request.clientId}`);
      return answer(form(flowId(started)));
    },
    async advance({ flowId: flow, flowSecret }) {
      calls.push(`advance ${flow[0]} ${flowSecret}`);
      return answer(entry(flow));
    },
    async linkByCode() {
      throw new AuthError("invalid_code");
    },
    async resume({ flowId: flow, flowSecret }) {
      calls.push(`resume ${flow[0]} ${flowSecret}`);
      return answer(form(flow));
    },
    next: async () => undefined,
    completeExternalStep: async () => "done",
    close: () => undefined,
    async cancel({ flowId: flow, flowSecret }) {
      calls.push(`cancel ${flow[0]} ${flowSecret}`);
      return {
        type: "abort",
        flow_id: flow,
        handler,
        reason: "login_cancelled",
        description_placeholders: null,
      };
    },
    addressClaim: (flowId) => ({ flowId, flowSecret: "" }),
    detach: (flow, holder) => void calls.push(`left ${flow[0]} ${holders.indexOf(holder)}`),
  };
  return { logins, calls };
}

function setUp(more: RigParts = {}) {
  const { logins, calls } = engine();
  const rig = connectionRig({
    logins,
    authentication: { authenticate: () => admitted(principalOf()), recheck: () => undefined },
    onboarding: { required: async () => false },
    ...more,
  });
  const client = rig.connect();
  client.heard();
  const ask = async (message: object) => {
    client.say(message);
    await settled();
    return client.heard() as Record<string, unknown>[];
  };
  return { rig, client, ask, calls };
}

const start = { type: "auth/login/start", handler };

describe("login messages", () => {
  it("log a socket in: the result first, then auth_ok, then commands with higher ids", async () => {
    const { ask } = setUp();
    expect(await ask({ id: 1, type: "auth/providers" })).toEqual([
      {
        id: 1,
        type: "result",
        success: true,
        result: {
          providers: [{ name: "Local", type: "homeassistant", id: null }],
          onboarding_required: false,
        },
      },
    ]);
    const [started] = await ask({ id: 2, ...start });
    expect(started).toMatchObject({
      id: 2,
      success: true,
      result: { type: "form", flow_secret: "secret-1" },
    });
    const finished = await ask({ id: 3, type: "auth/login/step", flow_id: flowId(1), user_input: {} });
    expect(finished).toEqual([
      { id: 3, type: "result", success: true, result: entry(flowId(1)) },
      { type: "auth_ok", ha_version: "2026.11.0" },
    ]);
    expect(await ask({ id: 3, type: "x" })).toMatchObject([{ id: 3, error: { code: "id_reuse" } }]);
    expect(await ask({ id: 4, type: "x" })).toMatchObject([{ id: 4, error: { code: "unknown_command" } }]);
  });

  it("need an id that rises; bad fields are an error and the socket stays", async () => {
    const { client, ask, calls } = setUp();
    const code = async (message: object) => {
      const [answer] = await ask(message);
      return [answer?.id, (answer?.error as { code: string } | undefined)?.code];
    };
    expect(await code({ ...start })).toEqual([0, "invalid_format"]);
    expect(await code({ id: "1", ...start })).toEqual(["1", "invalid_format"]);
    expect(await code({ id: 0, ...start })).toEqual([0, "invalid_format"]);
    expect(await code({ id: true, ...start })).toEqual([true, "invalid_format"]);
    expect(await code({ id: 1.5, ...start })).toEqual([1.5, "invalid_format"]);
    expect(await code({ id: 7, type: "auth/login/start" })).toEqual([7, "invalid_format"]);
    expect(await code({ id: 7, ...start })).toEqual([7, "id_reuse"]);
    expect(await code({ id: 8, ...start, extra: 1 })).toEqual([8, "invalid_format"]);
    expect(client.socket.closedWith).toBeUndefined();
    expect(calls).toEqual([]);
  });

  it("name the field and the problem, and no value", async () => {
    const { ask } = setUp();
    const canary = "canary".repeat(200);
    const [answer] = await ask({ id: 1, type: "auth/login/step", flow_id: canary, user_input: {} });
    expect(answer?.error).toEqual({ code: "invalid_format", message: expect.stringMatching(/^flow_id: /) });
    expect(JSON.stringify(answer)).not.toContain("canary");
  });

  it("a new start cancels the flow before it, also when both come at once", async () => {
    const { client, calls } = setUp();
    client.say({ id: 1, ...start });
    client.say({ id: 2, ...start });
    client.say({ id: 3, type: "auth/login/step", flow_id: flowId(1), user_input: {} });
    await settled();
    expect(calls).toEqual(["start session null", "start session null", "cancel 1 secret-1"]);
    expect(client.heard()).toMatchObject([
      { id: 1, success: true },
      { id: 2, success: true },
      { id: 3, success: false, error: { code: "invalid_flow" } },
    ]);
  });

  it("leave a flow that is still open when the socket goes, and none that is over", async () => {
    const open = setUp();
    await open.ask({ id: 1, ...start });
    loseSocket(open.client.handler);
    expect(open.calls.at(-1)).toBe("left 1 0");
    const over = setUp();
    await over.ask({ id: 1, ...start });
    await over.ask({ id: 2, type: "auth/login/cancel", flow_id: flowId(1) });
    loseSocket(over.client.handler);
    expect(over.calls.at(-1)).toMatch(/^cancel/);
  });

  it("leave the open flow alone when another start is refused", async () => {
    const { client, ask, calls } = setUp();
    await ask({ id: 1, ...start });
    const [refused] = await ask({ id: 2, ...start, handler: ["nope", null] });
    expect(refused).toMatchObject({ id: 2, error: { code: "invalid_handler" } });
    expect(calls).toEqual(["start session null"]);
    const [finished] = await ask({ id: 3, type: "auth/login/step", flow_id: flowId(1), user_input: {} });
    expect(finished).toMatchObject({ id: 3, success: true });
    expect(client.socket.closedWith).toBeUndefined();
  });

  it("refuse the flow of another socket without asking the engine", async () => {
    const { ask, calls } = setUp();
    for (const type of ["auth/login/step", "auth/login/cancel"]) {
      const fields = type === "auth/login/step" ? { user_input: {} } : {};
      const id = type === "auth/login/step" ? 1 : 2;
      const [answer] = await ask({ id, type, flow_id: flowId(9), ...fields });
      expect(answer).toMatchObject({ id, error: { code: "invalid_flow" } });
    }
    expect(calls).toEqual([]);
  });

  it("take a flow over from a dropped socket by its secret", async () => {
    const { ask, calls } = setUp();
    await ask({ id: 1, type: "auth/login/resume", flow_id: flowId(5), flow_secret: "secret-5" });
    const [answer] = await ask({ id: 2, type: "auth/login/step", flow_id: flowId(5), user_input: {} });
    expect(answer).toMatchObject({ id: 2, success: true });
    expect(calls).toEqual(["resume 5 secret-5", "advance 5 secret-5"]);
  });

  it("get five minutes from open once a flow was started, and not by asking in vain", async () => {
    const { rig, client, ask } = setUp();
    rig.wind(9000);
    await ask({ id: 1, ...start });
    for (let at = 9000; at < limits.loginDeadlineMs - 500; at += 500) {
      const { pings } = client.socket;
      rig.wind(500);
      if (client.socket.pings > pings) client.handler.pong();
    }
    expect(client.socket.closedWith).toBeUndefined();
    rig.wind(700);
    expect(client.socket.closedWith?.code).toBe(closeCodes.auth_timeout.number);

    const vain = setUp({
      logins: {
        start() {
          throw new AuthError("invalid_handler");
        },
      },
    });
    await vain.ask({ id: 1, ...start });
    vain.rig.wind(10_200);
    expect(vain.client.socket.closedWith?.code).toBe(closeCodes.auth_timeout.number);
  });

  /** A form that a person fills in; `answers` says whether the client answers pings. */
  async function openForm(answers: boolean) {
    const { rig, client, ask } = setUp();
    await ask({ id: 1, ...start });
    const pingedAt: number[] = [];
    for (let at = 500; at < limits.loginDeadlineMs - 500; at += 500) {
      const before = client.socket.pings;
      rig.wind(500);
      if (client.socket.pings === before) continue;
      pingedAt.push(at);
      if (answers) client.handler.pong();
    }
    return { rig, client, pingedAt };
  }

  it("keep the connection alive with pings, which cost nothing of the budget and move no deadline", async () => {
    const { rig, client, pingedAt } = await openForm(true);
    expect(pingedAt).toEqual([1, 2, 3, 4, 5].map((nth) => nth * limits.heartbeatMs));
    for (let count = 1; count < limits.messagesBeforeAuth; count += 1) client.handler.ping();
    expect(client.socket.closedWith).toBeUndefined();
    rig.wind(1000);
    expect(client.socket.closedWith?.code).toBe(closeCodes.auth_timeout.number);
  });

  it("end with a client that answers no ping", async () => {
    const { client, pingedAt } = await openForm(false);
    expect(pingedAt).toEqual([limits.heartbeatMs]);
    expect(client.socket.closedWith?.code).toBe(closeCodes.heartbeat_timeout.number);
  });

  it("answer refusals of the engine with their code, text and retry time", async () => {
    const { client, ask } = setUp({
      logins: {
        start() {
          throw new AuthError("overloaded", { retryAfterSeconds: 2, detail: "secret detail" });
        },
      },
    });
    expect(await ask({ id: 1, ...start })).toEqual([
      {
        id: 1,
        type: "result",
        success: false,
        error: { code: "overloaded", message: "Too busy, try again", retry_after: 2 },
      },
    ]);
    expect(client.socket.closedWith).toBeUndefined();
  });

  it("come back with a refresh token, and log the owner in who was just made", async () => {
    const grant = {
      session: { id: "s1", providerType: "homeassistant" },
      accessToken: "a",
      principal: { tokenIssuedAt: 1_000, tokenExpiresAt: 1_801_000 },
      refreshToken: "r",
    };
    const back = setUp({ sessions: { refresh: async () => grant as never, expireIfDue: async () => null } });
    expect(await back.ask({ id: 1, type: "auth/login/refresh", refresh_token: "r0" })).toEqual([
      {
        id: 1,
        type: "result",
        success: true,
        result: { access_token: "a", token_type: "Bearer", expires_in: 1800, refresh_token: "r" },
      },
      { type: "auth_ok", ha_version: "2026.11.0" },
    ]);
    const made = setUp({
      onboarding: { createOwnerWithSession: async () => ({ user: { id: "u1" }, grant }) as never },
    });
    const owner = { setup_code: "c", name: "O", username: "o", password: "p" };
    const answers = await made.ask({ id: 1, type: "auth/onboarding/create_owner", ...owner });
    expect(answers).toMatchObject([
      { id: 1, success: true, result: { user_id: "u1", session: { session_id: "s1", refresh_token: "r" } } },
      { type: "auth_ok" },
    ]);
  });

  it("end a session that could not be handed over, because nobody holds its tokens", async () => {
    const revoked: RevokeTarget[] = [];
    let finish: (answer: FlowAnswer) => void = () => undefined;
    const { logins } = engine();
    const { client, ask } = setUp({
      logins: {
        ...logins,
        advance: () =>
          new Promise((resolve) => {
            finish = resolve;
          }),
      },
      sessions: { get: async () => ({ userId: "u1" }) as never },
      revocation: {
        revoke: async (target) => {
          revoked.push(target);
          return {} as never;
        },
      },
    });
    await ask({ id: 1, ...start });
    await ask({ id: 2, type: "auth/login/step", flow_id: flowId(1), user_input: {} });
    loseSocket(client.handler);
    finish({
      step: entry(flowId(1)),
      flowSecret: "secret-1",
      stepNumber: 2,
      purpose: "session",
      endsInMs: 300_000,
    });
    await settled();
    expect(revoked).toEqual([{ kind: "sessions", userId: "u1", sessionIds: ["s1"] }]);
  });

  it("that finish after another authentication are refused, and their session is ended", async () => {
    const { logins, calls } = engine();
    const revoked: RevokeTarget[] = [];
    let finish: (answer: FlowAnswer) => void = () => undefined;
    const { rig, client, ask } = setUp({
      logins: {
        ...logins,
        advance: () =>
          new Promise((resolve) => {
            finish = resolve;
          }),
      },
      sessions: { get: async () => ({ userId: "u1" }) as never },
      revocation: {
        revoke: async (target) => {
          revoked.push(target);
          return {} as never;
        },
      },
      authentication: {
        authenticate: (token: string) => admitted(principalOf({ userId: token, sessionId: token })),
        recheck: () => undefined,
      },
    });
    await ask({ id: 1, ...start });
    await ask({ id: 2, type: "auth/login/step", flow_id: flowId(1), user_input: {} });
    expect(await ask({ type: "auth", access_token: "first" })).toMatchObject([{ type: "auth_ok" }]);
    finish({
      step: entry(flowId(1)),
      flowSecret: "secret-1",
      stepNumber: 2,
      purpose: "session",
      endsInMs: 300_000,
    });
    await settled();
    // Its tokens would be lost on this socket, so its session is ended.
    expect(client.heard()).toMatchObject([
      { id: 2, type: "result", success: false, error: { code: "conflict" } },
    ]);
    expect(revoked).toEqual([{ kind: "sessions", userId: "u1", sessionIds: ["s1"] }]);
    const cut = {
      kind: "sessions",
      userId: "u1",
      sessionIds: ["granted"],
      cause: "session_revoked",
    } as const;
    expect([rig.connections.hub.sockets, rig.connections.hub.apply(cut), calls]).toEqual([
      1,
      0,
      ["start session null"],
    ]);
  });

  it("leave no flow behind when the socket is authenticated by a token", async () => {
    const { ask, calls } = setUp();
    await ask({ id: 1, ...start });
    await ask({ type: "auth", access_token: "t" });
    await settled();
    expect(calls).toEqual(["start session null", "cancel 1 secret-1"]);
  });
});

describe("login messages of many sockets at once", () => {
  it("begin in turns, first come first served, and the event loop runs in between", async () => {
    const { logins } = engine();
    const rig = connectionRig({ logins }, { loginTurnMs: 0 });
    const clients = Array.from({ length: 20 }, () => rig.connect());
    for (const client of clients) client.heard();
    for (const client of clients) client.say({ id: 1, ...start });
    const answered: number[] = [];
    for (let iteration = 1; answered.length < clients.length; iteration += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      for (const [at, client] of clients.entries()) if (client.heard().length > 0) answered.push(at);
      expect(answered.length).toBeLessThanOrEqual(iteration);
    }
    expect(answered).toEqual(clients.map((_, at) => at));
  });
});
