import { describe, expect, it } from "vitest";

import { AuthError } from "../../src/auth/errors.ts";
import { routesOf } from "../../src/http/routes.ts";
import { parseAddressRanges } from "../../src/net/address-ranges.ts";
import { type ClientAddress, resolveClientAddress } from "../../src/net/client-address.ts";
import { tableOf } from "../protocol/protocol-text.ts";
import { builtPages } from "../support/built-pages.ts";
import { clock, httpUnderTest, issuer, noTopics, scriptedAuthority } from "./http-under-test.ts";

const metrics = {
  render: async () => ({ body: "up 1\n", contentType: "text/plain; version=0.0.4" }),
  mayRead: () => true,
};
const calm = () =>
  scriptedAuthority({
    onboarding: { required: async () => false },
    logins: { providers: () => [] },
    keyring: { jwks: () => ({ keys: [] }) },
  });
const away = () =>
  scriptedAuthority({
    onboarding: {
      required: async () => {
        throw new AuthError("unavailable", { detail: "redis://h is away", retryAfterSeconds: 2.5 });
      },
    },
    authentication: {
      authenticate: () => {
        throw new AuthError("unavailable");
      },
    },
  });

const pages = await builtPages();

const routes = routesOf({
  authority: calm(),
  clock,
  observer: { answered: () => {}, decided: () => {}, defect: () => {} },
  health: {
    live: () => ({ version: "", transport: "", store: "", codecs: [] }),
    ready: async () => ({ ready: true, reasons: [] }),
  },
  metrics,
  pages,
  issuer: () => issuer,
  publicUrl: () => issuer,
  maxBodyBytes: 1,
  jwksMaxAgeSeconds: 1,
  rotates: () => false,
  ...noTopics,
});
const requests = [
  ...routes.flatMap(({ method, path }) => [
    [method, path],
    ["OPTIONS", path],
    ["PUT", path],
    [method, `${path}?access_token=x`],
  ]),
  ["GET", "/nowhere"],
  ["POST", "/nowhere"],
  ["GET", "/auth/token"],
] as [string, string][];

it("every route is in the protocol's text, with the origins that may read it", () => {
  const documented = tableOf("Endpoints", ["request", "origins", "answer"]);
  expect(documented.map(({ request, origins }) => [request, origins])).toEqual(
    routes.map(({ method, path, cors }) => [`${method} ${path}`, cors]),
  );
});

describe("every answer", () => {
  it.each(requests)("%s %s has the security headers", async (method, path) => {
    const { headers, text } = await httpUnderTest(calm(), { metrics, pages }).ask(path, { method });
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("referrer-policy")).toBe("no-referrer");
    expect(headers.get("x-frame-options")).toBe("DENY");
    expect(headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
    expect(headers.get("content-security-policy")).not.toContain("unsafe");
    expect(headers.get("cache-control")).toBeTruthy();
    expect(headers.get("server")).toBeNull();
    expect(headers.get("set-cookie")).toBeNull();
    expect(headers.get("access-control-allow-credentials")).toBeNull();
    expect(text).not.toContain("at file:");
  });

  it("answers JSON for an unknown path and for a method that a path does not have", async () => {
    const http = httpUnderTest(calm());
    expect(await http.ask("/nowhere")).toMatchObject({
      status: 404,
      body: { message: "Not found", code: "not_found" },
    });
    expect(await http.ask("/auth/token/")).toMatchObject({ status: 404 });
    const refused = await http.ask("/auth/token");
    expect(refused).toMatchObject({
      status: 405,
      body: { message: "Method not allowed", code: "method_not_allowed" },
    });
    expect(refused.headers.get("allow")).toBe("POST, OPTIONS");
    expect((await http.ask("/healthz", { method: "DELETE" })).headers.get("allow")).toBe("GET, HEAD");
    expect((await http.ask("/healthz", { method: "OPTIONS" })).status).toBe(405);
    expect(http.answered.map(({ route }) => route)).toEqual([
      "none",
      "none",
      "/auth/token",
      "/healthz",
      "/healthz",
    ]);
  });

  it("answers HEAD without a body", async () => {
    const answer = await httpUnderTest(calm()).ask("/healthz", { method: "HEAD" });
    expect(answer).toMatchObject({ status: 200, text: "" });
  });

  it.each([
    "access_token",
    "refresh_token",
    "token",
    "password",
    "setup_code",
    "code_verifier",
    "api_password",
  ])("refuses %s in the URL on every route", async (name) => {
    for (const { method, path } of routes) {
      const http = httpUnderTest(calm(), { metrics, pages });
      const answer = await http.ask(`${path}?${name}=canary`, { method });
      expect(answer.status).toBe(400);
      expect(answer.text).toContain("token_in_url");
      expect(answer.text).not.toContain("canary");
      expect(JSON.stringify(http.answered)).not.toContain("canary");
    }
  });

  it("names the route, not the path that was sent, in what is logged", async () => {
    const http = httpUnderTest(calm());
    await http.ask("/canary?x=canary");
    await http.ask("/api/?authSig=canary");
    expect(JSON.stringify(http.answered)).not.toContain("canary");
  });
});

