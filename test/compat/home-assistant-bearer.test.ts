import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { ownerPassword, setUpOwner, startNode, transportNames } from "../support/gateway.ts";
import { openSocket } from "../support/socket-client.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { client_id, Requests } from "./home-assistant-requests.ts";

/* The cases of Home Assistant's tests of bearer tokens, signed paths and people who are let in locally only. */

describe.each(transportNames)("requests with a token on %s", (transport) => {
  let node: Awaited<ReturnType<typeof startNode>>;
  let http: Requests;
  let token: string;
  beforeAll(async () => {
    node = await startNode({ transport, trusted_proxies: ["127.0.0.1"] });
    http = new Requests(node.url);
    await setUpOwner(node.authority);
    token = (await http.session()).access_token;
  });
  afterAll(() => node.stop());

  const probe = async (path: string, headers: Record<string, string> = {}, method = "GET") =>
    (await fetch(`${node.url}${path}`, { method, headers })).status;

  it("are let in with the scheme as it is written", async () => {
    expect(await http.send("GET", "/api/", undefined, token)).toEqual({
      status: 200,
      body: { message: "API running." },
    });
    for (const authorization of [token, `bearer ${token}`, `BEARER ${token}`, `Basic ${token}`, "Bearer", ""])
      expect(await probe("/api/", { authorization }), authorization).toBe(401);
    expect(await probe("/api/")).toBe(401);
    expect(await probe("/api/", { "x-ha-access": ownerPassword })).toBe(401);
    expect(await probe(`/api/?api_password=${ownerPassword}`)).toBe(400);
    expect(await probe(`/api/?access_token=${token}`)).toBe(400);
  });

  const signed = async (path: string) => {
    const socket = await openSocket(node.port);
    await socket.authenticate(token);
    const { result } = await socket.call("auth/sign_path", { path, expires: 60 });
    socket.close();
    return (result as { readonly path: string }).path;
  };
  it("are let in by a path that was signed on the socket, to read only", async () => {
    const path = await signed("/api/");
    expect(await probe(path)).toBe(200);
    expect(await probe(path, {}, "HEAD")).toBe(200);
    expect(await probe(path, {}, "POST")).toBe(405);
    expect(await probe(path, { authorization: "Bearer bad" })).toBe(401);
  });
  it.each([
    ["as it is", (query: string) => query, 200],
    ["with a size", (query: string) => `${query}&width=1&height=2`, 200],
    ["with another value", (query: string) => query.replace("foo=bar", "foo=baz"), 401],
    ["in another order", (query: string) => query.replace("foo=bar&x=y", "x=y&foo=bar"), 401],
    ["with one more", (query: string) => `${query}&more=1`, 401],
    ["with one less", (query: string) => query.replace("&x=y", ""), 401],
    ["signed twice", (query: string) => `${query}&${query.slice(query.indexOf("authSig="))}`, 401],
    ["without the signature", (query: string) => query.replace(/&authSig=.*/, ""), 401],
  ])("have the query that was signed: %s", async (_what, change, status) => {
    expect(await probe(change(await signed("/api/?foo=bar&x=y")))).toBe(status);
  });

  it("of people who are let in locally only come from nowhere else", async () => {
    const login = { username: `local-${transport}`, password: ownerPassword };
    const user = await node.authority.localLogins.createUser({ name: "Local", ...login, groupIds: [] });
    const { access_token, refresh_token } = await http.session(login);
    const code = await http.code(login);
    await node.authority.users.update(user.id, { localOnly: true });
    const afar = { "x-forwarded-for": "203.0.113.9" };
    const near = { "x-forwarded-for": "192.168.1.20" };
    const refused = {
      status: 403,
      body: { error: "access_denied", error_description: "User cannot authenticate remotely" },
    };
    const ask = (fields: Record<string, string>, headers: Record<string, string>) =>
      http.send("POST", "/auth/token", new URLSearchParams({ client_id, ...fields }), undefined, headers);
    for (const fields of [
      { grant_type: "authorization_code", code },
      { grant_type: "refresh_token", refresh_token },
    ]) {
      expect(await ask(fields, afar)).toEqual(refused);
      expect((await ask(fields, near)).status).toBe(200);
    }
    expect((await http.send("GET", "/api/", undefined, access_token, afar)).status).toBe(401);
    expect((await http.send("GET", "/api/", undefined, access_token, near)).status).toBe(200);
    const begun = await http.send(
      "POST",
      "/auth/login_flow",
      { client_id, handler: ["homeassistant", null], redirect_uri: "https://app.example/in" },
      undefined,
      afar,
    );
    const step = `/auth/login_flow/${String(begun.body.flow_id)}`;
    // From another address the flow is none. From afar the answer is that of a wrong password.
    expect((await http.send("POST", step, { client_id, ...login }, undefined, near)).status).toBe(404);
    expect(await http.send("POST", step, { client_id, ...login }, undefined, afar)).toMatchObject({
      status: 200,
      body: { type: "form", errors: { base: "invalid_auth" } },
    });
  });
});

it.each(transportNames)(
  "a signed path survives a restart on %s, and its session's end ends it",
  async (transport) => {
    const folder = temporaryFolder();
    const config = { transport, data: folder.path, tokens: { issuer: "https://gatehouse.test" } } as const;
    let node = await startNode(config);
    try {
      const owner = await setUpOwner(node.authority);
      const { session } = await node.authority.sessions.openLongLived({
        userId: owner.id,
        clientName: "signs",
        clientIcon: null,
        days: 1,
      });
      const path = await node.authority.signedPaths.sign(session.id, "/api/", 600);
      expect((await fetch(`${node.url}${path}`)).status).toBe(200);
      await node.stop();
      node = await startNode(config);
      expect((await fetch(`${node.url}${path}`)).status).toBe(200);
      expect((await fetch(`${node.url}${path}x`)).status).toBe(401);
      expect((await fetch(`${node.url}${path.replace("/api/?", "/api/?x=1&")}`)).status).toBe(401);
      await node.authority.revocation.revoke(
        { kind: "sessions", userId: owner.id, sessionIds: [session.id] },
        "session_revoked",
      );
      expect((await fetch(`${node.url}${path}`)).status).toBe(401);
    } finally {
      await node.stop();
      folder.remove();
    }
  },
);
