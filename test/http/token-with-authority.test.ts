import { createHash, randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { FlowAnswer } from "../../src/auth/login/login-flows.ts";
import type { RecordKey } from "../../src/auth/store.ts";
import { abroad, home, ownerLogin, startAuthority, type TestAuthority } from "../support/authority.ts";
import { type HttpUnderTest, httpUnderTest, post } from "./http-under-test.ts";

// The answers of Home Assistant's token endpoint with the real domain on a real store: what an Android app or the
// JavaScript client sees.
const clientId = "https://app.example/";
const redirectUri = "https://app.example/callback";
let node: TestAuthority;
let http: HttpUnderTest;
let rotating: HttpUnderTest;

beforeAll(async () => {
  node = await startAuthority();
  await node.owner();
  const options = { clock: node.clock };
  http = httpUnderTest(node.authority, options);
  rotating = httpUnderTest(node.authority, { ...options, rotates: (id) => id === clientId });
});
afterAll(() => node?.stop());

interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
}

async function codeFor(username: string, codeChallenge: string | null = null): Promise<string> {
  const { logins } = node.authority;
  const start = { purpose: "code", clientId, clientName: null, redirectUri, codeChallenge } as const;
  const begun = await logins.start({ ...start, handler: ["homeassistant", null] }, home);
  const input = { username, password: ownerLogin.password };
  const flow = { flowId: begun.step.flow_id, flowSecret: begun.flowSecret };
  const done: FlowAnswer = await logins.advance({ ...flow, input }, home);
  if (done.step.type !== "create_entry" || typeof done.step.result !== "string")
    throw new Error(`no code: ${JSON.stringify(done.step)}`);
  return done.step.result;
}

const ask = (fields: Record<string, string>, from: string = home.address, server = http) =>
  server.ask("/auth/token", { ...post(fields, Math.random() < 0.5 ? "urlencoded" : "multipart"), from });
const redeem = (
  code: string,
  more: Record<string, string> = {},
  from: string = home.address,
  server = http,
) => ask({ grant_type: "authorization_code", client_id: clientId, code, ...more }, from, server);
const refresh = (token: string, more: Record<string, string> = {}, from: string = home.address) =>
  ask({ grant_type: "refresh_token", client_id: clientId, refresh_token: token, ...more }, from);
const badCode = { status: 400, body: { error: "invalid_request", error_description: "Invalid code" } };

let people = 0;
async function newcomer() {
  people += 1;
  const username = `person${people}`;
  const { user } = await node.user(username);
  return { username, user };
}
async function loggedIn(server = http) {
  const person = await newcomer();
  const answer = await redeem(await codeFor(person.username), {}, home.address, server);
  expect(answer.status).toBe(200);
  return { ...person, tokens: answer.body as Tokens };
}
const isAccepted = async (token: string) =>
  (await node.authority.authentication.authenticate(token, home)).ok;

