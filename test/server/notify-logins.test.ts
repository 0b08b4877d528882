import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { codeAt } from "../auth/factors/factor-people.ts";
import { type CodeWebhook, startCodeWebhook, wrongCode } from "../support/code-webhook.ts";
import { ownerPassword, setUpOwner, startNode, transportNames } from "../support/gateway.ts";
import { openSocket, type SocketClient } from "../support/socket-client.ts";

type Node = Awaited<ReturnType<typeof startNode>>;
interface Step {
  readonly type: string;
  readonly flow_id: string;
  readonly description_placeholders: Readonly<Record<string, string>> | null;
  readonly result: unknown;
}

const handler = ["homeassistant", null];
const client_id = "https://app.example/";

let node: Node;
let hook: CodeWebhook;
const sockets: SocketClient[] = [];

const claimsOf = (token: string) =>
  JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as object;

/** A user with a password. `groupIds`: beside those of ordinary users. */
async function person(username: string, groupIds: readonly string[] = []): Promise<string> {
  const login = { name: username, username, password: ownerPassword };
  const groups = ["system-users", ...groupIds];
  return (await node.authority.localLogins.createUser({ ...login, groupIds: groups })).id;
}

/** A login on a socket of its own, up to the answer to the password. */
async function begin(username: string) {
  const socket = await openSocket(node.port);
  sockets.push(socket);
  const { result } = await socket.call("auth/login/start", { handler });
  const { flow_id } = result as Step;
  const send = (user_input: object) => socket.call("auth/login/step", { flow_id, user_input });
  const step = async (user_input: object) => (await send(user_input)).result as Step;
  return { socket, send, step, first: await send({ username, password: ownerPassword }) };
}

/** Gives a person whose messages are used up all of them back, as an administrator does. */
async function lift(name: string): Promise<void> {
  const { users, throttles } = node.authority;
  const of = (await users.list()).find((user) => user.name === name)?.id;
  for (const { id, kind, userId } of (await throttles.page({ after: undefined, limit: 100 })).throttles)
    if (kind === "second_factor_message" && userId === of) await throttles.lift(id);
}

/** A user who has set the factor up. One message was sent for that. */
async function enrolled(username: string): Promise<SocketClient> {
  await person(username);
  const { socket } = await begin(username);
  const set = async (fields: object) => (await socket.call("auth/setup_mfa", fields)).result as Step;
  const { flow_id } = await set({ mfa_module_id: "notify" });
  await set({ flow_id, user_input: { target: `${username}@example.org` } });
  const done = await set({ flow_id, user_input: { code: hook.latest(username) } });
  expect(done).toMatchObject({ type: "create_entry", handler: "notify", data: { result: null } });
  return socket;
}

