import { type JWTPayload, UnsecuredJWT } from "jose";
import { afterAll, afterEach, describe, expect, it } from "vitest";

import { BrowserWay } from "../support/browser-way.ts";
import { answering, huge } from "../support/hostile-openid-provider.ts";
import { type OidcRig, startOidcRig, type Waiting } from "../support/oidc-rig.ts";
import { registerApp, sendForm } from "../support/registered-app.ts";
import { within } from "../support/within.ts";

let rig: OidcRig;
let shared: OidcRig | undefined;
afterEach(async () => {
  if (rig !== shared) await rig.stop();
});
afterAll(() => shared?.stop());

/** For tests that leave nothing behind: one gateway for all of them. */
async function sharedRig(): Promise<OidcRig> {
  shared ??= await startOidcRig();
  shared.reset();
  return shared;
}

/** Logs a socket in whose session remembers this `sid`. */
async function loggedIn(sid: string | undefined, sub = "rita"): Promise<Waiting> {
  rig.provider.claims = (right) => ({ ...right, sub, ...(sid === undefined ? {} : { sid }) });
  const waiting = await rig.begin();
  const browser = new BrowserWay();
  const page = await browser.comeBack(await browser.begin(waiting.url), rig.provider);
  await browser.answer(rig.url, page, "yes");
  await rig.authenticated(waiting);
  return waiting;
}

/** Undefined: without the claim. */
type Claims = Readonly<Record<string, unknown>>;

let lastJti = 0;
function logoutClaims(more: Claims): JWTPayload {
  const now = Math.floor(Date.now() / 1000);
  lastJti += 1;
  return {
    iss: rig.provider.issuer,
    aud: rig.provider.clientId,
    iat: now,
    exp: now + 120,
    jti: `jti-${lastJti}`,
    events: { "http://schemas.openid.net/event/backchannel-logout": {} },
    ...more,
  } as JWTPayload;
}

const logoutToken = (more: Claims, typ = "logout+jwt") => rig.provider.signed(logoutClaims(more), { typ });