describe("a store that is away", () => {
  it.each(["/auth/providers", "/api/onboarding"])(
    "makes %s a 503 that names when to come again",
    async (path) => {
      const http = httpUnderTest(away());
      const answer = await http.ask(path);
      expect(answer).toMatchObject({
        status: 503,
        body: { message: "Temporarily unavailable", code: "unavailable" },
      });
      expect(answer.headers.get("retry-after")).toBe("3");
      expect(http.answered[0]).toMatchObject({
        code: "unavailable",
        detail: "redis://h is away",
        status: 503,
      });
      expect(http.defects).toEqual([]);
    },
  );
  it("is never a 401", async () => {
    const headers = { authorization: "Bearer x" };
    expect(await httpUnderTest(away()).ask("/api/", { headers })).toMatchObject({ status: 503 });
  });
});

it("a defect is a 500 without its text, and is reported", async () => {
  const http = httpUnderTest(scriptedAuthority({}));
  expect(await http.ask("/auth/providers")).toMatchObject({
    status: 500,
    body: { message: "Unknown error", code: "unknown_error" },
  });
  expect(String(http.defects)).toContain("not scripted");
});

describe("other origins", () => {
  const askFrom = async (method: string, path: string, origin: string) => {
    const headers = { origin, "access-control-request-method": "POST" };
    return (await httpUnderTest(calm(), { metrics, pages }).ask(path, { method, headers })).headers;
  };
  it.each(["/auth/token", "/auth/revoke"])(
    "any origin may use %s, refusals and preflight too",
    async (path) => {
      for (const method of ["POST", "OPTIONS", "GET"]) {
        const headers = await askFrom(method, path, "https://anything.example");
        expect(headers.get("access-control-allow-origin")).toBe("https://anything.example");
        expect(headers.get("vary")).toContain("Origin");
      }
      const preflight = await askFrom("OPTIONS", path, "https://anything.example");
      expect(preflight.get("access-control-allow-methods")).toBe("POST, OPTIONS");
      expect(preflight.get("access-control-allow-headers")).toContain("Authorization");
    },
  );
  it("only configured origins may read the providers", async () => {
    const allowed = async (origin: string) =>
      (await askFrom("GET", "/auth/providers", origin)).get("access-control-allow-origin");
    expect(await allowed("https://app.example")).toBe("https://app.example");
    expect(await allowed("https://app.example.evil.example")).toBeNull();
    expect(await allowed("null")).toBeNull();
    const preflight = await askFrom("OPTIONS", "/auth/providers", "https://evil.example");
    expect(preflight.get("access-control-allow-methods")).toBeNull();
  });
  it("no origin may read set-up, health or metrics", async () => {
    for (const path of ["/setup", "/api/onboarding", "/healthz", "/readyz", "/metrics", "/"]) {
      expect(
        (await askFrom("GET", path, "https://app.example")).get("access-control-allow-origin"),
      ).toBeNull();
    }
  });
});

describe("addresses", () => {
  it("a trusted proxy's client is who is logged", async () => {
    const proxies = parseAddressRanges(["10.0.0.0/8"]);
    const http = httpUnderTest(calm(), {
      clientOf: (peer, header) => resolveClientAddress(peer, header, proxies),
    });
    await http.ask("/healthz", { from: "10.0.0.1", headers: { "x-forwarded-for": "192.0.2.1" } });
    await http.ask("/healthz", { from: "203.0.113.9", headers: { "x-forwarded-for": "127.0.0.1" } });
    expect(http.answered.map(({ address }) => address)).toEqual(["192.0.2.1", null]);
  });
  it("who may not read metrics finds none", async () => {
    const readers = parseAddressRanges(["127.0.0.0/8"]);
    const guarded = {
      ...metrics,
      mayRead: (client: ClientAddress) => readers.includes(client.address),
    };
    const http = httpUnderTest(calm(), { metrics: guarded });
    expect(await http.ask("/metrics")).toMatchObject({ status: 404 });
    expect(await http.ask("/metrics", { from: "127.0.0.1" })).toMatchObject({ status: 200, text: "up 1\n" });
    expect(await httpUnderTest(calm()).ask("/metrics", { from: "127.0.0.1" })).toMatchObject({ status: 404 });
  });
});