describe("an authorization code", () => {
  it("gives tokens that work, once", async () => {
    const { username } = await newcomer();
    const code = await codeFor(username);
    const answer = await redeem(code);
    expect(answer).toMatchObject({
      status: 200,
      body: { token_type: "Bearer", expires_in: 1800, ha_auth_provider: "homeassistant" },
    });
    const { access_token, refresh_token } = answer.body as Tokens;
    expect(await isAccepted(access_token)).toBe(true);
    expect(await refresh(refresh_token)).toMatchObject({ status: 200 });

    expect(await redeem(code)).toMatchObject(badCode);
    // RFC 6749 section 4.1.2: the second use ends what the first one gave.
    expect(await isAccepted(access_token)).toBe(false);
    expect(await refresh(refresh_token)).toMatchObject({ status: 400, body: { error: "invalid_grant" } });
  });

  it("is for its client only, and another client's attempt does not burn it", async () => {
    const { username } = await newcomer();
    const code = await codeFor(username);
    expect(await redeem(code, { client_id: "https://evil.example/" })).toMatchObject(badCode);
    expect(await redeem(code)).toMatchObject({ status: 200 });
  });

  it("of parallel redemptions at most one gets tokens, and then they are dead", async () => {
    const { username } = await newcomer();
    const code = await codeFor(username);
    const answers = await Promise.all(Array.from({ length: 20 }, () => redeem(code)));
    const good = answers.filter(({ status }) => status === 200).map(({ body }) => body as Tokens);
    expect(good).toHaveLength(1);
    for (const answer of answers) if (answer.status !== 200) expect(answer).toMatchObject(badCode);
    expect(await isAccepted(good[0]?.access_token ?? "")).toBe(false);
  });

  it("that was begun with PKCE needs its verifier", async () => {
    const { username } = await newcomer();
    const verifier = randomBytes(32).toString("base64url");
    const challenge = createHash("sha256").update(verifier).digest("base64url");
    const code = await codeFor(username, challenge);
    expect(await redeem(code)).toMatchObject(badCode);
    expect(await redeem(code, { code_verifier: randomBytes(32).toString("base64url") })).toMatchObject(
      badCode,
    );
    expect(await redeem(code, { code_verifier: challenge })).toMatchObject(badCode);
    expect(await redeem(code, { code_verifier: verifier })).toMatchObject({ status: 200 });
  });

  it("that was begun without PKCE takes no verifier", async () => {
    const { username } = await newcomer();
    const code_verifier = randomBytes(32).toString("base64url");
    expect(await redeem(await codeFor(username), { code_verifier })).toMatchObject(badCode);
  });

  it("ends after ten minutes", async () => {
    const { username } = await newcomer();
    const code = await codeFor(username);
    node.clock.advance(600_001);
    expect(await redeem(code)).toMatchObject(badCode);
  });

  it("of a user who was deactivated meanwhile is refused with the reason", async () => {
    const { username, user } = await newcomer();
    const code = await codeFor(username);
    await node.authority.users.update(user.id, { isActive: false });
    expect(await redeem(code)).toMatchObject({
      status: 403,
      body: { error: "access_denied", error_description: "User is not active" },
    });
  });

  it("of a user who was removed meanwhile is no code any more", async () => {
    const { username, user } = await newcomer();
    const code = await codeFor(username);
    await node.authority.users.remove(user.id);
    expect(await redeem(code)).toMatchObject(badCode);
  });

  it("from before a password change opens no session", async () => {
    const { username, user } = await newcomer();
    const code = await codeFor(username);
    await node.authority.localLogins.setPassword(user.id, "another good password");
    expect(await redeem(code)).toMatchObject(badCode);
  });

  it("from before the login was removed opens no session", async () => {
    const { username } = await newcomer();
    const code = await codeFor(username);
    await node.authority.localLogins.remove(username);
    expect(await redeem(code)).toMatchObject(badCode);
  });

  it("of a local user is refused from afar", async () => {
    const { username, user } = await newcomer();
    const code = await codeFor(username);
    await node.authority.users.update(user.id, { localOnly: true });
    expect(await redeem(code, {}, abroad.address)).toMatchObject({
      status: 403,
      body: { error: "access_denied", error_description: "User cannot authenticate remotely" },
    });
    expect(await redeem(code)).toMatchObject({ status: 200 });
  });
});

describe("a refresh token", () => {
  it("stays the same for Home Assistant's clients, also under parallel refreshes", async () => {
    const { tokens } = await loggedIn();
    const answers = await Promise.all(Array.from({ length: 5 }, () => refresh(tokens.refresh_token)));
    for (const answer of answers) {
      expect(answer.status).toBe(200);
      expect(Object.keys(answer.body as object).sort()).toEqual(["access_token", "expires_in", "token_type"]);
    }
  });

  it("is another client's for anybody else, without a description", async () => {
    const { tokens } = await loggedIn();
    const foreign = await refresh(tokens.refresh_token, { client_id: "https://evil.example/" });
    expect(foreign.body).toEqual({ error: "invalid_request" });
    expect(foreign.status).toBe(400);
    const fields = { grant_type: "refresh_token", refresh_token: tokens.refresh_token };
    expect((await ask(fields)).body).toEqual({ error: "invalid_request" });
    expect(await refresh(tokens.refresh_token)).toMatchObject({ status: 200 });
  });

  it.each(["x", "v1.garbage", "eyJhbGciOiJub25lIn0.e30.", "a".repeat(5000), "ä"])(
    "%j is unknown",
    async (token) => {
      expect((await refresh(token)).body).toEqual({ error: "invalid_grant" });
    },
  );

  it("is not an access token, and the other way round", async () => {
    const { tokens } = await loggedIn();
    expect((await refresh(tokens.access_token)).body).toEqual({ error: "invalid_grant" });
    const headers = { authorization: `Bearer ${tokens.refresh_token}` };
    expect((await http.ask("/api/", { headers })).status).toBe(401);
  });

  it("rotates where the client asked for it, and its reuse ends the session", async () => {
    const { tokens } = await loggedIn(rotating);
    let { refresh_token: newest } = tokens;
    const older: string[] = [];
    for (let turn = 0; turn < 3; turn += 1) {
      older.push(newest);
      node.clock.advance(120_000);
      const { body, status } = await refresh(newest);
      expect(status).toBe(200);
      newest = (body as Tokens).refresh_token;
    }
    node.clock.advance(120_000);
    expect((await refresh(older[0] ?? "")).body).toEqual({ error: "invalid_grant" });
    expect((await refresh(newest)).body).toEqual({ error: "invalid_grant" });
  });

  it("of a deactivated user is gone", async () => {
    const { tokens, user } = await loggedIn();
    await node.authority.users.update(user.id, { isActive: false });
    const answer = await refresh(tokens.refresh_token);
    expect([400, 403]).toContain(answer.status);
    expect(await isAccepted(tokens.access_token)).toBe(false);
  });
});