async function send(token: string | undefined, id = "p1") {
  const body = new URLSearchParams(token === undefined ? {} : { logout_token: token });
  const response = await fetch(`${rig.url}/auth/oidc/backchannel-logout/${id}`, { method: "POST", body });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

const isOpen = async ({ socket }: Waiting) => (await socket.call("ping")).type === "pong";
const end = ({ socket }: Waiting) => within(socket.closed, "the socket's end");

describe("back-channel logout", () => {
  it("ends the sessions of the sid, and no other", async () => {
    rig = await startOidcRig();
    const [first, second, other] = [await loggedIn("s1"), await loggedIn("s2"), await loggedIn("s1", "paul")];
    const answer = await send(await logoutToken({ sub: "rita", sid: "s1" }));
    expect([answer.status, answer.text]).toEqual([200, ""]);
    expect(answer.headers.get("cache-control")).toContain("no-store");
    expect((await end(first)).code).toBe(4301);
    expect([await isOpen(second), await isOpen(other)]).toEqual([true, true]);
    expect(rig.audited("provider_logout")).toMatchObject([
      { outcome: "allowed", sessions: 1, user_id: expect.any(String) },
    ]);
  });

  it("ends all sessions of the sub, and those of a sid alone", async () => {
    rig = await startOidcRig();
    const [first, second, third] = [
      await loggedIn("s1"),
      await loggedIn(undefined),
      await loggedIn("s3", "paul"),
    ];
    expect((await send(await logoutToken({ sub: "rita" }))).status).toBe(200);
    expect([(await end(first)).code, (await end(second)).code]).toEqual([4301, 4301]);
    expect(await isOpen(third)).toBe(true);
    expect((await send(await logoutToken({ sid: "s3" }, "JWT"))).status).toBe(200);
    expect((await end(third)).code).toBe(4301);
    expect((await send(await logoutToken({ sid: "unknown" }))).status).toBe(200);
    expect((await send(await logoutToken({ sub: "nobody" }))).status).toBe(200);
  });

  it.each<[string, string, (who: Claims) => Promise<string> | string]>([
    ["a broken signature", "signature", async (who) => `${(await logoutToken(who)).slice(0, -4)}AAAA`],
    ["alg none", "not allowed", (who) => new UnsecuredJWT(logoutClaims(who)).encode()],
    ["another issuer", '"iss"', (who) => logoutToken({ ...who, iss: "https://other.test" })],
    ["another client", '"aud"', (who) => logoutToken({ ...who, aud: "somebody" })],
    ["no iat", '"iat"', (who) => logoutToken({ ...who, iat: undefined })],
    [
      "an iat of yesterday",
      "too old",
      (who) => logoutToken({ ...who, iat: Math.floor(Date.now() / 1000) - 86_400 }),
    ],
    [
      "an iat of tomorrow",
      "future",
      (who) =>
        logoutToken({
          ...who,
          iat: Math.floor(Date.now() / 1000) + 86_400,
          exp: Math.floor(Date.now() / 1000) + 90_000,
        }),
    ],
    [
      "an exp that is past",
      '"exp"',
      (who) => logoutToken({ ...who, exp: Math.floor(Date.now() / 1000) - 3600 }),
    ],
    ["a nonce", "nonce", (who) => logoutToken({ ...who, nonce: "n" })],
    ["no event", "no logout event", (who) => logoutToken({ ...who, events: {} })],
    ["events that are none", "no logout event", (who) => logoutToken({ ...who, events: "x" })],
    ["no jti", '"jti"', (who) => logoutToken({ ...who, jti: undefined })],
    ["neither sub nor sid", "neither", () => logoutToken({})],
    ["another type", "type", (who) => logoutToken(who, "at+jwt")],
    ["10 KB more than a token has", "too long", (who) => logoutToken({ ...who, x: "x".repeat(20_000) })],
    ["no token in it", "", () => "not a token"],
  ])("refuses a token with %s", async (_name, detail, make) => {
    rig = await sharedRig();
    const waiting = await loggedIn("s1");
    const answer = await send(await make({ sub: "rita", sid: "s1" }));
    expect([answer.status, JSON.parse(answer.text)]).toMatchObject([400, { error: "invalid_request" }]);
    expect(rig.audited("provider_logout")).toMatchObject([
      { outcome: "denied", reason: "invalid_logout_token", detail: expect.stringContaining(detail) },
    ]);
    expect(await isOpen(waiting)).toBe(true);
  });

  it("refuses an ID token, a token that was used before, one for another provider, and none", async () => {
    rig = await startOidcRig();
    const waiting = await loggedIn("s1");
    const { issuer, clientId, signed, nonce } = rig.provider;
    const now = Math.floor(Date.now() / 1000);
    const idToken = await signed({
      iss: issuer,
      aud: clientId,
      sub: "rita",
      iat: now,
      exp: now + 60,
      nonce,
      jti: "i",
    });
    const used = await logoutToken({ sub: "somebody else" });
    const statuses = [
      (await send(idToken)).status,
      (await send(used)).status,
      (await send(used)).status,
      (await send(await logoutToken({ sub: "rita" }), "p2")).status,
      (await send(undefined)).status,
    ];
    expect(statuses).toEqual([400, 200, 400, 400, 400]);
    expect(await isOpen(waiting)).toBe(true);
  });

  it("asks the provider to send it again while its keys cannot be read, without asking for them each time", async () => {
    rig = await startOidcRig();
    const token = await logoutToken({ sub: "rita" });
    await rig.begin();
    for (const answer of [huge, answering("no JSON"), answering({}, 500)])
      rig.provider.answers.set("/jwks", answer);
    const answers = await Promise.all(Array.from({ length: 20 }, () => send(token)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]));
    expect(answers[0]?.headers.get("retry-after")).toBeTruthy();
    await send(token);
    expect(rig.provider.asked.filter((path) => path === "/jwks").length).toBeLessThanOrEqual(2);
  });
});

