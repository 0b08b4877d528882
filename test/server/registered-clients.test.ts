import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { ClientRegistration } from "../../src/auth/clients/registered-clients.ts";
import { type ClientRig, clientRigs, startClientRig } from "../support/client-rig.ts";
import { ownerPassword } from "../support/gateway.ts";
import { callback, newCode, registration, sendForm } from "../support/registered-app.ts";
import { openSocket } from "../support/socket-client.ts";

describe.each(clientRigs)("on %s with the store %s:", (transport, store) => {
  let gateway: ClientRig["gateway"];
  let app: ClientRig["app"];
  let token: ClientRig["token"];
  let loggedIn: ClientRig["loggedIn"];
  let issuer: string;
  beforeAll(async () => {
    ({ gateway, app, token, loggedIn, issuer } = await startClientRig(transport, store));
  });
  afterAll(() => gateway.stop());

  describe("what is bound to a client", () => {
    it("a code of another client opens nothing, and stays good for its own", async () => {
      const [own, other] = [await app(), await app()];
      const code = await newCode(gateway, { client_id: own[0] });
      expect(await token(code, other)).toMatchObject({ status: 400, body: { error: "invalid_grant" } });
      expect(await token(code, own)).toMatchObject({ status: 200 });
    });

    it("a refresh token of a client with a secret is worth nothing without it, on the socket neither", async () => {
      const [own, other] = [await app(), await app()];
      const { refresh_token = "", access_token = "" } = await loggedIn(own);
      const refresh = { grant_type: "refresh_token", refresh_token };
      expect(await token({ ...refresh, client_id: own[0] })).toMatchObject({
        status: 400,
        body: { error: "invalid_client" },
      });
      expect(await token(refresh, other)).toMatchObject({ status: 400, body: { error: "invalid_grant" } });
      expect(await token(refresh)).toMatchObject({ status: 400, body: { error: "invalid_request" } });
      const socket = await openSocket(gateway.port);
      for (const fields of [{ client_id: own[0] }, {}])
        expect(await socket.call("auth/login/refresh", { refresh_token, ...fields })).toMatchObject({
          error: { code: "invalid_client" },
        });
      const inside = await openSocket(gateway.port);
      await inside.authenticate(access_token);
      expect(await inside.call("auth/refresh", { refresh_token })).toMatchObject({
        error: { code: "invalid_client" },
      });
      expect(await token(refresh, own)).toMatchObject({ status: 200 });
      for (const each of [socket, inside]) each.close();
    });

    it("a client without the grant type refreshes nowhere, though a login on the socket gives it a token", async () => {
      const [client_id] = await app({ authMethod: "none", redirectUris: [], grantTypes: ["login"] });
      const socket = await openSocket(gateway.port);
      const start = { handler: ["homeassistant", null], client_id };
      const { flow_id } = (await socket.call("auth/login/start", start)).result as { flow_id: string };
      const user_input = { username: "paula", password: ownerPassword };
      const { result } = await socket.call("auth/login/step", { flow_id, user_input });
      const { refresh_token } = (result as { result: { refresh_token: string } }).result;
      await socket.find(({ type }) => type === "auth_ok", "auth_ok");
      const refused = { error: { code: "unauthorized_client" } };
      expect(await socket.call("auth/refresh", { refresh_token })).toMatchObject(refused);
      const another = await openSocket(gateway.port);
      expect(await another.call("auth/login/refresh", { refresh_token, client_id })).toMatchObject(refused);
      for (const each of [socket, another]) each.close();
    });

    it("a session for a backend is not refreshed on the socket", async () => {
      const own = await app({ authMethod: "none" });
      const { refresh_token = "" } = await loggedIn(own, { resource: "https://backend.example/" });
      const socket = await openSocket(gateway.port);
      const fields = { refresh_token, client_id: own[0] };
      expect(await socket.call("auth/login/refresh", fields)).toMatchObject({
        error: { code: "invalid_target" },
      });
      socket.close();
      expect(await token({ grant_type: "refresh_token", ...fields })).toMatchObject({ status: 200 });
    });

    it("a long-lived token of its session has its scopes, and ends with the client", async () => {
      const own = await app({ scopes: ["openid", "api"] });
      const socket = await openSocket(gateway.port);
      await socket.authenticate((await loggedIn(own)).access_token ?? "");
      const asked = { client_name: `kept by ${own[0]} on ${transport}`, lifespan: 3650 };
      const { result: kept } = await socket.call("auth/long_lived_access_token", asked);
      const holder = await openSocket(gateway.port);
      await holder.authenticate(kept as string);
      const userinfo = () =>
        fetch(`${gateway.url}/auth/userinfo`, { headers: { authorization: `Bearer ${kept}` } });
      expect(await (await userinfo()).json()).toEqual({ sub: gateway.owner.id });
      await gateway.authority.clients.remove(own[0]);
      expect(await holder.closed).toMatchObject({ code: 4301 });
      expect((await userinfo()).status).toBe(401);
    });

    it("no secret comes in a URL", async () => {
      const asked = { grant_type: "refresh_token", refresh_token: "x", token: "x" };
      for (const path of ["token", "introspect"])
        for (const name of ["client_secret", "client_assertion"])
          expect(await sendForm(`${gateway.url}/auth/${path}?${name}=x`, asked)).toMatchObject({
            status: 400,
            body: { code: "token_in_url" },
          });
    });

    it("a code goes to no redirect URI that the client has lost since", async () => {
      const own = await app({ redirectUris: [callback, "https://app.example/new"] });
      const code = await newCode(gateway, { client_id: own[0] });
      await gateway.authority.clients.update(own[0], { redirectUris: ["https://app.example/new"] });
      expect(await token(code, own)).toMatchObject({ status: 400, body: { error: "invalid_grant" } });
    });

    it("only what a client is registered for is granted", async () => {
      const { user } = await gateway.authority.systemUsers.create({ name: "grants" });
      const codes = await app({ grantTypes: ["authorization_code"] });
      const service = await app({ grantTypes: ["client_credentials"], userId: user.id, redirectUris: [] });
      expect(await token({ grant_type: "client_credentials" }, codes)).toMatchObject({
        body: { error: "unauthorized_client" },
      });
      expect(await token({ grant_type: "refresh_token", refresh_token: "x" }, service)).toMatchObject({
        body: { error: "unauthorized_client" },
      });
      expect((await loggedIn(codes)).refresh_token).toBeUndefined();
      const socket = await openSocket(gateway.port);
      const start = { handler: ["homeassistant", null], client_id: codes[0] };
      expect(await socket.call("auth/login/start", start)).toMatchObject({
        error: { code: "unauthorized_client" },
      });
      socket.close();
    });

    it.each<[string, string]>([
      ["another path", "https://app.example/callback2"],
      ["a path below", "https://app.example/callback/x"],
      ["a query", "https://app.example/callback?x=1"],
      ["another case", "https://APP.example/callback"],
      ["a port", "https://app.example:443/callback"],
      ["a user", "https://x@app.example/callback"],
      ["a dot segment", "https://app.example/x/../callback"],
      ["another scheme", "http://app.example/callback"],
      ["localhost on another port", "http://localhost:9999/back"],
      ["loopback with another path", "http://127.0.0.1:9999/other"],
      ["a host that begins like loopback", "http://127.0.0.1.evil.example/back"],
      ["a user before loopback", "http://127.0.0.1@evil.example/back"],
      ["loopback with a port that is none", "http://127.0.0.1:99999/back"],
      ["a script", "javascript:alert(1)"],
    ])("no code goes to %s", async (_, redirect_uri) => {
      const redirectUris = [callback, "http://127.0.0.1/back", "http://localhost:1/back"];
      const [client_id] = await app({ redirectUris });
      await expect(newCode(gateway, { client_id, redirect_uri })).rejects.toThrow(
        /invalid_redirect_uri|invalid_format/,
      );
    });

    it.each([
      "http://127.0.0.1:51234/back",
      "http://127.0.0.1/back",
      "http://[::1]:8/back",
      "com.example.app:/cb",
    ])("an app on the person's machine gets its code at %s", async (redirect_uri) => {
      const redirectUris = ["http://127.0.0.1/back", "http://[::1]/back", "com.example.app:/cb"];
      const own = await app({ redirectUris, authMethod: "none" });
      const code = await newCode(gateway, { client_id: own[0], redirect_uri });
      expect(await token({ ...code, client_id: own[0], redirect_uri })).toMatchObject({ status: 200 });
    });

    it("a public client needs PKCE, on the page and on the socket", async () => {
      const [client_id] = await app({ authMethod: "none" });
      const asked = new URLSearchParams({ response_type: "code", client_id, redirect_uri: callback });
      const page = await fetch(`${gateway.url}/auth/authorize?${asked}`);
      expect([page.status, await page.text()]).toEqual([400, expect.stringContaining("invalid_format")]);
      const socket = await openSocket(gateway.port);
      const start = { handler: ["homeassistant", null], for: "code", client_id, redirect_uri: callback };
      expect(await socket.call("auth/login/start", start)).toMatchObject({
        error: { code: "invalid_format" },
      });
      socket.close();
    });

    it("prompt=none goes back with login_required, but to registered addresses only", async () => {
      const [client_id] = await app();
      const ask = async (fields: Record<string, string>) => {
        const asked = new URLSearchParams({
          response_type: "code",
          redirect_uri: callback,
          prompt: "none",
          state: "s&s",
          ...fields,
        });
        return await fetch(`${gateway.url}/auth/authorize?${asked}`, { redirect: "manual" });
      };
      const back = await ask({ client_id });
      expect(back.status).toBe(303);
      expect(Object.fromEntries(new URL(back.headers.get("location") ?? "").searchParams)).toEqual({
        error: "login_required",
        state: "s&s",
        iss: issuer,
      });
      expect(await ask({ client_id: "https://app.example/" })).toMatchObject({ status: 400 });
      const own = await app();
      const asked = { response_type: "code", redirect_uri: callback, prompt: "none", state: "pushed" };
      const { status, body } = await sendForm(`${gateway.url}/auth/par`, asked, own);
      expect(status).toBe(201);
      const pushed = new URLSearchParams({ client_id: own[0], request_uri: body.request_uri ?? "" });
      const sent = await fetch(`${gateway.url}/auth/authorize?${pushed}`, { redirect: "manual" });
      expect(new URL(sent.headers.get("location") ?? "").searchParams.get("error")).toBe("login_required");
      expect(new URL(sent.headers.get("location") ?? "").searchParams.get("state")).toBe("pushed");
    });
  });

  describe("a client that is changed", () => {
    it("gets nothing from a login that began before, beyond what it may have now", async () => {
      const person = { username: "paula", password: ownerPassword };
      const begin = async (changes: Partial<ClientRegistration>, asked: Readonly<Record<string, string>>) => {
        const own = await app({ authMethod: "none", ...changes });
        const socket = await openSocket(gateway.port);
        const start = { handler: ["homeassistant", null], client_id: own[0], ...asked };
        const { result } = await socket.call("auth/login/start", start);
        const { flow_id } = result as { flow_id: string };
        const finish = () => socket.call("auth/login/step", { flow_id, user_input: person });
        return { own, socket, finish };
      };
      const login = { grantTypes: ["login"], redirectUris: [], scopes: ["profile", "api"] } as const;
      const narrowed = await begin(login, {});
      await gateway.authority.clients.update(narrowed.own[0], { scopes: ["profile"] });
      expect(await narrowed.finish()).toMatchObject({ result: { type: "create_entry" } });
      expect(await narrowed.socket.call("auth/refresh_tokens")).toMatchObject({
        error: { code: "insufficient_scope" },
      });
      const removed = await begin(login, {});
      await gateway.authority.clients.remove(removed.own[0]);
      expect(await removed.finish()).toMatchObject({ error: { code: "invalid_client" } });
      for (const { socket } of [narrowed, removed]) socket.close();
    });

    it("loses its sessions and sockets when it is removed, or may do less", async () => {
      for (const change of [
        (id: string) => gateway.authority.clients.remove(id),
        (id: string) => gateway.authority.clients.update(id, { scopes: ["openid"] }),
      ]) {
        const own = await app();
        const tokens = await loggedIn(own);
        const socket = await openSocket(gateway.port);
        await socket.authenticate(tokens.access_token ?? "");
        await change(own[0]);
        expect(await socket.closed).toMatchObject({ code: 4301 });
        const refresh = { grant_type: "refresh_token", refresh_token: tokens.refresh_token ?? "" };
        expect((await token(refresh, own)).status).toBeGreaterThanOrEqual(400);
      }
    });

    it("keeps them when it may do more, and its old secret ends with a new one", async () => {
      const own = await app({ scopes: ["openid"] });
      const tokens = await loggedIn(own);
      await gateway.authority.clients.update(own[0], { scopes: ["openid", "api"] });
      const { secret } = await gateway.authority.clients.renewSecret(own[0]);
      const refresh = { grant_type: "refresh_token", refresh_token: tokens.refresh_token ?? "" };
      expect(await token(refresh, own)).toMatchObject({ status: 401 });
      expect(await token(refresh, [own[0], secret ?? ""])).toMatchObject({
        status: 200,
        body: { scope: "openid" },
      });
    });

    it.each<[string, string, Partial<ClientRegistration>]>([
      ["an id that is a URL", "invalid_format", { id: "https://app.example/" }],
      ["the id that stands for no client", "invalid_format", { id: "gatehouse" }],
      ["an id as long as a code", "invalid_format", { id: "a".repeat(32) }],
      ["a redirect URI that runs code", "invalid_format", { redirectUris: ["javascript:alert(1)"] }],
      ["a redirect URI with a fragment", "invalid_format", { redirectUris: ["https://app.example/#x"] }],
      ["a redirect URI without a scheme", "invalid_format", { redirectUris: ["/callback"] }],
      ["codes without a redirect URI", "invalid_format", { redirectUris: [] }],
      [
        "a private key",
        "invalid_format",
        { authMethod: "private_key_jwt", jwks: { keys: [{ kty: "EC", d: "x" }] } },
      ],
      ["keys beside a secret", "invalid_format", { jwks: { keys: [{ kty: "EC" }] } }],
      ["no keys", "invalid_format", { authMethod: "private_key_jwt" }],
      [
        "a key that is none",
        "invalid_format",
        { authMethod: "private_key_jwt", jwks: { keys: [{ kty: "EC", crv: "P-256", x: "AA", y: "AA" }] } },
      ],
      [
        "a symmetric key",
        "invalid_format",
        { authMethod: "private_key_jwt", jwks: { keys: [{ kty: "oct", k: "x" }] } },
      ],
      [
        "client_credentials of a public client",
        "invalid_format",
        { authMethod: "none", grantTypes: ["client_credentials"] },
      ],
      ["logins on the socket with a secret", "invalid_format", { grantTypes: ["login"] }],
      [
        "a person for client_credentials",
        "not_found",
        { grantTypes: ["client_credentials"], userId: "owner" },
      ],
    ])("cannot have %s", async (_, code, changes) => {
      const userId = changes.userId === "owner" ? gateway.owner.id : (changes.userId ?? null);
      const register = gateway.authority.clients.register({
        ...registration,
        id: "wrong",
        ...changes,
        userId,
      });
      await expect(register).rejects.toMatchObject({ code });
    });
  });
});
