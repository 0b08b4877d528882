import { describe, expect, it } from "vitest";

import { AuthError } from "../../src/auth/errors.ts";
import { httpUnderTest, issuer, scriptedAuthority } from "./http-under-test.ts";

const request = new URLSearchParams({
  response_type: "code",
  client_id: "https://app.example/",
  redirect_uri: "https://evil.example/",
});
const german = { "accept-language": "de-AT, en;q=0.5" };
const navigation = { accept: "text/html,application/xhtml+xml,*/*;q=0.8" };

describe("the page of an error", () => {
  const http = httpUnderTest(scriptedAuthority({}));

  it("is in the language of the person, and may not be kept", async () => {
    const { text, headers, status } = await http.ask(`/auth/authorize?${request}`, { headers: german });
    expect(status).toBe(403);
    expect(text).toContain('<html lang="de">');
    expect(text).toContain("Die App, von der Sie kommen, ist nicht richtig eingerichtet.");
    expect(text).toContain('href="../page.css"');
    expect(text).not.toContain("evil.example");
    expect(headers.get("content-language")).toBe("de");
    expect(headers.get("vary")).toBe("Accept-Language");
    expect(headers.get("cache-control")).toBe("no-store");
  });

  it("names what the app did wrong, for its developer", async () => {
    const { text } = await http.ask("/auth/authorize?client_id=https://app.example/&response_type=token", {
      headers: german,
    });
    expect(text).toContain('<span lang="en">response_type is not code</span>');
  });

  it.each([
    ["unavailable", 503, true],
    ["provider_unavailable", 503, true],
    ["invalid_return", 400, false],
  ] as const)("of %s offers to try again only if that may help", async (code, status, offers) => {
    const oidc = {
      async start() {
        throw new AuthError(code);
      },
    };
    const answer = await httpUnderTest(scriptedAuthority({ oidc })).ask("/auth/oidc/start/x");
    expect(answer.status).toBe(status);
    expect(answer.headers.has("retry-after")).toBe(status === 503);
    expect(answer.text.includes('<a href="">Try again</a>')).toBe(offers);
    expect(answer.text).toContain('href="../../../page.css"');
  });

  it("is what a person gets for a secret in the address, for a wrong method, and for a form that is too large", async () => {
    for (const [path, init, code] of [
      ["/auth/authorize?token=canary", {}, "token_in_url"],
      ["/auth/oidc/callback", { method: "POST" }, "method_not_allowed"],
      ["/auth/oidc/confirm", { method: "POST", body: "x".repeat(70_000) }, "payload_too_large"],
    ] as const) {
      const { text, headers } = await http.ask(path, init);
      expect([text.includes(`<code>${code}</code>`), text.includes("canary")]).toEqual([true, false]);
      expect(headers.get("content-type")).toBe("text/html; charset=utf-8");
    }
  });

  it("is what a browser gets where nothing is, and no program", async () => {
    const page = await http.ask("/a/b", { headers: { ...navigation, ...german } });
    expect(page.status).toBe(404);
    expect(page.text).toContain("<h1>Hier ist nichts</h1>");
    expect(page.text).toContain('href="../page.css"');
    expect((await http.ask("/a/b", { headers: { accept: "*/*" } })).body).toMatchObject({
      code: "not_found",
    });
  });
});

it("the confirmation at the return from a provider is in both languages, and sends its form where it came from", async () => {
  const pending = {
    linksTo: null,
    code: "AB-CD",
    address: null,
    answerToken: "t",
    isSameAddress: false,
    account: "rita",
    provider: "Work",
    host: "gate.example",
    clientId: null,
    clientName: null,
  };
  const url = `${issuer}/gate`;
  const http = httpUnderTest(scriptedAuthority({ oidc: { returned: async () => pending } }), {
    publicUrl: () => url,
  });
  const ask = async (path: string, language: string) =>
    (await http.ask(path, { headers: { "accept-language": language } })).text;
  const one = await ask("/auth/oidc/callback?state=x", "de");
  expect(one).toContain("<h1>Sind Sie das?</h1>");
  expect(one).toContain('action="../../auth/oidc/confirm"');
  expect(one).toContain("Eine App, die keinen Namen genannt hat");
  const other = await ask("/auth/oidc/callback/work?state=x", "en");
  expect(other).toContain("<h1>Is this you?</h1>");
  expect(other).toContain('action="../../../auth/oidc/confirm"');
});

it.each([
  ["https://a.example", "__Host-gatehouse-login=b; Path=/;"],
  ["https://a.example/gates/one", "__Host-gatehouse-login-gates-one=b; Path=/;"],
  ["http://a.example", "gatehouse-login=b; Path=/;"],
])("a browser at %s gets the cookie %s", async (publicUrl, cookie) => {
  const seen: unknown[] = [];
  const oidc = {
    async start(_ticket: string, browser: string | undefined) {
      seen.push(browser);
      return { url: new URL("https://provider.example/"), browser: "b" };
    },
  };
  const http = httpUnderTest(scriptedAuthority({ oidc }), { publicUrl: () => publicUrl });
  const { headers, status } = await http.ask("/auth/oidc/start/x");
  expect(status).toBe(303);
  expect(headers.get("set-cookie")).toContain(cookie);
  await http.ask("/auth/oidc/start/x", { headers: { cookie: cookie.split(";")[0] ?? "" } });
  expect(seen).toEqual([undefined, "b"]);
});