describe("a logout while a login is under way", () => {
  it("leaves nothing to a person who has not confirmed yet", async () => {
    rig = await startOidcRig();
    rig.provider.claims = (right) => ({ ...right, sid: "s1" });
    const waiting = await rig.begin();
    const browser = new BrowserWay();
    const page = await browser.comeBack(await browser.begin(waiting.url), rig.provider);
    expect((await send(await logoutToken({ sid: "s1", sub: "rita" }))).status).toBe(200);
    await browser.answer(rig.url, page, "yes");
    expect(await rig.pushed(waiting)).toMatchObject({ event: { type: "abort" } });
  });

  it("leaves nothing to tokens that were asked for before it, and everything to a later login", async () => {
    rig = await startOidcRig();
    const waiting = await rig.begin();
    const browser = new BrowserWay();
    const sign = rig.provider.sign;
    rig.provider.sign = async (claims) => {
      rig.provider.sign = sign;
      expect((await send(await logoutToken({ sub: "rita" }))).status).toBe(200);
      return await sign(claims);
    };
    const page = await browser.comeBack(await browser.begin(waiting.url), rig.provider);
    expect(page.status).toBe(403);
    expect(await rig.pushed(waiting)).toMatchObject({ event: { type: "abort", reason: "provider_refused" } });
    expect(await isOpen(await loggedIn("s2"))).toBe(true);
  });

  it("leaves nothing to a code that was not redeemed yet", async () => {
    rig = await startOidcRig();
    rig.provider.claims = (right) => ({ ...right, sid: "s1" });
    const clientId = `${rig.url}/`;
    const redeem = (code: string) =>
      fetch(`${rig.url}/auth/token`, {
        method: "POST",
        body: new URLSearchParams({ grant_type: "authorization_code", code, client_id: clientId }),
      });
    const codeOf = async () => {
      const waiting = await rig.begin({ for: "code", client_id: clientId, redirect_uri: `${rig.url}/back` });
      const browser = new BrowserWay();
      const page = await browser.comeBack(await browser.begin(waiting.url), rig.provider);
      await browser.answer(rig.url, page, "yes");
      return ((await rig.pushed(waiting)).event as { result: string }).result;
    };
    const redeemed = await redeem(await codeOf());
    expect(redeemed.status).toBe(200);
    const { access_token: token } = (await redeemed.json()) as { access_token: string };
    const socket = await rig.open();
    await socket.authenticate(token);
    const code = await codeOf();
    expect((await send(await logoutToken({ sid: "s1", sub: "rita" }))).status).toBe(200);
    expect((await within(socket.closed, "the end of the session of the first code")).code).toBe(4301);
    const late = await redeem(code);
    expect([late.status, await late.json()]).toMatchObject([400, { error: "invalid_request" }]);
  });

  it("leaves nothing to a device that was approved before it", async () => {
    rig = await startOidcRig();
    await registerApp(rig.authority, {
      id: "tv",
      authMethod: "none",
      redirectUris: [],
      grantTypes: ["urn:ietf:params:oauth:grant-type:device_code"],
    });
    const approvedBy = async ({ socket }: Waiting) => {
      const { body } = await sendForm(`${rig.url}/auth/device_authorization`, { client_id: "tv" });
      const approved = await socket.call("gatehouse/device/approve", { user_code: body.user_code });
      expect(approved.success).toBe(true);
      return body.device_code ?? "";
    };
    const poll = (device_code: string) =>
      sendForm(`${rig.url}/auth/token`, {
        grant_type: "urn:ietf:params:oauth:grant-type:device_code",
        client_id: "tv",
        device_code,
      });
    const late = await approvedBy(await loggedIn("s0"));
    expect((await send(await logoutToken({ sid: "s0", sub: "rita" }))).status).toBe(200);
    expect(await poll(late)).toMatchObject({ status: 400, body: { error: "expired_token" } });
  });
});
