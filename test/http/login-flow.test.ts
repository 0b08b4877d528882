import { afterAll, beforeAll, describe, expect, it } from "vitest";

import {
  ownerPassword,
  type RunningGateway,
  setUpOwner,
  startGateway,
  startNode,
  storeKinds,
  transportNames,
} from "../support/gateway.ts";
import { outsideProvider } from "../support/outside-provider.ts";

const client_id = "https://app.example/";
const redirect_uri = "https://app.example/in";
const handler = ["homeassistant", null];
const paula = { username: "paula", password: ownerPassword };

const kinds = transportNames.flatMap((transport) => storeKinds.map((store) => [transport, store] as const));

describe.each(kinds)("a login over HTTP, %s on %s", (transport, store) => {
  let gateway: RunningGateway;
  beforeAll(async () => {
    gateway = await startGateway({ transport, store });
  });
  afterAll(async () => {
    await gateway.stop();
  });

  async function send(method: string, path: string, body?: object, headers: Record<string, string> = {}) {
    const response = await fetch(`${gateway.url}${path}`, {
      method,
      headers: { "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      body: text === "" ? undefined : JSON.parse(text),
      headers: response.headers,
    };
  }
  const start = (more: object = {}) =>
    send("POST", "/auth/login_flow", { client_id, handler, redirect_uri, ...more });
  const step = (flowId: string, input: object) =>
    send("POST", `/auth/login_flow/${flowId}`, { client_id, ...input });

  it("reads JSON that says to be text, as Home Assistant's login page sends it", async () => {
    const headers = { "content-type": "text/plain;charset=UTF-8" };
    const request = { client_id, handler, redirect_uri, response_type: "code" };
    const begun = await send("POST", "/auth/login_flow", request, headers);
    expect(begun).toMatchObject({ status: 200, body: { type: "form" } });
    const input = { client_id, username: "paula", password: gateway.ownerPassword };
    const path = `/auth/login_flow/${begun.body.flow_id}`;
    expect(await send("POST", path, input, headers)).toMatchObject({
      status: 200,
      body: { type: "create_entry", result: expect.any(String) },
    });
  });
  it("takes no proof, which would be bound to no connection", async () => {
    const begun = await start();
    const initial_response = "y,,n=paula,r=rOprNGfwEbeRWgbNEkqO";
    expect(await step(begun.body.flow_id, { mechanism: "SCRAM-SCRYPT", initial_response })).toMatchObject({
      status: 400,
      body: { code: "invalid_format" },
    });
    expect(await step(begun.body.flow_id, paula)).toMatchObject({ body: { type: "create_entry" } });
  });
  it("goes from the form over a wrong password to a code, which gives tokens", async () => {
    const begun = await start();
    expect(begun).toMatchObject({
      status: 200,
      body: {
        type: "form",
        handler,
        step_id: "init",
        errors: {},
        data_schema: [
          { name: "username", type: "string", required: true },
          { name: "password", type: "string", required: true },
        ],
      },
    });
    expect(begun.body).not.toHaveProperty("flow_secret");
    const { flow_id } = begun.body;
    expect(await step(flow_id, { ...paula, password: "wrong" })).toMatchObject({
      status: 200,
      body: { type: "form", errors: { base: "invalid_auth" } },
    });
    const done = await step(flow_id, paula);
    expect(done).toMatchObject({ status: 200, body: { type: "create_entry", result: expect.any(String) } });
    expect(Object.keys(done.body).sort()).toEqual(
      ["description", "description_placeholders", "flow_id", "handler", "result", "type"].sort(),
    );
    const form = new URLSearchParams({ grant_type: "authorization_code", code: done.body.result, client_id });
    const tokens = await fetch(`${gateway.url}/auth/token`, { method: "POST", body: form });
    expect(await tokens.json()).toMatchObject({ token_type: "Bearer", refresh_token: expect.any(String) });
    expect(await step(flow_id, paula)).toMatchObject({ status: 404, body: { code: "invalid_flow" } });
  });
  it("checks client and redirect before it shows anything", async () => {
    const wrong = [
      [{ client_id: "nobody" }, 400, "Invalid client id"],
      [{ redirect_uri: "https://evil.example/in" }, 403, "Invalid redirect URI"],
      [{ handler: ["nobody", null] }, 404, "Invalid handler specified"],
      [{ handler: "homeassistant" }, 400, "Message incorrectly formatted."],
      [{ extra: 1 }, 400, "Message incorrectly formatted."],
      [{ type: "other" }, 400, "Message incorrectly formatted."],
      [{ type: "link_user", code_challenge: "a".repeat(43) }, 400, "Message incorrectly formatted."],
      [{ code_challenge: "short" }, 400, "Message incorrectly formatted."],
    ] as const;
    for (const [more, status, message] of wrong)
      expect(await start(more), JSON.stringify(more)).toMatchObject({ status, body: { message } });
  });
  it("refuses input that does not fit, and keeps the flow", async () => {
    const { flow_id } = (await start()).body;
    const malformed = { status: 400, body: { message: "User input malformed" } };
    expect(await step(flow_id, {})).toMatchObject(malformed);
    expect(await step(flow_id, { ...paula, extra: 1 })).toMatchObject(malformed);
    expect(await step(flow_id, { ...paula, client_id: "nobody" })).toMatchObject({
      status: 400,
      body: { message: "Invalid client id" },
    });
    expect((await step(flow_id, paula)).body.type).toBe("create_entry");
  });
  it("ends when it is asked to, and answers unknown flows alike", async () => {
    const { flow_id } = (await start()).body;
    const path = `/auth/login_flow/${flow_id}`;
    expect(await send("DELETE", path)).toMatchObject({ status: 200, body: { message: "Flow aborted" } });
    const unknown = { status: 404, body: { message: "Invalid flow specified" } };
    expect(await send("DELETE", path)).toMatchObject(unknown);
    expect(await step(flow_id, paula)).toMatchObject(unknown);
    for (const name of ["x", "0".repeat(32), "%00", "..%2f"])
      expect(await step(name, paula)).toMatchObject(unknown);
    expect((await send("GET", "/auth/login_flow")).status).toBe(405);
  });
  it("needs the code's verifier at the exchange if it had a challenge", async () => {
    const verifier = "a".repeat(64);
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
    const code_challenge = Buffer.from(digest).toString("base64url");
    const { flow_id } = (await start({ code_challenge, code_challenge_method: "S256" })).body;
    const code = (await step(flow_id, paula)).body.result;
    const exchange = (more: Record<string, string>) =>
      fetch(`${gateway.url}/auth/token`, {
        method: "POST",
        body: new URLSearchParams({ grant_type: "authorization_code", code, client_id, ...more }),
      });
    expect((await exchange({})).status).toBe(400);
    expect((await exchange({ code_verifier: verifier })).status).toBe(200);
  });
});

describe("a login over HTTP", () => {
  it("is continued only from the address that started it, and shows a step that waits for something outside", async () => {
    const node = await startNode(
      { trusted_proxies: ["127.0.0.1"] },
      { providers: (configured) => [...configured, { ...outsideProvider("paula"), type: "outside" }] },
    );
    try {
      await setUpOwner(node.authority);
      const from = async (address: string, path: string, body: object) => {
        const response = await fetch(`${node.url}${path}`, {
          method: "POST",
          headers: { "content-type": "application/json", "x-forwarded-for": address },
          body: JSON.stringify({ client_id, ...body }),
        });
        return { status: response.status, body: await response.json() };
      };
      const begun = await from("203.0.113.9", "/auth/login_flow", {
        handler: ["outside", null],
        redirect_uri,
      });
      const { flow_id, step_id } = begun.body;
      expect(begun.body).toMatchObject({ type: "external", url: expect.stringContaining("https://") });
      const path = `/auth/login_flow/${flow_id}`;
      expect((await from("203.0.113.9", path, {})).body).toMatchObject({ type: "external" });
      expect(await from("203.0.113.10", path, {})).toMatchObject({ status: 404 });
      await node.authority.logins.completeExternalStep(
        { flowId: flow_id, stepId: step_id, input: { answer: "no" } },
        { address: null },
      );
      expect((await from("203.0.113.9", path, {})).body).toMatchObject({ type: "abort", reason: "refused" });
    } finally {
      await node.stop();
    }
  });
});
