import { Secret } from "otpauth";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { createLog } from "../../src/observability/log.ts";
import { codeAt } from "../auth/factors/factor-people.ts";
import { toldIn } from "../auth/factors/told-secrets.ts";
import { type CodeWebhook, startCodeWebhook } from "../support/code-webhook.ts";
import { ownerPassword, setUpOwner, startNode, transportNames } from "../support/gateway.ts";
import { type Message, openSocket, type SocketClient } from "../support/socket-client.ts";

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

async function post(path: string, body: object) {
  const answer = await fetch(`${node.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ client_id, ...body }),
  });
  return { status: answer.status, body: (await answer.json()) as Step & Record<string, unknown> };
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

describe.each(transportNames)("what is secret about second factors on %s", (name) => {
  const target = "paula@canary.example";
  let hook: CodeWebhook;
  beforeEach(async () => {
    hook = await startCodeWebhook();
    lines = [];
    const log = createLog({ level: "trace", sink: { write: (line: string) => void lines.push(line) } });
    const notify = { type: "notify", webhook: hook.url, token: "canary-token" } as const;
    const auth_mfa_modules = [{ type: "totp" }, { type: "recovery" }, notify] as const;
    node = await startNode({ transport: name, log: { audit: true }, auth_mfa_modules }, { log });
    await setUpOwner(node.authority);
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.close();
    await node.stop();
    await hook.stop();
  });

  const answers = () => sockets.flatMap(({ received }) => received.map((frame) => JSON.stringify(frame)));
  /** The answers that have one of these, by the factor and the kind of their step. */
  const tellingAnswers = (secrets: Parameters<typeof toldIn>[1]) =>
    answers()
      .filter((answer) => toldIn(answer, secrets).length > 0)
      .map((answer) => (JSON.parse(answer) as { readonly result?: Message }).result)
      .map((step) => `${step?.type} ${step?.handler} ${Object.values(step?.errors ?? {}).join()}`.trim());
  /** Another login, which has chosen a factor. */
  const choosing = async (multi_factor_auth_module: string) => {
    const login = await logIn();
    await login.step({ multi_factor_auth_module });
    return login.step;
  };

  it("is in the answer that shows it alone, and in no other, no error, no log line and no record", async () => {
    const { socket } = await logIn();
    const begin = async (mfa_module_id: string) => {
      const { result } = await socket.call("auth/setup_mfa", { mfa_module_id });
      const { flow_id, description_placeholders: shown } = result as Step;
      return { shown, send: (user_input: object) => socket.call("auth/setup_mfa", { flow_id, user_input }) };
    };

    const app = await begin("totp");
    const { code: secret = "", url = "" } = app.shown;
    const code = codeAt(secret, Date.now());
    for (const wrong of [{ code: "canary-code" }, { code: [secret] }, { [secret]: code }])
      await app.send(wrong);
    expect(await app.send({ code })).toMatchObject({ result: { type: "create_entry" } });

    const spare = await begin("recovery");
    const recovery = spare.shown.codes?.split("\n") ?? [];
    expect(recovery).toHaveLength(10);
    expect(await spare.send({ code: recovery[0] })).toMatchObject({ error: { code: "invalid_format" } });
    expect(await spare.send({})).toMatchObject({ result: { type: "create_entry" } });

    const message = await begin("notify");
    await message.send({ target });
    for (const wrong of [{ code: "canary-code" }, { code: [hook.latest()] }, { [hook.latest()]: "" }])
      await message.send(wrong);
    expect(await message.send({ code: hook.latest() })).toMatchObject({ result: { type: "create_entry" } });

    // What is right elsewhere is typed into the wrong form, and then a code into the right one, twice.
    const byApp = await choosing("totp");
    for (const typed of [secret, url, recovery[1], hook.latest()]) await byApp({ code: typed });
    const bySpare = await choosing("recovery");
    for (const typed of [secret, recovery[2]]) await bySpare({ code: typed });
    await (await choosing("recovery"))({ code: recovery[2] });
    const byMessage = await choosing("notify");
    for (const typed of [recovery[3], hook.latest()]) await byMessage({ code: typed });
    hook.status = 500;
    await choosing("notify");
    expect(hook.received).toHaveLength(3);

    const begun = await post("/auth/login_flow", { handler: ["homeassistant", null], redirect_uri });
    const overHttp = [begun];
    for (const input of [
      paula,
      { multi_factor_auth_module: "totp" },
      { code: [secret] },
      { [recovery[6] ?? ""]: "" },
      { code: recovery[6] },
    ])
      overHttp.push(await post(`/auth/login_flow/${begun.body.flow_id}`, input));
    expect(overHttp.map(({ status }) => status)).toEqual([200, 200, 200, 400, 400, 200]);

    const user_id = await owner();
    const refused: string[] = [];
    for (const [type, fields] of [
      ["auth/current_user", {}],
      ["config/auth/list", {}],
      ["gatehouse/users/list", {}],
      ["gatehouse/mfa/list", { user_id }],
      ["gatehouse/sessions/list", {}],
      ["gatehouse/credentials/list", { user_id }],
      ["gatehouse/throttles/list", {}],
      ["gatehouse/mfa/list", { user_id: "0".repeat(32) }],
      ["gatehouse/mfa/reset", { user_id, mfa_module_id: recovery[4] }],
      ["auth/depose_mfa", { mfa_module_id: "notify" }],
      ["auth/depose_mfa", { mfa_module_id: recovery[5] }],
      ["gatehouse/mfa/reset", { user_id }],
      ["gatehouse/mfa/list", { user_id }],
    ] as const)
      if ((await socket.call(type, fields)).success !== true) refused.push(type);
    expect(refused).toEqual(["gatehouse/mfa/list", "auth/depose_mfa"]);

    const apps = { secret, bytes: Secret.fromBase32(secret).bytes, uri: "otpauth:", picture: "<svg" };
    const spares = Object.fromEntries(recovery.map((each, at) => [`recovery code ${at}`, each]));
    const codes = {
      code,
      ...Object.fromEntries(hook.received.map(({ body }, at) => [`sent ${at}`, body.code])),
    };
    // Until the set-up is over, its form comes again after a wrong code.
    expect(tellingAnswers(apps)).toEqual(["form totp", "form totp invalid_code"]);
    expect(tellingAnswers(spares)).toEqual(["form recovery"]);
    expect(tellingAnswers({ ...codes, target })).toEqual([]);
    const log = lines.join("");
    const typed = { typed: "canary-code", token: "canary-token" };
    expect(toldIn(log, { ...apps, ...spares, ...codes, ...typed, target })).toEqual([]);
    expect(toldIn(JSON.stringify(overHttp), { ...apps, ...spares, ...codes })).toEqual([]);
    // What has happened is in the log.
    for (const told of ["factor_setup", "factor_removal", "factor_reset"])
      expect(log).toContain(`"audit":"${told}","outcome":"allowed"`);
    expect(log).toContain("answered with 500");
  });
});

async function owner(): Promise<string> {
  return (await node.authority.users.list())[0]?.id ?? "";
}
