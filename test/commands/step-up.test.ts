import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Principal, User } from "../../src/auth/model.ts";
import { codeAt, setUpTotp } from "../auth/factors/factor-people.ts";
import { ownerLogin } from "../support/authority.ts";
import { eventually } from "../support/eventually.ts";
import type { Message, SocketClient } from "../support/socket-client.ts";
import { type Entered, type SocketGateway, startSocketGateway } from "../support/socket-gateway.ts";
import { within } from "../support/within.ts";

const windowMs = 600_000;
const handler = ["homeassistant", null];
const { password } = ownerLogin;
/** A command that needs a recent login, and leaves a trace each time that it runs. */
const mint = (client_name: string) => ({ type: "auth/long_lived_access_token", lifespan: 1, client_name });

let gateway: SocketGateway;
let paula: User;
/** Whether the node knows what was revoked. */
const trust = { isGiven: true };
beforeAll(async () => {
  gateway = await startSocketGateway({
    authority: { recentLoginMs: windowMs },
    view: (real) => ({
      judge: (principal) => real.judge(principal),
      decidedRights: (userId) => real.decidedRights(userId),
      ownerChange: () => real.ownerChange(),
      get trusted() {
        return trust.isGiven && real.trusted;
      },
      get followGeneration() {
        return trust.isGiven ? real.followGeneration : undefined;
      },
      get invalidationCount() {
        return real.invalidationCount;
      },
    }),
  });
  paula = await gateway.owner();
  await gateway.user("bob");
});
afterAll(() => gateway?.stop());

/** A socket of a session whose login is old. Its client can step up. */
async function stale(user: User = paula, features: object = { step_up: 1 }): Promise<Entered> {
  const entered = await gateway.enter(user);
  await entered.client.call("supported_features", { features });
  gateway.clock.advance(windowMs + 1000);
  return entered;
}

/** Sends a command without waiting for its result; ids above those of `call`. */
let lastId = 1_000;
function ask(client: SocketClient, message: object): number {
  lastId += 1;
  client.send({ id: lastId, ...message });
  return lastId;
}
async function answerTo(client: SocketClient, id: number): Promise<Message> {
  return await client.find((message) => message.id === id && message.type !== "event", `the answer to ${id}`);
}
async function asking(client: SocketClient, message: object) {
  const id = ask(client, message);
  const required = await answerTo(client, id);
  expect(required).toMatchObject({ type: "step_up_required" });
  return { id, flowId: String(required.flow_id), required };
}
const codeOf = ({ success, error }: Message) =>
  success === true ? "done" : (error as { code: string } | undefined)?.code;
const send = async (client: SocketClient, type: string, fields: object) =>
  await answerTo(client, ask(client, { type, ...fields }));
const begin = (client: SocketClient, flow_id: string) =>
  send(client, "auth/step_up/start", { flow_id, handler });
const step = (client: SocketClient, flow_id: string, user_input: object) =>
  send(client, "auth/step_up/step", { flow_id, user_input });
const tokensOf = async (user: User) =>
  (await gateway.authority.sessions.list(user.id))
    .filter(({ type }) => type === "long_lived_access_token")
    .map(({ clientName }) => clientName);
const sessionOf = ({ sessionId }: Entered) => gateway.authority.sessions.get(sessionId);

