import { describe, expect, it } from "vitest";

import { json } from "../../src/http/answers.ts";
import type { Endpoint } from "../../src/http/exchange.ts";
import type { Route } from "../../src/http/routes.ts";
import { httpUnderTest, scriptedAuthority } from "./http-under-test.ts";

const echo =
  (name: string): Endpoint =>
  ({ parameters }) =>
    json({ name, ...parameters });
const route = (method: Route["method"], path: string, name: string): Route => ({
  method,
  path,
  cors: method === "GET" ? "none" : "configured",
  errors: "message",
  endpoint: echo(name),
});

const server = () =>
  httpUnderTest(scriptedAuthority({}), {
    origins: ["https://app.example"],
    moreRoutes: [
      route("GET", "/auth/test_flow/known", "known"),
      route("POST", "/auth/test_flow/:flow_id", "step"),
      route("DELETE", "/auth/test_flow/:flow_id", "end"),
      route("GET", "/auth/:type/callback/:provider_id", "callback"),
    ],
  });

describe("a route with parameters", () => {
  it("gives its endpoint what stands in the path, and logs the route alone", async () => {
    const http = server();
    const ask = async (method: string, path: string) => (await http.ask(path, { method })).body;
    expect(await ask("POST", "/auth/test_flow/4f")).toEqual({ name: "step", flow_id: "4f" });
    expect(await ask("DELETE", "/auth/test_flow/4f?x=1")).toEqual({ name: "end", flow_id: "4f" });
    expect(await ask("GET", "/auth/example/callback/work")).toEqual({
      ...{ name: "callback", type: "example", provider_id: "work" },
    });
    expect(await ask("GET", "/auth/test_flow/known")).toEqual({ name: "known" });
    expect(http.answered.map(({ route: logged }) => logged)).toEqual([
      "/auth/test_flow/:flow_id",
      "/auth/test_flow/:flow_id",
      "/auth/:type/callback/:provider_id",
      "/auth/test_flow/known",
    ]);
  });

  it("decodes a parameter once, whatever it holds, and never fails on one that cannot be decoded", async () => {
    const flowId = async (text: string) =>
      ((await server().ask(`/auth/test_flow/${text}`, { method: "POST" })).body as { flow_id?: string })
        .flow_id;
    expect(await flowId("a%20b")).toBe("a b");
    expect(await flowId("%2e%2e%2fx")).toBe("../x");
    expect(await flowId("%2561")).toBe("%61");
    expect(await flowId("%ff")).toBe("%ff");
    expect(await flowId("%")).toBe("%");
    expect(await flowId("__proto__")).toBe("__proto__");
  });

  it("has no empty parameter and no other depth", async () => {
    for (const path of ["/auth/test_flow/", "/auth/test_flow", "/auth/test_flow/a/b", "/auth/test_flow//"])
      expect((await server().ask(path, { method: "POST" })).status).toBe(404);
  });

  it("answers other methods, other origins and tokens in the URL as every route does", async () => {
    const http = server();
    const wrong = await http.ask("/auth/test_flow/4f", { method: "PUT" });
    expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "POST, DELETE, OPTIONS"]);
    const headers = { origin: "https://app.example", "access-control-request-method": "DELETE" };
    const preflight = await http.ask("/auth/test_flow/4f", { method: "OPTIONS", headers });
    expect(preflight.headers.get("access-control-allow-methods")).toBe("POST, DELETE, OPTIONS");
    const leak = await http.ask("/auth/test_flow/4f?token=canary", { method: "POST" });
    expect(leak).toMatchObject({ status: 400, body: { code: "token_in_url" } });
    expect(JSON.stringify(http.answered)).not.toMatch(/canary|4f/);
  });

  it("cannot be there twice", () => {
    const twice = [route("GET", "/x/:a", "one"), route("GET", "/x/:a", "two")];
    expect(() => httpUnderTest(scriptedAuthority({}), { moreRoutes: twice })).toThrow("two routes GET /x/:a");
  });
});
