import { createServer } from "node:http";
import { SignJWT, UnsecuredJWT } from "jose";
import { afterAll, afterEach, describe, expect, it } from "vitest";

import { BrowserWay, type Page, returnOf } from "../support/browser-way.ts";
import { eventually } from "../support/eventually.ts";
import { ownerPassword } from "../support/gateway.ts";
import { answering, type HostileOpenIdProvider, huge } from "../support/hostile-openid-provider.ts";
import { stretched } from "../support/machine-share.ts";
import { type OidcRig, startOidcRig, type Waiting } from "../support/oidc-rig.ts";
import { closed, listening } from "../support/openid-provider.ts";
import type { Message } from "../support/socket-client.ts";

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

/** The socket waits: it has got nothing beyond the answer to its start. */
async function stillWaits({ socket }: Waiting): Promise<void> {
  await expect(socket.call("auth/providers")).resolves.toMatchObject({ success: true });
  expect(socket.received.filter((message) => (message as Message).type === "event")).toEqual([]);
}

function expectRefusal(page: Page, status: number, code: string): void {
  expect(page.status).toBe(status);
  expect(page.text).toContain(`<code>${code}</code>`);
  expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
}

describe("answers of a hostile provider", () => {
  const hs256 = (claims: object, secret: string) =>
    new SignJWT({ ...claims }).setProtectedHeader({ alg: "HS256" }).sign(Buffer.from(secret));
  it.each<[string, string, (op: HostileOpenIdProvider) => void]>([
    [
      "an ID token of another issuer",
      '"iss"',
      (op) => (op.claims = (right) => ({ ...right, iss: "https://other.test" })),
    ],
    ["one for another client", '"aud"', (op) => (op.claims = (right) => ({ ...right, aud: "somebody" }))],
    ["one with a wrong nonce", '"nonce"', (op) => (op.claims = (right) => ({ ...right, nonce: "wrong" }))],
    ["one without a nonce", '"nonce"', (op) => (op.claims = ({ nonce: _, ...right }) => right)],
    ["one that has expired", '"exp"', (op) => (op.claims = (right) => ({ ...right, exp: 1_000_000_000 }))],
    ["one without a sub", '"sub"', (op) => (op.claims = ({ sub: _, ...right }) => right)],
    [
      "one with an endless sub",
      "the sub is longer",
      (op) => (op.claims = (right) => ({ ...right, sub: "x".repeat(256) })),
    ],
    [
      "one with alg none",
      "unsupported JWS",
      (op) => (op.sign = (claims) => new UnsecuredJWT(claims).encode()),
    ],
    [
      "one signed with the client secret",
      "unsupported JWS",
      (op) => (op.sign = (claims) => hs256(claims, op.clientSecret)),
    ],
    [
      "one with a broken signature",
      "signature verification failed",
      (op) => (op.sign = async (claims) => `${(await op.signed(claims)).slice(0, -4)}AAAA`),
    ],
    [
      "one signed with an unknown key",
      "no applicable keys",
      (op) => (op.sign = (claims) => op.signed(claims, { kid: "k2" })),
    ],
    [
      "no ID token",
      '"id_token"',
      (op) => op.answers.set("/token", answering({ access_token: "at", token_type: "Bearer" })),
    ],
    [
      "a token answer that is no JSON",
      "OAUTH_PARSE_ERROR",
      (op) => op.answers.set("/token", answering("<html>")),
    ],
    ["a token answer of 2 MB", "too large", (op) => op.answers.set("/token", huge)],
    ["keys of 2 MB", "too large", (op) => op.answers.set("/jwks", huge)],
    ["keys that are none", '"keys"', (op) => op.answers.set("/jwks", answering({ keys: "none" }))],
    [
      "a code that is not good",
      "invalid_grant",
      (op) => op.answers.set("/token", answering({ error: "invalid_grant" }, 400)),
    ],
    [
      "a redirect to another place",
      "status code",
      (op) => op.answers.set("/token", answering({}, 307, { location: `${op.issuer}/elsewhere` })),
    ],
  ])("%s ends the login, and says so", async (name, detail, attack) => {
    // Keys that were read before are kept for a while.
    rig = name.startsWith("keys") ? await startOidcRig({ prepare: attack }) : await sharedRig();
    const op = rig.provider;
    attack(op);
    const waiting = await rig.begin();
    const browser = new BrowserWay();
    const page = await browser.comeBack(await browser.begin(waiting.url), op);
    expectRefusal(page, 502, "provider_error");
    expect(await rig.pushed(waiting)).toMatchObject({ event: { type: "abort", reason: "provider_error" } });
    expect(rig.audited("login_return")).toMatchObject([
      { outcome: "denied", reason: "provider_error", detail: expect.stringContaining(detail) },
    ]);
    expect(op.asked).not.toContain("/elsewhere");
    const written = rig.lines.join("\n");
    for (const secret of ["canary", browser.cookie ?? "none"]) expect(written).not.toContain(secret);
  });

  it.each<[string, string, (op: HostileOpenIdProvider) => void]>([
    ["of another issuer", "provider_error", (op) => (op.metadata = { issuer: "https://other.test" })],
    ["of 2 MB", "provider_error", (op) => op.answers.set("/.well-known/openid-configuration", huge)],
    [
      "behind a redirect",
      "provider_error",
      (op) =>
        op.answers.set(
          "/.well-known/openid-configuration",
          answering({}, 302, { location: `${op.issuer}/elsewhere` }),
        ),
    ],
    [
      "that is away",
      "provider_unavailable",
      (op) => op.answers.set("/.well-known/openid-configuration", answering({}, 503)),
    ],
    [
      "that breaks off",
      "provider_unavailable",
      (op) => op.answers.set("/.well-known/openid-configuration", (_, response) => response.destroy()),
    ],
    [
      "that never comes",
      "provider_unavailable",
      (op) => op.answers.set("/.well-known/openid-configuration", () => undefined),
    ],
  ])("a discovery document %s refuses the start, and the gateway runs", async (_name, code, attack) => {
    rig = await startOidcRig({ prepare: attack });
    const op = rig.provider;
    const began = performance.now();
    const refusals = await Promise.all([rig.refusedStart(), rig.refusedStart(), rig.refusedStart()]);
    expect(refusals.map((error) => error.code)).toEqual([code, code, code]);
    expect(performance.now() - began).toBeLessThan(stretched(15_000));
    expect(op.asked.filter((path) => path.includes("well-known"))).toHaveLength(1);
    expect(op.asked).not.toContain("/elsewhere");
    expect(rig.lines.join("\n")).toContain('"detail"');
  });

  it.each(["http://127.0.0.1", "https://127.0.0.1", "https://localhost", "https://[::ffff:127.0.0.1]"])(
    "are not asked for at %s, which only the gateway reaches",
    async (address) => {
      const asked: string[] = [];
      const inner = createServer((request) => asked.push(request.url ?? "")).on("connection", () =>
        asked.push("a connection"),
      );
      const port = await listening(inner);
      const prepare = (op: HostileOpenIdProvider) => {
        op.metadata = { token_endpoint: `${address}:${port}/token` };
      };
      rig = await startOidcRig({ prepare });
      const waiting = await rig.begin();
      const browser = new BrowserWay();
      const page = await browser.comeBack(await browser.begin(waiting.url), rig.provider);
      expectRefusal(page, 502, "provider_error");
      expect(rig.audited("login_return")).toMatchObject([
        { detail: expect.stringContaining("no request is sent") },
      ]);
      await closed(inner);
      expect(asked).toEqual([]);
    },
  );

  it.each([
    [false, "https://other.test"],
    [true, ""],
    [true, "https://other.test"],
  ])(
    "with iss (RFC 9207) advertised: %j, the iss %j ends the login before the code is redeemed",
    async (advertised, iss) => {
      const prepare = (op: HostileOpenIdProvider) => {
        op.metadata = { authorization_response_iss_parameter_supported: advertised };
      };
      rig = await startOidcRig({ prepare });
      const waiting = await rig.begin();
      const browser = new BrowserWay();
      const page = await browser.comeBack(await browser.begin(waiting.url), rig.provider, { iss });
      expectRefusal(page, 502, "provider_error");
      expect(rig.provider.redeemed).toEqual([]);
    },
  );
});