describe("a command that needs a step-up", () => {
  it("runs once the person has logged in again on the same socket, without being sent again", async () => {
    const entered = await stale();
    const { client } = entered;
    const { id, flowId, required } = await asking(client, mint("one"));
    expect(required).toEqual({
      id,
      type: "step_up_required",
      acr: "aal1",
      max_age: windowMs / 1000,
      flow_id: flowId,
      providers: [{ name: expect.any(String), type: "homeassistant", id: null }],
      expires_in: 300,
    });
    expect(await begin(client, flowId)).toMatchObject({ result: { type: "form", flow_id: flowId } });
    const done = await step(client, flowId, { username: "olivia", password });
    const { token } = done.result as { token: { access_token: string } };
    expect(done.result).toMatchObject({ type: "create_entry", flow_id: flowId, result: entered.sessionId });
    expect(await answerTo(client, id)).toMatchObject({ type: "result", success: true });
    expect(await tokensOf(paula)).toContain("one");
    const raised = await gateway.principal(token.access_token);
    expect(raised).toMatchObject({
      sessionId: entered.sessionId,
      scope: null,
      authenticatedAt: gateway.clock.now(),
    });
    // The window counts from the step-up on.
    expect(codeOf(await send(client, "auth/long_lived_access_token", mint("two")))).toBe("done");
    client.close();
  });

  it("gets an ordinary error where the client cannot step up, and nothing waits", async () => {
    const { client } = await stale(paula, {});
    expect(codeOf(await send(client, "auth/long_lived_access_token", mint("never")))).toBe(
      "recent_login_required",
    );
    const flow_id = "0".repeat(32);
    expect(codeOf(await begin(client, flow_id))).toBe("invalid_flow");
    client.close();
  });

  it("is refused on a long-lived token, whatever its client can do", async () => {
    const request = { userId: paula.id, clientName: "script", clientIcon: null, days: 1 };
    const { accessToken } = await gateway.authority.sessions.openLongLived(request);
    const client = await gateway.connect();
    await client.authenticate(accessToken);
    await client.call("supported_features", { features: { step_up: 1 } });
    expect(codeOf(await send(client, "auth/long_lived_access_token", mint("more")))).toBe(
      "recent_login_required",
    );
    // What an administrator lets a service do needs nobody who could log in.
    const group = { name: "made by a service", policy: {} };
    expect(codeOf(await send(client, "gatehouse/groups/create", group))).toBe("done");
    client.close();
  });

  it("is judged again from its beginning: whoever was demoted meanwhile has no right any more", async () => {
    const { user: ada } = await gateway.user("ada");
    await gateway.authority.users.update(ada.id, { groupIds: ["system-admin"] });
    const { client } = await stale(ada);
    const { id, flowId } = await asking(client, {
      type: "gatehouse/groups/create",
      name: "mine",
      policy: {},
    });
    await begin(client, flowId);
    await gateway.authority.users.update(ada.id, { groupIds: ["system-users"] });
    expect(await step(client, flowId, { username: "ada", password })).toMatchObject({
      result: { type: "create_entry" },
    });
    expect(codeOf(await answerTo(client, id))).toBe("unauthorized");
    expect((await gateway.authority.groups.list()).map(({ name }) => name)).not.toContain("mine");
    client.close();
  });

  it("is refused if the person cancels, and the flow is over", async () => {
    const { client } = await stale();
    const { id, flowId } = await asking(client, mint("cancelled"));
    await begin(client, flowId);
    const cancel = ask(client, { type: "auth/step_up/cancel", flow_id: flowId });
    // The command is answered first.
    expect(codeOf(await answerTo(client, id))).toBe("step_up_failed");
    expect(codeOf(await answerTo(client, cancel))).toBe("done");
    expect(codeOf(await step(client, flowId, { username: "olivia", password }))).toBe("invalid_flow");
    expect(await tokensOf(paula)).not.toContain("cancelled");
    client.close();
  });

  it("is refused after its time", async () => {
    const { client } = await stale();
    const { id, flowId } = await asking(client, mint("late"));
    gateway.wind(301_000);
    expect(codeOf(await answerTo(client, id))).toBe("step_up_failed");
    expect(codeOf(await begin(client, flowId))).toBe("invalid_flow");
    client.close();
  });

  it("is refused if the flow ends without a login", async () => {
    const { client } = await stale();
    const { id, flowId } = await asking(client, mint("guessed"));
    await begin(client, flowId);
    let last: Message = {};
    for (let guess = 0; guess < 5; guess += 1)
      last = await step(client, flowId, { username: "olivia", password: "wrong" });
    expect(last).toMatchObject({ result: { type: "abort", reason: "too_many_retry", flow_id: flowId } });
    expect(codeOf(await answerTo(client, id))).toBe("step_up_failed");
    client.close();
  });

  it("waits with few others for the same login, and they run in their order", async () => {
    const { client } = await stale();
    const all = [];
    for (const name of ["a", "b", "c", "d"]) all.push(await asking(client, mint(name)));
    expect(new Set(all.map(({ flowId }) => flowId)).size).toBe(1);
    const more = ask(client, mint("e"));
    expect(codeOf(await answerTo(client, more))).toBe("overloaded");
    const flowId = all[0]?.flowId ?? "";
    await begin(client, flowId);
    await step(client, flowId, { username: "olivia", password });
    for (const { id } of all) expect(codeOf(await answerTo(client, id))).toBe("done");
    expect(await tokensOf(paula)).toEqual(expect.arrayContaining(["a", "b", "c", "d"]));
    client.close();
  });

  it("counts with its bytes", async () => {
    const { client } = await stale();
    const ids = Object.fromEntries(
      Array.from({ length: 120 }, (_, place) => [`light.${"x".repeat(80)}_${place}`, true]),
    );
    const group = (name: string) => ({
      type: "gatehouse/groups/create",
      name,
      policy: { entities: { entity_ids: ids } },
    });
    for (const name of ["one", "two"]) await asking(client, group(name));
    expect(codeOf(await answerTo(client, ask(client, group("three"))))).toBe("overloaded");
    expect((await asking(client, mint("small"))).required).toMatchObject({ type: "step_up_required" });
    client.close();
  });

  it("is refused if the server suspends the socket, and can be sent again after it", async () => {
    const { client } = await stale(paula, { step_up: 1, auth_suspended: 1 });
    const { id, flowId } = await asking(client, mint("suspended"));
    await begin(client, flowId);
    trust.isGiven = false;
    gateway.wind(200);
    await client.find(({ type }) => type === "auth_suspended", "the suspension");
    trust.isGiven = true;
    gateway.wind(200);
    await client.find(({ type }) => type === "auth_resumed", "the end of it");
    expect(codeOf(await answerTo(client, id))).toBe("step_up_failed");
    expect(codeOf(await step(client, flowId, { username: "olivia", password }))).toBe("invalid_flow");
    expect((await asking(client, mint("suspended"))).flowId).not.toBe(flowId);
    expect(await tokensOf(paula)).not.toContain("suspended");
    client.close();
  });

  it("asks for more than the open login gives once that is done, and only as much as is configured", async () => {
    const strict = await startSocketGateway({
      authority: { recentLoginMs: windowMs, stepUp: { group_policy: "second_factor", approvals: "off" } },
    });
    try {
      const owner = await strict.owner();
      const { client } = await strict.enter(owner);
      await client.call("supported_features", { features: { step_up: 1 } });
      const create = { type: "gatehouse/groups/create", name: "strict", policy: {} };
      // The login is recent, but of one factor, and the owner has no second one to prove.
      const { flowId, id, required } = await asking(client, create);
      expect(required).toMatchObject({ acr: "aal2" });
      await begin(client, flowId);
      const answer = await step(client, flowId, { username: "olivia", password });
      expect(answer).toMatchObject({ result: { type: "abort", reason: "second_factor_required" } });
      const refused = { code: "step_up_failed", message: "This needs a second factor. Set one up first" };
      expect(await answerTo(client, id)).toMatchObject({ error: refused });
      // Of a client that cannot step up.
      const { client: older } = await strict.enter(owner);
      const message = "Log in again, with a second factor, to do this";
      expect(await answerTo(older, ask(older, create))).toMatchObject({ error: { message } });
      strict.clock.advance(windowMs + 1000);
      const approve = { type: "gatehouse/approvals/approve", user_id: "0".repeat(32) };
      expect(codeOf(await answerTo(client, ask(client, approve)))).toBe("not_found");
      const weak = await asking(client, mint("weak"));
      await begin(client, weak.flowId);
      const strong = await asking(client, create);
      expect(strong.flowId).toBe(weak.flowId);
      await step(client, weak.flowId, { username: "olivia", password });
      const isAgain = ({ id, type, flow_id }: Message) =>
        id === strong.id && type === "step_up_required" && flow_id !== weak.flowId;
      const came = () => client.received as readonly Message[];
      await eventually(
        "both",
        () => came().some(isAgain) && came().some(({ id, success }) => id === weak.id && success === true),
      );
      client.close();
    } finally {
      await strict.stop();
    }
  });
});

