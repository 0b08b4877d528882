import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { createLog } from "../../src/observability/log.ts";
import { codeAt } from "../auth/factors/factor-people.ts";
import { ownerPassword, setUpOwner, startNode, transportNames } from "../support/gateway.ts";
import { openSocket, type SocketClient } from "../support/socket-client.ts";

type Node = Awaited<ReturnType<typeof startNode>>;
interface Step {
  readonly flow_id: string;
  readonly description_placeholders: Readonly<Record<string, string>>;
  readonly data: unknown;
}

const client_id = "https://app.example/";
const redirect_uri = "https://app.example/in";
const paula = { username: "paula", password: ownerPassword };
const period = 30_000;

let node: Node;
let lines: string[];
let transport: (typeof transportNames)[number];
const sockets: SocketClient[] = [];

async function logIn(input: object = paula) {
  const socket = await openSocket(node.port);
  sockets.push(socket);
  const { result: form } = await socket.call("auth/login/start", { handler: ["homeassistant", null] });
  const { flow_id } = form as Step;
  const step = async (user_input: object) =>
    (await socket.call("auth/login/step", { flow_id, user_input })).result as Step & Record<string, unknown>;
  return { socket, flow_id, step, first: await step(input) };
}

/** Sets the authenticator app up on a socket. Gives its secret, and a code that is not used up. */
async function setUp(socket: SocketClient) {
  const { result } = await socket.call("auth/setup_mfa", { mfa_module_id: "totp" });
  const { flow_id, description_placeholders } = result as Step;
  const { code: secret = "" } = description_placeholders;
  const done = await socket.call("auth/setup_mfa", {
    flow_id,
    user_input: { code: codeAt(secret, Date.now()) },
  });
  return { form: result, secret, done, code: () => codeAt(secret, Date.now() + period) };
}