describe("who may complete whose login", () => {
  async function one() {
    rig = await sharedRig();
    return { op: rig.provider, waiting: await rig.begin(), browser: new BrowserWay() };
  }

  it("sends the verifier, the nonce and the secret to nobody but the provider", async () => {
    const { op, waiting, browser } = await one();
    const request = await browser.begin(waiting.url);
    const page = await browser.comeBack(request, op);
    const [redeemed] = op.redeemed;
    expect(redeemed?.get("code_verifier")).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(request.searchParams.get("code_challenge_method")).toBe("S256");
    expect(redeemed?.get("redirect_uri")).toBe(`${rig.url}/auth/oidc/callback/p1`);
    expect(JSON.stringify([request.href, waiting.url, page.text])).not.toContain(
      redeemed?.get("code_verifier"),
    );
    await browser.answer(rig.url, page, "yes");
    await rig.authenticated(waiting);
    const written = rig.lines.join("\n");
    for (const secret of [
      "canary",
      op.nonce,
      redeemed?.get("code_verifier") ?? "",
      request.searchParams.get("state") ?? "",
    ])
      expect(written).not.toContain(secret);
  });

  it("completes nothing in a browser that did not begin, and redeems no code there", async () => {
    const { op, waiting, browser } = await one();
    const request = await browser.begin(waiting.url);
    const lured = new BrowserWay();
    expectRefusal(await lured.comeBack(request, op), 400, "invalid_return");
    await lured.begin((await rig.begin()).url);
    expectRefusal(await lured.comeBack(request, op), 400, "invalid_return");
    expect(op.redeemed).toEqual([]);
    await stillWaits(waiting);
    expect((await browser.comeBack(request, op)).status).toBe(200);
  });

  it("completes nothing by a return: only the browser that returned confirms, once", async () => {
    const { op, waiting, browser } = await one();
    const page = await browser.comeBack(await browser.begin(waiting.url), op);
    await stillWaits(waiting);
    const other = new BrowserWay();
    expectRefusal(await other.answer(rig.url, page, "yes"), 400, "invalid_return");
    other.cookie = browser.cookie?.replace(/.{3}$/, "AAA");
    expectRefusal(await other.answer(rig.url, page, "yes"), 400, "invalid_return");
    const forged = { ...page, text: page.text.replace(/(name="return" value="[^."]+\.)[^"]+/, "$1AAAA") };
    expectRefusal(await browser.answer(rig.url, forged, "yes"), 400, "invalid_return");
    const fromElsewhere = await browser.answer(rig.url, page, "yes", { "sec-fetch-site": "cross-site" });
    expectRefusal(fromElsewhere, 400, "invalid_return");
    await stillWaits(waiting);
    const answers = await Promise.all(Array.from({ length: 20 }, () => browser.answer(rig.url, page, "yes")));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => status >= 500)).toEqual([]);
    await rig.authenticated(waiting);
    const allowed = rig.audited("login_return").filter(({ outcome }) => outcome === "allowed");
    const [login] = rig.audited("login").filter(({ outcome }) => outcome === "allowed");
    expect(allowed.map((each) => each.flow_id)).toEqual([login?.flow_id]);
  });

  it("takes a state once: a reload shows the same page, and redeems nothing", async () => {
    const { op, waiting, browser } = await one();
    const request = await browser.begin(waiting.url);
    const pages = await Promise.all(Array.from({ length: 10 }, () => browser.comeBack(request, op)));
    expect(pages.filter(({ status }) => ![200, 409, 503].includes(status))).toEqual([]);
    const page = await browser.comeBack(request, op);
    expect(page.status).toBe(200);
    expect(op.redeemed).toHaveLength(1);
    const again = await browser.begin(waiting.url);
    expectRefusal(await browser.comeBack(again, op), 400, "invalid_return");
    await browser.answer(rig.url, page, "yes");
    await rig.authenticated(waiting);
    expectRefusal(await browser.comeBack(request, op), 400, "invalid_return");
    expectRefusal(await browser.open(waiting.url), 400, "invalid_return");
    expect(op.redeemed).toHaveLength(1);
  });

  it("asks a slow provider for few codes of one address at once; the others may reload", async () => {
    rig = await sharedRig();
    const op = rig.provider;
    const ways = await Promise.all(
      Array.from({ length: 12 }, async () => {
        const browser = new BrowserWay();
        return { browser, request: await browser.begin((await rig.begin()).url) };
      }),
    );
    let answerAll: () => void = () => undefined;
    const slow = new Promise<void>((resolve) => {
      answerAll = resolve;
    });
    const right = op.sign;
    op.sign = async (claims) => {
      await slow;
      return await right(claims);
    };
    const pages = ways.map(async ({ browser, request }) => await browser.comeBack(request, op));
    const refused = await Promise.race(pages);
    expectRefusal(refused, 503, "overloaded");
    await eventually("the codes that are redeemed", () => op.redeemed.length === 4);
    answerAll();
    const statuses = (await Promise.all(pages)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 503)).toHaveLength(8);
    op.sign = right;
    const late = ways[statuses.indexOf(503)];
    expect((await late?.browser.comeBack(late.request, op))?.status).toBe(200);
  });

  it("takes nothing that one provider sent for a login with another", async () => {
    rig = await sharedRig();
    const waiting = await rig.begin();
    const browser = new BrowserWay();
    const request = await browser.begin(waiting.url);
    const mixed = returnOf(request);
    mixed.pathname = "/auth/oidc/callback/p2";
    expectRefusal(await browser.open(mixed), 400, "invalid_return");
    mixed.pathname = "/auth/oidc/callback";
    expectRefusal(await browser.open(mixed), 400, "invalid_return");
    expect(rig.providers.flatMap(({ redeemed }) => redeemed)).toEqual([]);
    await stillWaits(waiting);
  });

  it.each([
    ["no state", (url: URL) => url.searchParams.delete("state")],
    ["a made-up state", (url: URL) => url.searchParams.set("state", `${"0".repeat(32)}.a.b`)],
    ["a changed state", (url: URL) => url.searchParams.set("state", `${url.searchParams.get("state")}A`)],
    ["a state twice", (url: URL) => url.searchParams.append("state", "x")],
    ["a state of 10 KB", (url: URL) => url.searchParams.set("state", "x".repeat(10_000))],
  ])("refuses %s", async (_name, change) => {
    const { op, waiting, browser } = await one();
    const back = returnOf(await browser.begin(waiting.url));
    change(back);
    const { status, text } = await browser.open(back);
    expect([400, 502]).toContain(status);
    expect(text).toMatch(/invalid_return|provider_error/);
    expect(op.redeemed).toEqual([]);
  });

  it.each(["", "x", `${"0".repeat(32)}.AAAA`, "../../x", "%00", "a".repeat(5000)])(
    "refuses the ticket %j",
    async (ticket) => {
      rig = await sharedRig();
      const { status } = await new BrowserWay().open(
        `${rig.url}/auth/oidc/start/${encodeURIComponent(ticket)}`,
      );
      expect([400, 404]).toContain(status);
    },
  );

  it("says to whom an account would be linked, and links it when the person confirms", async () => {
    rig = await startOidcRig();
    const op = rig.provider;
    const socket = await rig.open();
    const start = await socket.call("auth/login/start", { handler: ["homeassistant", null] });
    const { flow_id } = start.result as Message;
    const user_input = { username: "paula", password: ownerPassword };
    await socket.call("auth/login/step", { flow_id, user_input });
    await rig.authenticated({ socket, url: "" });
    const { result } = await socket.call("auth/link/start", { handler: ["oidc", "p1"] });
    const browser = new BrowserWay();
    const page = await browser.comeBack(await browser.begin(String((result as Message).url)), op);
    expect(page.text).toContain("<h1>Connect this account?</h1>");
    expect(page.text).toContain("You are <strong>Rita</strong>");
    expect(page.text).toContain("The user <strong>Paula</strong>");
    await browser.answer(rig.url, page, "yes");
    expect(await rig.pushed({ socket, url: "" })).toMatchObject({ event: { type: "create_entry" } });
    const list = await socket.call("auth/credentials/list");
    expect(list.result).toMatchObject({
      credentials: [{}, { auth_provider_type: "oidc", subject: `${op.issuer}#rita` }],
    });
  });

  it("refuses a start address whose end was changed: it cannot be made from the flow's id", async () => {
    const { waiting, browser } = await one();
    expectRefusal(await browser.open(waiting.url.replace(/.{3}$/, "AAA")), 400, "invalid_return");
    expectRefusal(await browser.open(waiting.url.replace(/\.[^.]+$/, "")), 400, "invalid_return");
    expect((await browser.open(waiting.url)).status).toBe(303);
  });

  it("with same_address, logs in from the socket's address alone", async () => {
    rig = await startOidcRig({ entry: { same_address: true } });
    const op = rig.provider;
    const waiting = await rig.begin({}, { from: "127.0.0.2" });
    const browser = new BrowserWay();
    const page = await browser.comeBack(await browser.begin(waiting.url), op);
    expectRefusal(page, 403, "not_allowed");
    expect(op.redeemed).toEqual([]);
    await stillWaits(waiting);
  });

  it("warns if the browser has another address than the app", async () => {
    rig = await sharedRig();
    const op = rig.provider;
    const waiting = await rig.begin({}, { from: "127.0.0.2" });
    const browser = new BrowserWay();
    const page = await browser.comeBack(await browser.begin(waiting.url), op);
    expect(page.text).toContain("127.0.0.2");
    expect(page.text).toContain("not the address of this browser");
  });
});