describe("a proof in a step-up", () => {
  it("of another user is refused like a wrong password, ends nothing and says nothing", async () => {
    const { client, sessionId } = await stale();
    const bobs = (await gateway.authority.users.list()).find(({ name }) => name === "bob");
    const before = await gateway.authority.sessions.get(sessionId);
    const { id, flowId } = await asking(client, mint("by bob"));
    await begin(client, flowId);
    const wrong = await step(client, flowId, { username: "olivia", password: "wrong" });
    const other = await step(client, flowId, { username: "bob", password });
    expect({ ...other, id: 0 }).toEqual({ ...wrong, id: 0 });
    expect(await gateway.authority.sessions.get(sessionId)).toEqual(before);
    expect(await tokensOf(paula)).not.toContain("by bob");
    expect(bobs && (await tokensOf(bobs))).toEqual([]);
    expect(await step(client, flowId, { username: "olivia", password })).toMatchObject({
      result: { type: "create_entry" },
    });
    expect(codeOf(await answerTo(client, id))).toBe("done");
    client.close();
  });

  it("belongs to its socket: another one of the same session cannot go on with it", async () => {
    const { client, accessToken } = await stale();
    const { flowId } = await asking(client, mint("elsewhere"));
    await begin(client, flowId);
    const thief = await gateway.connect();
    await thief.authenticate(accessToken);
    await thief.call("supported_features", { features: { step_up: 1 } });
    expect(codeOf(await step(thief, flowId, { username: "olivia", password }))).toBe("invalid_flow");
    expect(codeOf(await begin(thief, flowId))).toBe("invalid_flow");
    for (const socket of [client, thief]) socket.close();
  });

  it("raises the session, so its other sockets and other nodes know, and no other session", async () => {
    const entered = await stale();
    const { client, accessToken } = entered;
    const [other, unrelated] = [await gateway.connect(), await stale()];
    await other.authenticate(accessToken);
    const { flowId } = await asking(client, mint("raised"));
    await begin(client, flowId);
    await step(client, flowId, { username: "olivia", password });
    expect(codeOf(await send(other, "auth/long_lived_access_token", mint("by the other socket")))).toBe(
      "done",
    );
    const node = await gateway.another();
    const principal = await node.principal(accessToken);
    await expect(node.authority.stepUps.require("owner_transfer", principal)).resolves.toBeUndefined();
    expect((await asking(unrelated.client, mint("unrelated"))).required).toMatchObject({ acr: "aal1" });
    for (const socket of [client, other, unrelated.client]) socket.close();
  });

  it("gives nothing else: the new token differs from the one before in its times alone", async () => {
    const opened = await gateway.open(paula.id, {
      scope: "api",
      authenticatedAt: gateway.clock.now() - windowMs - 1000,
    });
    const client = await gateway.connect();
    await client.authenticate(opened.accessToken);
    await client.call("supported_features", { features: { step_up: 1 } });
    const { id, flowId } = await asking(client, mint("scoped"));
    await begin(client, flowId);
    const done = await step(client, flowId, { username: "olivia", password });
    const { token } = done.result as { token: { access_token: string } };
    expect(codeOf(await answerTo(client, id))).toBe("done");
    const before = await gateway.principal(opened.accessToken);
    const after = await gateway.principal(token.access_token);
    const { authenticatedAt, tokenIssuedAt, tokenExpiresAt } = after;
    // A token has whole seconds.
    expect(gateway.clock.now() - authenticatedAt).toBeLessThan(1000);
    expect(after).toEqual({ ...before, authenticatedAt, tokenIssuedAt, tokenExpiresAt });
    expect(after.scope).toBe("api");
    client.close();
  });

  it("is charged to account and address like that of a login", async () => {
    const { user: carl } = await gateway.user("carl");
    const { client } = await stale(carl);
    let refused: Message | undefined;
    for (let flow = 0; flow < 10 && refused === undefined; flow += 1) {
      const { id, flowId } = await asking(client, mint("guess"));
      await begin(client, flowId);
      for (let guess = 0; guess < 5 && refused === undefined; guess += 1) {
        const answer = await step(client, flowId, { username: "carl", password: `wrong ${guess}` });
        if (codeOf(answer) === "rate_limited") refused = answer;
      }
      if (refused === undefined) expect(codeOf(await answerTo(client, id))).toBe("step_up_failed");
    }
    expect(refused).toMatchObject({ error: { code: "rate_limited", retry_after: expect.any(Number) } });
    const login = await gateway.connect();
    const started = await login.call("auth/login/start", { handler });
    const { flow_id } = started.result as { flow_id: string };
    const input = { flow_id, user_input: { username: "carl", password } };
    expect(codeOf(await login.call("auth/login/step", input))).toBe("rate_limited");
    for (const socket of [client, login]) socket.close();
  });

  it("ends nowhere if policy rises meanwhile: the session is over, and nothing was carried out", async () => {
    const { user: eve } = await gateway.user("eve");
    const { group } = await gateway.authority.groups.create({ name: "strict", policy: {} });
    const { client } = await stale(eve);
    const { flowId } = await asking(client, mint("too late"));
    await begin(client, flowId);
    await gateway.authority.secondFactors.demand(group.id, true);
    await gateway.authority.groups.addMember({ groupId: group.id, userId: eve.id });
    client.send({
      id: 9_999_999,
      type: "auth/step_up/step",
      flow_id: flowId,
      user_input: { username: "eve", password },
    });
    expect((await within(client.closed, "the close")).code).toBe(4301);
    expect(await tokensOf(eve)).toEqual([]);
  });

  it("needs the second factor of a user who has one", async () => {
    const { user: dora } = await gateway.user("dora");
    const opened = await gateway.open(dora.id);
    const principal: Principal = await gateway.principal(opened.accessToken);
    const secret = await setUpTotp(gateway, principal);
    const client = await gateway.connect();
    await client.authenticate(opened.accessToken);
    await client.call("supported_features", { features: { step_up: 1 } });
    gateway.clock.advance(windowMs + 1000);
    const { id, flowId } = await asking(client, mint("with a code"));
    await begin(client, flowId);
    const form = await step(client, flowId, { username: "dora", password });
    expect(form).toMatchObject({ result: { type: "form", step_id: "mfa" } });
    expect(await tokensOf(dora)).toEqual([]);
    const code = codeAt(secret, gateway.clock.now());
    expect(await step(client, flowId, { code: "000000" })).toMatchObject({
      result: { errors: { base: "invalid_code" } },
    });
    await step(client, flowId, { code });
    expect(codeOf(await answerTo(client, id))).toBe("done");
    expect(await gateway.authority.sessions.get(opened.session.id)).toMatchObject({
      assurance: 2,
      amr: expect.arrayContaining(["pwd", "otp", "mfa"]),
    });
    client.close();
  });
});