describe.each(transportNames)("second factors on %s", (name) => {
  beforeEach(async () => {
    transport = name;
    lines = [];
    const log = createLog({ level: "debug", sink: { write: (line: string) => void lines.push(line) } });
    node = await startNode({ transport, log: { audit: true } }, { log });
    await setUpOwner(node.authority);
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.close();
    await node.stop();
  });

  it("are set up, listed and removed with Home Assistant's commands", async () => {
    const { socket } = await logIn();
    const { form, done } = await setUp(socket);
    expect(form).toEqual({
      type: "form",
      flow_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      handler: "totp",
      step_id: "init",
      data_schema: [{ name: "code", type: "string", required: true }],
      errors: {},
      description_placeholders: expect.objectContaining({
        code: expect.stringMatching(/^[A-Z2-7]{32}$/),
        url: expect.stringContaining("otpauth://totp/Gatehouse:Paula?"),
        qr_code: expect.stringMatching(/^<svg .*<\/svg>$/),
      }),
      last_step: null,
      preview: null,
    });
    expect(done).toMatchObject({
      success: true,
      result: { type: "create_entry", handler: "totp", data: { result: null } },
    });
    const modules = async () => {
      const { result } = await socket.call("auth/current_user");
      return (result as { mfa_modules: readonly { enabled: boolean }[] }).mfa_modules;
    };
    expect(await modules()).toEqual([
      { id: "totp", name: "Authenticator app", enabled: true },
      { id: "recovery", name: "Recovery codes", enabled: false },
    ]);
    expect(await socket.call("auth/setup_mfa", { mfa_module_id: "pin" })).toMatchObject({
      error: { code: "no_module" },
    });
    expect(await socket.call("auth/setup_mfa", {})).toMatchObject({ error: { code: "invalid_format" } });
    expect(await socket.call("auth/setup_mfa", { flow_id: "0".repeat(32) })).toMatchObject({
      error: { code: "invalid_flow" },
    });
    expect(await socket.call("auth/depose_mfa", { mfa_module_id: "totp" })).toMatchObject({ result: "done" });
    expect((await modules()).every(({ enabled }) => !enabled)).toBe(true);
    expect(await socket.call("auth/depose_mfa", { mfa_module_id: "totp" })).toMatchObject({
      error: { code: "disable_failed" },
    });
  });

  it("tell administrators that a user has others, when they are set up, reset and removed", async () => {
    const { socket } = await logIn();
    const { code } = await setUp(socket);
    const { socket: watching, step } = await logIn();
    expect(await step({ code: code() })).toMatchObject({ type: "create_entry" });
    await watching.call("subscribe_events", { event_type: "user_updated" });
    const { result } = await socket.call("auth/current_user");
    const { id: user_id } = result as { readonly id: string };
    const told = async () => {
      const event = await watching.find(({ type }) => type === "event", "user_updated");
      expect(event).toMatchObject({ event: { event_type: "user_updated", data: { user_id } } });
    };
    expect(await socket.call("gatehouse/mfa/reset", { user_id })).toMatchObject({ success: true });
    await told();
    expect((await setUp(socket)).done).toMatchObject({ success: true });
    await told();
    expect(await socket.call("auth/depose_mfa", { mfa_module_id: "totp" })).toMatchObject({ result: "done" });
    await told();
  });

  it("are asked for over HTTP as in Home Assistant, and the token says so", async () => {
    const { socket } = await logIn();
    const { code } = await setUp(socket);
    const post = async (path: string, body: object) => {
      const answer = await fetch(`${node.url}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ client_id, ...body }),
      });
      return { status: answer.status, body: (await answer.json()) as Step & Record<string, unknown> };
    };
    const begun = await post("/auth/login_flow", { handler: ["homeassistant", null], redirect_uri });
    const path = `/auth/login_flow/${begun.body.flow_id}`;
    expect(await post(path, paula)).toMatchObject({
      status: 200,
      body: {
        type: "form",
        step_id: "mfa",
        handler: ["homeassistant", null],
        data_schema: [{ name: "code", type: "string", required: true }],
        description_placeholders: { mfa_module_id: "totp", mfa_module_name: "Authenticator app" },
        errors: {},
      },
    });
    expect(await post(path, { code: "12345" })).toMatchObject({
      status: 200,
      body: { type: "form", step_id: "mfa", errors: { base: "invalid_code" } },
    });
    const { body } = await post(path, { code: code() });
    expect(body).toMatchObject({ type: "create_entry", result: expect.any(String) });
    const form = { grant_type: "authorization_code", client_id, code: String(body.result) };
    const answer = await fetch(`${node.url}/auth/token`, {
      method: "POST",
      body: new URLSearchParams(form),
    });
    const { access_token } = (await answer.json()) as { access_token: string };
    const introspected = await fetch(`${node.url}/auth/introspect`, {
      method: "POST",
      headers: { authorization: `Bearer ${access_token}` },
      body: new URLSearchParams({ token: access_token }),
    });
    expect(await introspected.json()).toMatchObject({
      active: true,
      acr: "aal2",
      amr: ["pwd", "otp", "mfa"],
      auth_time: expect.any(Number),
    });
  });

  it("cut the user's other sockets off when the first one is set up, and when a group demands one", async () => {
    const [first, second] = [await logIn(), await logIn()];
    await setUp(first.socket);
    expect(await second.socket.closed).toMatchObject({ code: 4301 });
    expect(await first.socket.call("ping")).toMatchObject({ type: "pong" });
    await node.authority.secondFactors.reset(await owner(), undefined, null);
    const third = await logIn();
    expect(
      await third.socket.call("gatehouse/mfa/demands/set", { group_id: "system-admin", demanded: true }),
    ).toMatchObject({ success: true });
    expect(await third.socket.closed).toMatchObject({ code: 4301 });
  });

  it("leave a record of a set-up within a login", async () => {
    await node.authority.secondFactors.demand("system-admin", true);
    const login = await logIn();
    const code = codeAt(login.first.description_placeholders.code ?? "", Date.now());
    expect(await login.step({ code })).toMatchObject({ step_id: "mfa_recovery" });
    expect(await login.step({})).toMatchObject({ type: "create_entry" });
    const audited = lines
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ audit }) => ["login", "factor_setup"].includes(String(audit)));
    expect(audited).toMatchObject([
      { audit: "factor_setup", outcome: "allowed", factors: "totp", flow_id: login.flow_id },
      { audit: "login", outcome: "allowed", user_id: await owner() },
    ]);
  });

  it("leave an audit record of each decision, and no secret in log or records", async () => {
    const { socket } = await logIn();
    const { secret, code } = await setUp(socket);
    const { result } = await socket.call("auth/setup_mfa", { mfa_module_id: "recovery" });
    const { flow_id, description_placeholders } = result as Step;
    await socket.call("auth/setup_mfa", { flow_id, user_input: {} });
    const recovery = description_placeholders.codes?.split("\n") ?? [];
    const used = code();
    const login = await logIn();
    await login.step({ multi_factor_auth_module: "totp" });
    await login.step({ code: "canary-code" });
    expect(await login.step({ code: used })).toMatchObject({ type: "create_entry" });
    await socket.call("gatehouse/mfa/reset", { user_id: await owner() });
    const audited = lines
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ audit }) => ["login", "factor_setup", "factor_reset"].includes(String(audit)))
      .map(({ audit, outcome, reason, factors }) => [audit, outcome, reason ?? factors].join(" ").trim());
    expect(audited).toEqual([
      "login allowed",
      "factor_setup allowed totp",
      "factor_setup allowed recovery",
      "login denied invalid_code",
      "login allowed",
      "factor_reset allowed totp recovery",
    ]);
    const told = lines.join("");
    for (const each of [secret, ...recovery, "canary-code", "otpauth:"]) expect(told).not.toContain(each);
    expect(recovery).toHaveLength(10);
  });
});

async function owner(): Promise<string> {
  return (await node.authority.users.list())[0]?.id ?? "";
}
