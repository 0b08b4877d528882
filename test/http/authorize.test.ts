import { describe, expect, it } from "vitest";

import { elementPagePolicy } from "../../src/http/pages.ts";
import { httpUnderTest, issuer, scriptedAuthority } from "./http-under-test.ts";

const good = {
  response_type: "code",
  client_id: "https://app.example/",
  redirect_uri: "https://app.example/callback?here=1",
  state: "opaque",
};
const challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbwOJVxVkZv";

const http = httpUnderTest(scriptedAuthority({}));
function ask(
  change: Readonly<Record<string, string | undefined>>,
  init: RequestInit & { from?: string } = {},
) {
  const parameters = Object.entries({ ...good, ...change }).filter(([, value]) => value !== undefined);
  return http.ask(`/auth/authorize?${new URLSearchParams(parameters as [string, string][])}`, init);
}

describe("GET /auth/authorize", () => {
  it("says who asks, for what, and where the person returns to, and hands the request to the login element", async () => {
    const { status, text, headers } = await ask({
      code_challenge: `${challenge}A`,
      code_challenge_method: "S256",
    });
    expect(status).toBe(200);
    expect(text).toContain("<h1>Log in to auth.example</h1>");
    expect(text).toContain("<dd>https://app.example/</dd>");
    expect(text).toContain("<dd>app.example</dd>");
    expect(text).toContain("<dd>Everything that you may do here, until its session is ended</dd>");
    expect(text).toContain("<dd>https://app.example/callback</dd>");
    expect(text).toContain(
      `<gatehouse-login url=".." for="code" client-id="https://app.example/" redirect-uri="https://app.example/callback?here=1" code-challenge="${challenge}A" data-issuer="${issuer}">`,
    );
    expect(headers.get("content-security-policy")).toBe(elementPagePolicy);
    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("x-frame-options")).toBe("DENY");
    expect(text).not.toContain("opaque");
  });

  it.each<[string, number, string, Record<string, string | undefined>]>([
    ["no client id", 400, "invalid_client", { client_id: undefined }],
    ["a client id that is no URL", 400, "invalid_client", { client_id: "app" }],
    [
      "a client id with a script",
      400,
      "invalid_client",
      { client_id: "javascript:alert(1)//https://app.example/" },
    ],
    ["no redirect URI", 403, "invalid_redirect_uri", { redirect_uri: undefined }],
    ["another host", 403, "invalid_redirect_uri", { redirect_uri: "https://evil.example/callback" }],
    ["another port", 403, "invalid_redirect_uri", { redirect_uri: "https://app.example:444/" }],
    ["another scheme", 403, "invalid_redirect_uri", { redirect_uri: "http://app.example/" }],
    [
      "a user name before the host",
      403,
      "invalid_redirect_uri",
      { redirect_uri: "https://app.example@evil.example/" },
    ],
    ["a backslash", 403, "invalid_redirect_uri", { redirect_uri: "https://app.example\\@evil.example/" }],
    ["a script", 403, "invalid_redirect_uri", { redirect_uri: "javascript:alert(1)" }],
    [
      "a scheme that nobody listed",
      403,
      "invalid_redirect_uri",
      { redirect_uri: "homeassistant://auth-callback" },
    ],
    [
      "a redirect URI that is too long",
      400,
      "invalid_format",
      { redirect_uri: `https://app.example/${"a".repeat(1005)}` },
    ],
    ["another response", 400, "invalid_format", { response_type: "token" }],
    ["no response", 400, "invalid_format", { response_type: undefined }],
    [
      "plain PKCE",
      400,
      "invalid_format",
      { code_challenge: `${challenge}A`, code_challenge_method: "plain" },
    ],
    ["PKCE without a method", 400, "invalid_format", { code_challenge: `${challenge}A` }],
    ["a method without a challenge", 400, "invalid_format", { code_challenge_method: "S256" }],
    [
      "a challenge that is none",
      400,
      "invalid_format",
      { code_challenge: challenge, code_challenge_method: "S256" },
    ],
  ])("refuses %s with a page, and sends nobody on", async (_, status, code, change) => {
    const answer = await ask(change);
    expect(answer.status).toBe(status);
    expect(answer.headers.get("location")).toBeNull();
    expect(answer.text).toContain(`<code>${code}</code>`);
    expect(answer.text).not.toMatch(/gatehouse-login|evil|javascript:|refresh/);
    expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'; style-src 'self'");
  });

  it.each(["client_id", "redirect_uri", "state", "response_type"])("refuses %s twice", async (name) => {
    const query = `${new URLSearchParams(good)}&${name}=${encodeURIComponent(good[name as keyof typeof good])}`;
    const { status, text } = await http.ask(`/auth/authorize?${query}`);
    expect([status, text.includes("invalid_format")]).toEqual([400, true]);
  });

  it("refuses a parameter twice beside a pushed request too", async () => {
    const pushed = `client_id=${encodeURIComponent(good.client_id)}&request_uri=urn:x`;
    const once = await http.ask(`/auth/authorize?${pushed}`);
    expect(once.text).toContain("invalid_request_uri");
    const twice = await http.ask(`/auth/authorize?${pushed}&client_id=other`);
    expect([twice.status, twice.text.includes("invalid_format")]).toEqual([400, true]);
  });

  it("hands on how good and how new the login must be, and refuses what no login is (RFC 9470)", async () => {
    const { text } = await ask({ acr_values: "urn:else aal2", max_age: "60" });
    expect(text).toContain(' acr-values="urn:else aal2" max-age="60" data-issuer=');
    const refused = [
      [{ acr_values: "urn:else" }, "unmet_authentication_requirements"],
      [{ acr_values: "a".repeat(513) }, "invalid_format"],
      [{ max_age: "-1" }, "invalid_format"],
      [{ max_age: "soon" }, "invalid_format"],
    ] as const;
    for (const [change, code] of refused) {
      const answer = await ask(change);
      expect([answer.status, answer.text.includes(`<code>${code}</code>`)]).toEqual([400, true]);
    }
  });

  it("shows a client id as text only", async () => {
    const { text } = await ask({ client_id: 'https://app.example/"><script>x</script>' });
    expect(text).toContain("<dd>https://app.example/&quot;&gt;&lt;script&gt;x&lt;/script&gt;</dd>");
    expect(text).not.toContain("<script>x");
  });

  it("shows a host that browsers would not take", async () => {
    const { status, text } = await ask({ client_id: "https://xn--a/", redirect_uri: "https://xn--a/" });
    expect([status, text.includes("<dd>xn--a</dd>")]).toEqual([200, true]);
  });

  it.each([
    ["https://home-assistant.io/iOS", "Home Assistant for iOS"],
    ["https://home-assistant.io/android", "Home Assistant for Android"],
  ])("knows the app %s, whose redirect URI is its own", async (clientId, name) => {
    const { status, text } = await ask({
      client_id: clientId,
      redirect_uri: "homeassistant://auth-callback",
    });
    expect(status).toBe(200);
    expect(text).toContain(`<strong>${name}</strong> asks to act as you here.`);
    expect(text).toContain("<dd>homeassistant://auth-callback</dd>");
  });

  it.each([
    ["198.51.100.7", '<input id="store-token" type="checkbox"> Keep me logged in'],
    ["192.168.1.7", '<input id="store-token" type="checkbox" checked> Keep me logged in'],
  ])("asks only for its own client whether to stay logged in, from %s", async (from, box) => {
    const own = { client_id: `${issuer}/`, redirect_uri: `${issuer}/?auth_callback=1` };
    expect((await ask(own, { from })).text).toContain(box);
    expect((await ask({}, { from })).text).not.toContain("store-token");
  });

  it.each([
    ["de-AT,de;q=0.9,en;q=0.8", "de", "Bei auth.example anmelden"],
    ["fr, en;q=0.3, de;q=0.2", "en", "Log in to auth.example"],
    ["de;q=0, *;q=0.1", "en", "Log in to auth.example"],
    [";;q=,,x", "en", "Log in to auth.example"],
  ])("speaks the language of %j", async (accepted, language, title) => {
    const { text, headers } = await ask({}, { headers: { "accept-language": accepted } });
    expect(text).toContain(`<html lang="${language}">`);
    expect(text).toContain(`<h1>${title}</h1>`);
    expect([headers.get("content-language"), headers.get("vary")]).toEqual([language, "Accept-Language"]);
  });
});