describe("a revocation over HTTP", () => {
  it.each([
    ["/auth/revoke", {}],
    ["/auth/token", { action: "revoke" }],
  ])("%s ends the session and everything under it", async (path, more) => {
    const { tokens } = await loggedIn();
    const answer = await http.ask(path, post({ token: tokens.refresh_token, ...more }, "multipart"));
    expect(answer).toMatchObject({ status: 200, text: "" });
    expect(await isAccepted(tokens.access_token)).toBe(false);
    expect((await refresh(tokens.refresh_token)).body).toEqual({ error: "invalid_grant" });
  });

  it("takes no access token", async () => {
    const { tokens } = await loggedIn();
    expect((await http.ask("/auth/revoke", post({ token: tokens.access_token }, "urlencoded"))).status).toBe(
      200,
    );
    expect(await isAccepted(tokens.access_token)).toBe(true);
  });
});

it("onboarding's code is redeemed like any other", async () => {
  const fresh = await startAuthority();
  try {
    const server = httpUnderTest(fresh.authority, { clock: fresh.clock });
    const body = {
      setup_code: await fresh.authority.onboarding.setupCode(),
      ...ownerLogin,
      client_id: clientId,
    };
    const send = (owner: object) =>
      server.ask("/api/onboarding/users", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(owner),
      });
    expect(await server.ask("/auth/providers")).toMatchObject({
      status: 400,
      body: { code: "onboarding_required" },
    });
    expect(await send({ ...body, setup_code: "wrong" })).toMatchObject({
      status: 403,
      body: { code: "invalid_setup_code" },
    });
    expect(await send({ ...body, password: "short" })).toMatchObject({
      status: 400,
      body: { code: "invalid_password" },
    });
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, at) => send({ ...body, username: `owner${at}` })),
    );
    const made = answers
      .filter(({ status }) => status === 200)
      .map(({ body }) => body as { auth_code: string });
    expect(made).toHaveLength(1);
    for (const answer of answers)
      if (answer.status !== 200)
        expect(answer).toMatchObject({ status: 403, body: { code: "onboarding_done" } });
    const code = made[0]?.auth_code ?? "";
    expect(await redeem(code, {}, home.address, server)).toMatchObject({ status: 200 });
    expect(await server.ask("/auth/providers")).toMatchObject({
      status: 200,
      body: { providers: [{ type: "homeassistant", id: null }] },
    });
  } finally {
    await fresh.stop();
  }
});

it("no code and no refresh token is stored as it is", async () => {
  const { tokens, username } = await loggedIn();
  const code = await codeFor(username);
  const dump: string[] = [];
  const sessions = await node.authority.sessions.list((await node.authority.users.list()).at(-1)?.id ?? "");
  for (const { id } of sessions)
    dump.push(JSON.stringify(await node.store.get([`session:${id}` as RecordKey])));
  expect(dump.join()).not.toContain(tokens.refresh_token);
  expect(dump.join()).not.toContain(code);
});