async function post(path: string, body: object) {
  const answer = await fetch(`${node.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ client_id, ...body }),
  });
  return { status: answer.status, body: (await answer.json()) as Step & Record<string, unknown> };
}

/** A login over HTTP, up to the answer to the password. */
async function beginOverHttp(username: string) {
  const begun = await post("/auth/login_flow", { handler, redirect_uri: "https://app.example/in" });
  const path = `/auth/login_flow/${begun.body.flow_id}`;
  const send = (input: object) => post(path, input);
  return { send, first: await send({ username, password: ownerPassword }) };
}

const form = {
  type: "form",
  step_id: "mfa",
  data_schema: [{ name: "code", type: "string", required: true }],
  description_placeholders: { mfa_module_id: "notify", mfa_module_name: "Code by message" },
};
const refused = { ...form, errors: { base: "invalid_code" } };

describe.each(transportNames)("codes by message on %s", (transport) => {
  beforeAll(async () => {
    hook = await startCodeWebhook();
    const factors = [{ type: "totp" }, { type: "notify", webhook: hook.url }, { type: "recovery" }] as const;
    node = await startNode({ transport, auth_mfa_modules: [...factors] });
    await setUpOwner(node.authority);
  });
  afterEach(() => {
    hook.status = 204;
    for (const socket of sockets.splice(0)) socket.close();
  });
  afterAll(async () => {
    await node?.stop();
    await hook?.stop();
  });

  it("complete a login on a socket, and each is good for its own login alone", async () => {
    await enrolled("ada");
    const one = await begin("ada");
    expect(one.first).toMatchObject({ result: { ...form, errors: {} } });
    const earlier = hook.latest("ada");
    expect(hook.sentTo("ada").at(-1)).toMatchObject({ target: "ada@example.org" });
    let two = await begin("ada");
    // One in a million has the same code.
    if (hook.latest("ada") === earlier) two = await begin("ada");
    const code = hook.latest("ada");
    expect(await two.step({ code: earlier })).toMatchObject(refused);
    const done = await two.step({ code: `${code.slice(0, 3)} ${code.slice(3)}` });
    expect(done).toMatchObject({ type: "create_entry", result: { access_token: expect.any(String) } });
    await two.socket.find(({ type }) => type === "auth_ok", "auth_ok");
    const { access_token } = done.result as { readonly access_token: string };
    expect(claimsOf(access_token)).toMatchObject({ acr: "aal2", amr: ["pwd", "otp", "mfa"] });
    // The login that came first still waits for its own.
    expect(await one.step({ code })).toMatchObject(refused);
    expect(await one.step({ code: earlier })).toMatchObject({ type: "create_entry" });
  });

  it("that are wrong cost an attempt each, and the third ends the login", async () => {
    await enrolled("bea");
    const login = await begin("bea");
    const code = hook.latest("bea");
    for (const _ of [1, 2]) expect(await login.step({ code: wrongCode(code) })).toMatchObject(refused);
    expect(await login.step({ code: wrongCode(code) })).toMatchObject({
      type: "abort",
      reason: "too_many_retry",
    });
    // The right one comes too late.
    expect(await login.send({ code })).toMatchObject({ error: { code: "invalid_flow" } });
    const again = await begin("bea");
    for (const _ of [1, 2])
      expect(await again.step({ code: wrongCode(hook.latest("bea")) })).toMatchObject(refused);
    expect(await again.step({ code: hook.latest("bea") })).toMatchObject({ type: "create_entry" });
  });

  it("complete a login over HTTP, and the token says so", async () => {
    await enrolled("cyd");
    await begin("cyd");
    const earlier = hook.latest("cyd");
    let login = await beginOverHttp("cyd");
    if (hook.latest("cyd") === earlier) login = await beginOverHttp("cyd");
    expect(login.first).toMatchObject({ status: 200, body: { ...form, handler, errors: {} } });
    const code = hook.latest("cyd");
    expect(await login.send({ code: earlier })).toMatchObject({ status: 200, body: refused });
    expect(await login.send({ code: wrongCode(code) })).toMatchObject({ status: 200, body: refused });
    const { body } = await login.send({ code });
    expect(body).toMatchObject({ type: "create_entry", result: expect.any(String) });
    const fields = { grant_type: "authorization_code", client_id, code: String(body.result) };
    const answer = await fetch(`${node.url}/auth/token`, {
      method: "POST",
      body: new URLSearchParams(fields),
    });
    const { access_token } = (await answer.json()) as { readonly access_token: string };
    expect(claimsOf(access_token)).toMatchObject({ acr: "aal2", amr: ["pwd", "otp", "mfa"] });
    const third = await beginOverHttp("cyd");
    for (const _ of [1, 2]) await third.send({ code: wrongCode(hook.latest("cyd")) });
    expect(await third.send({ code: wrongCode(hook.latest("cyd")) })).toMatchObject({
      status: 200,
      body: { type: "abort", reason: "too_many_retry" },
    });
  });

  it("are sent to a person five at once: a sixth login ends, and another set-up is told to wait", async () => {
    const socket = await enrolled("dan");
    for (let sent = 1; sent < 5; sent += 1)
      expect((await begin("dan")).first).toMatchObject({ result: form });
    const ended = { type: "abort", reason: "too_many_messages" };
    expect((await begin("dan")).first).toMatchObject({ result: ended });
    expect((await beginOverHttp("dan")).first).toMatchObject({ status: 200, body: ended });
    const { result } = await socket.call("auth/setup_mfa", { mfa_module_id: "notify" });
    const { flow_id } = result as Step;
    const target = { flow_id, user_input: { target: "dan@example.org" } };
    expect(await socket.call("auth/setup_mfa", target)).toMatchObject({
      error: { code: "rate_limited", retry_after: expect.any(Number) },
    });
    expect(hook.sentTo("dan")).toHaveLength(5);
    // The set-up is still at its form, and goes on once there may be more messages.
    await lift("dan");
    expect(await socket.call("auth/setup_mfa", target)).toMatchObject({ result: { step_id: "setup" } });
    expect((await begin("dan")).first).toMatchObject({ result: form });
    expect(hook.sentTo("dan")).toHaveLength(7);
  });

  it("that could not be sent let nobody in, and leave the login where it was", async () => {
    await enrolled("eve");
    hook.status = 500;
    const login = await begin("eve");
    const unavailable = { code: "unavailable", retry_after: expect.any(Number) };
    expect(login.first).toMatchObject({ success: false, error: unavailable });
    const http = await beginOverHttp("eve");
    expect(http.first).toMatchObject({ status: 503, body: { code: "unavailable" } });
    hook.status = 204;
    const password = { username: "eve", password: ownerPassword };
    expect(await login.step(password)).toMatchObject(form);
    expect(await login.step({ code: hook.latest("eve") })).toMatchObject({ type: "create_entry" });
    expect(await http.send(password)).toMatchObject({ status: 200, body: form });
    expect(await http.send({ code: hook.latest("eve") })).toMatchObject({ body: { type: "create_entry" } });
  });

  it("that could not be sent cost an attempt each, and count as sent", async () => {
    await enrolled("fay");
    hook.status = 500;
    const login = await begin("fay");
    const password = { username: "fay", password: ownerPassword };
    const failed = { error: { code: "unavailable" } };
    expect(login.first).toMatchObject(failed);
    for (const _ of [2, 3, 4]) expect(await login.send(password)).toMatchObject(failed);
    // With that of the set-up these were five.
    expect((await begin("fay")).first).toMatchObject({ result: { reason: "too_many_messages" } });
    await lift("fay");
    expect(await login.send(password)).toMatchObject(failed);
    hook.status = 204;
    expect(await login.step(password)).toMatchObject({ type: "abort", reason: "too_many_retry" });
    expect(hook.sentTo("fay")).toHaveLength(6);
    expect((await begin("fay")).first).toMatchObject({ result: form });
  });
});

describe.each(transportNames)(
  "a group that demands a factor, where several can be set up, on %s",
  (transport) => {
    let strict: string;
    beforeAll(async () => {
      hook = await startCodeWebhook();
      const factors = [
        { type: "totp" },
        { type: "notify", webhook: hook.url },
        { type: "recovery" },
      ] as const;
      node = await startNode({ transport, auth_mfa_modules: [...factors] });
      await setUpOwner(node.authority);
      strict = (await node.authority.groups.create({ name: "Strict", policy: {} })).group.id;
      await node.authority.secondFactors.demand(strict, true);
    });
    afterEach(() => {
      for (const socket of sockets.splice(0)) socket.close();
    });
    afterAll(async () => {
      await node?.stop();
      await hook?.stop();
    });

    const choice = {
      type: "form",
      step_id: "select_mfa_setup",
      data_schema: [
        {
          name: "multi_factor_auth_module",
          type: "select",
          options: [
            ["totp", "Authenticator app"],
            ["notify", "Code by message"],
          ],
        },
      ],
      errors: {},
      description_placeholders: null,
    };
    const choose = (id: string) => ({ multi_factor_auth_module: id });

    /** Keeps the recovery codes, and is logged in at level 2 with this factor. */
    async function isIn(login: Awaited<ReturnType<typeof begin>>, shown: Step, factor: string) {
      expect(shown).toMatchObject({ type: "form", step_id: "mfa_recovery" });
      expect(shown.description_placeholders?.codes?.split("\n")).toHaveLength(10);
      const done = await login.step({});
      expect(done).toMatchObject({ type: "create_entry" });
      await login.socket.find(({ type }) => type === "auth_ok", "auth_ok");
      const { access_token } = done.result as { readonly access_token: string };
      expect(claimsOf(access_token)).toMatchObject({ acr: "aal2", amr: ["pwd", "otp", "mfa"] });
      const { result } = await login.socket.call("auth/current_user");
      const { mfa_modules } = result as { readonly mfa_modules: readonly { id: string; enabled: boolean }[] };
      expect(mfa_modules.filter(({ enabled }) => enabled).map(({ id }) => id)).toEqual([factor, "recovery"]);
    }

    it("asks at the login which, and sets an authenticator app up", async () => {
      await person("ada", [strict]);
      const login = await begin("ada");
      expect(login.first).toMatchObject({ result: choice });
      const shown = await login.step(choose("totp"));
      expect(shown).toMatchObject({
        step_id: "mfa_setup",
        data_schema: [{ name: "code", type: "string", required: true }],
        description_placeholders: { mfa_module_id: "totp", qr_code: expect.stringContaining("<svg ") },
      });
      // Whoever chose another one is sent nothing.
      expect(hook.sentTo("ada")).toEqual([]);
      const { code: secret = "" } = shown.description_placeholders ?? {};
      await isIn(login, await login.step({ code: codeAt(secret, Date.now()) }), "totp");
      expect((await begin("ada")).first).toMatchObject({ result: { step_id: "select_mfa_module" } });
    });

    it("asks at the login which, then where to, and sets codes by message up", async () => {
      await person("bea", [strict]);
      const login = await begin("bea");
      expect(login.first).toMatchObject({ result: choice });
      const where = await login.step(choose("notify"));
      const setup = { type: "form", step_id: "mfa_setup" };
      const target = [{ name: "target", type: "string", required: true }];
      expect(where).toMatchObject({ ...setup, data_schema: target, errors: {} });
      expect(hook.sentTo("bea")).toEqual([]);
      expect(await login.step({ target: " " })).toMatchObject({
        ...setup,
        data_schema: target,
        errors: { target: "invalid_target" },
      });
      const { data_schema } = form;
      expect(await login.step({ target: "+1 555" })).toMatchObject({ ...setup, data_schema, errors: {} });
      expect(hook.sentTo("bea")).toEqual([expect.objectContaining({ target: "+1 555" })]);
      const code = hook.latest("bea");
      expect(await login.step({ code: wrongCode(code) })).toMatchObject({
        ...setup,
        data_schema,
        errors: { base: "invalid_code" },
      });
      await isIn(login, await login.step({ code }), "notify");
      // The next login asks for a code at the same place.
      const next = await begin("bea");
      expect(next.first).toMatchObject({ result: { step_id: "select_mfa_module" } });
      expect(await next.step(choose("notify"))).toMatchObject(form);
      expect(hook.sentTo("bea").at(-1)).toMatchObject({ target: "+1 555" });
      expect(await next.step({ code: hook.latest("bea") })).toMatchObject({ type: "create_entry" });
    });

    it("lets nobody in who chooses what cannot be set up, or nothing", async () => {
      await person("cyd", [strict]);
      const login = await begin("cyd");
      for (const input of [{}, choose("recovery"), choose("pin")])
        expect(await login.send(input)).toMatchObject({ error: { code: "invalid_format" } });
      expect(await login.step(choose("totp"))).toMatchObject({ step_id: "mfa_setup" });
    });

    it("stays where it asks where to, without a loss, while no more messages are sent", async () => {
      await person("dan", [strict]);
      const target = { target: "dan@example.org" };
      for (let sent = 0; sent < 5; sent += 1) {
        const login = await begin("dan");
        await login.step(choose("notify"));
        expect(await login.step(target)).toMatchObject({
          step_id: "mfa_setup",
          data_schema: form.data_schema,
        });
      }
      const login = await begin("dan");
      await login.step(choose("notify"));
      const limited = { error: { code: "rate_limited", retry_after: expect.any(Number) } };
      for (const _ of [1, 2, 3, 4]) expect(await login.send(target)).toMatchObject(limited);
      expect(hook.sentTo("dan")).toHaveLength(5);
      await lift("dan");
      expect(await login.step(target)).toMatchObject({ step_id: "mfa_setup", data_schema: form.data_schema });
      const shown = await login.step({ code: hook.latest("dan") });
      await isIn(login, shown, "notify");
    });
  },
);