describe("the socket of a step-up", () => {
  it("takes its waiting commands and its flow with it", async () => {
    const entered = await stale();
    const { flowId } = await asking(entered.client, mint("gone"));
    await begin(entered.client, flowId);
    entered.client.close();
    await entered.client.closed;
    const again = await gateway.connect();
    await again.authenticate(entered.accessToken);
    await again.call("supported_features", { features: { step_up: 1 } });
    expect(codeOf(await step(again, flowId, { username: "olivia", password }))).toBe("invalid_flow");
    expect(await tokensOf(paula)).not.toContain("gone");
    expect(await sessionOf(entered)).toBeDefined();
    again.close();
  });

  it("stays that of its user: an auth message changes nothing", async () => {
    const { client } = await stale();
    const bob = (await gateway.authority.users.list()).find(({ name }) => name === "bob");
    const { accessToken } = await gateway.open(bob?.id ?? "");
    const { id, flowId } = await asking(client, mint("still paula's"));
    client.send({ type: "auth", access_token: accessToken });
    await client.find(
      ({ error }) => (error as Message | undefined)?.code === "invalid_format",
      "the refusal",
    );
    await begin(client, flowId);
    await step(client, flowId, { username: "olivia", password });
    expect(codeOf(await answerTo(client, id))).toBe("done");
    expect(bob && (await tokensOf(bob))).toEqual([]);
    client.close();
  });
});
