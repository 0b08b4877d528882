import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import {
  assertionType,
  type ClientRig,
  clientRigs,
  deviceGrant,
  startClientRig,
} from "../support/client-rig.ts";
import { callback, newCode, sendForm } from "../support/registered-app.ts";
import { openSocket } from "../support/socket-client.ts";

const backend = "https://backend.example/";

describe.each(clientRigs)("on %s with the store %s:", (transport, store) => {
  let gateway: ClientRig["gateway"];
  let app: ClientRig["app"];
  let token: ClientRig["token"];
  let loggedIn: ClientRig["loggedIn"];
  beforeAll(async () => {
    ({ gateway, app, token, loggedIn } = await startClientRig(transport, store));
  });
  afterAll(() => gateway.stop());

  describe("scopes", () => {
    it("narrow what a token may do on the socket and over HTTP, and no refresh widens them", async () => {
      const own = await app({ authMethod: "none", scopes: ["openid", "profile", "api"] });
      const tokens = await loggedIn(own, { scope: "openid profile" });
      expect(tokens.scope).toBe("openid profile");
      const socket = await openSocket(gateway.port);
      expect(await socket.authenticate(tokens.access_token ?? "")).toMatchObject({ type: "auth_ok" });
      expect(await socket.call("ping")).toMatchObject({ type: "pong" });
      expect(await socket.call("auth/current_user")).toMatchObject({ success: true });
      for (const type of ["auth/refresh_tokens", "config/auth/list", "subscribe_events"])
        expect(await socket.call(type), type).toMatchObject({ error: { code: "insufficient_scope" } });
      const long = { client_name: "wide", lifespan: 1 };
      expect(await socket.call("auth/long_lived_access_token", long)).toMatchObject({
        error: { code: "insufficient_scope" },
      });
      const refreshed = await socket.call("auth/refresh", { refresh_token: tokens.refresh_token });
      expect(refreshed).toMatchObject({ success: true });
      expect(await socket.call("config/auth/list")).toMatchObject({ error: { code: "insufficient_scope" } });
      const { access_token, refresh_token } = refreshed.result as {
        access_token: string;
        refresh_token: string;
      };
      const probe = await fetch(`${gateway.url}/api/`, {
        headers: { authorization: `Bearer ${access_token}` },
      });
      expect(probe.status).toBe(403);
      const wider = { grant_type: "refresh_token", refresh_token, scope: "openid profile api" };
      expect(await token({ ...wider, client_id: own[0] })).toMatchObject({
        status: 400,
        body: { error: "invalid_scope" },
      });
      socket.close();
    });

    it("of which none is allowed are refused, and a client without one gets no page", async () => {
      const own = await app({ scopes: ["openid"] });
      await expect(newCode(gateway, { client_id: own[0], scope: "api" })).rejects.toThrow("invalid_scope");
      await expect(newCode(gateway, { client_id: own[0], scope: 'a"b' })).rejects.toThrow("invalid_scope");
      expect((await loggedIn(own)).scope).toBe("openid");
    });

    it("can be asked for by a client that nobody registered", async () => {
      const client_id = "https://app.example/";
      const wide = await loggedIn([client_id, ""]);
      expect(wide.scope).toBeUndefined();
      const narrow = await loggedIn([client_id, ""], { scope: "openid" });
      const asks = (access: string | undefined) =>
        fetch(`${gateway.url}/auth/userinfo`, { headers: { authorization: `Bearer ${access}` } });
      expect(await (await asks(narrow.access_token)).json()).toEqual({ sub: gateway.owner.id });
      const probe = { headers: { authorization: `Bearer ${narrow.access_token}` } };
      expect((await fetch(`${gateway.url}/api/`, probe)).status).toBe(403);
    });
  });

  describe("tokens for somebody else", () => {
    it("an access token of a backend opens nothing here, and an ID token is none", async () => {
      const own = await app();
      const { access_token = "", id_token = "" } = await loggedIn(own, { resource: backend });
      for (const each of [access_token, id_token]) {
        const socket = await openSocket(gateway.port);
        expect(await socket.authenticate(each)).toMatchObject({ type: "auth_invalid" });
        expect(await socket.closed).toMatchObject({ code: 4300 });
        const bearer = { headers: { authorization: `Bearer ${each}` } };
        expect((await fetch(`${gateway.url}/auth/userinfo`, bearer)).status).toBe(401);
      }
    });

    it("nothing that this gateway gives is taken where something else belongs", async () => {
      const own = await app({ grantTypes: ["authorization_code", "refresh_token", deviceGrant] });
      const tokens = await loggedIn(own, { scope: "openid profile api" });
      const { sid, sub } = decodeJwt<{ sid: string; sub: string }>(tokens.access_token ?? "");
      const { idTokens, devices, clients } = gateway.authority;
      const logout = (sessionId: string | null) =>
        idTokens.mintLogout({ clientId: own[0], userId: sub, sessionId });
      const client = await clients.find(own[0]);
      if (client === undefined) throw new Error("no client");
      const device = await devices.begin(client, { scope: null, resource: null }, { address: "192.0.2.1" });
      const push = { response_type: "code", redirect_uri: callback };
      const kinds = {
        access: tokens.access_token,
        refresh: tokens.refresh_token,
        id: tokens.id_token,
        logout: await logout(sid),
        logoutOfAll: await logout(null),
        code: (await newCode(gateway, { client_id: own[0] })).code,
        device: device.deviceCode,
        pushed: (await sendForm(`${gateway.url}/auth/par`, push, own)).body.request_uri,
      };
      const bearer = (path: string) => async (value: string) =>
        (await fetch(`${gateway.url}${path}`, { headers: { authorization: `Bearer ${value}` } })).ok;
      const grant = (fields: (value: string) => Record<string, string>) => async (value: string) =>
        (await token(fields(value), own)).status === 200;
      const places: Record<string, readonly [takes: string[], try_: (value: string) => Promise<boolean>]> = {
        socket: [
          ["access"],
          async (value) => {
            const socket = await openSocket(gateway.port);
            const { type } = await socket.authenticate(value);
            socket.close();
            return type === "auth_ok";
          },
        ],
        userinfo: [["access"], bearer("/auth/userinfo")],
        api: [["access"], bearer("/api/")],
        introspection: [
          ["access", "refresh"],
          async (value) =>
            String((await sendForm(`${gateway.url}/auth/introspect`, { token: value }, own)).body.active) ===
            "true",
        ],
        refresh: [["refresh"], grant((refresh_token) => ({ grant_type: "refresh_token", refresh_token }))],
        assertion: [
          [],
          async (client_assertion) =>
            (
              await token({
                grant_type: "client_credentials",
                client_assertion,
                client_assertion_type: assertionType,
              })
            ).status === 200,
        ],
        device: [[], grant((device_code) => ({ grant_type: deviceGrant, device_code }))],
        pushed: [
          [],
          async (request_uri) =>
            (
              await fetch(
                `${gateway.url}/auth/authorize?${new URLSearchParams({ client_id: own[0], request_uri })}`,
              )
            ).ok,
        ],
      };
      for (const [place, [takes, attempt]] of Object.entries(places))
        for (const [kind, value = ""] of Object.entries(kinds))
          if (place !== kind)
            expect([place, kind, await attempt(value)]).toEqual([place, kind, takes.includes(kind)]);
      for (const [kind, code = ""] of Object.entries(kinds))
        if (kind !== "code")
          expect(await token({ grant_type: "authorization_code", code }, own), kind).toMatchObject({
            status: 400,
          });
    });

    it("a resource that is not the client's is refused, also when the code is redeemed", async () => {
      const own = await app();
      await expect(
        newCode(gateway, { client_id: own[0], resource: "https://other.example/" }),
      ).rejects.toThrow("invalid_target");
      const code = await newCode(gateway, { client_id: own[0], resource: backend });
      expect(await token({ ...code, resource: "https://other.example/" }, own)).toMatchObject({
        status: 400,
        body: { error: "invalid_target" },
      });
      await expect(
        newCode(gateway, { client_id: "https://app.example/", resource: backend }),
      ).rejects.toThrow("invalid_target");
    });

    it("a client learns of its own tokens only, and a public one of none", async () => {
      const [own, other] = [await app(), await app({ resources: [] })];
      const reader = await app({ resources: [backend] });
      const publicApp = await app({ authMethod: "none" });
      const { access_token = "", refresh_token = "" } = await loggedIn(own, { resource: backend });
      const ask = async (fields: Record<string, string>, basic?: readonly [string, string]) =>
        await sendForm(`${gateway.url}/auth/introspect`, fields, basic);
      expect((await ask({ token: access_token }, own)).body).toMatchObject({
        active: true,
        scope: "openid profile api",
      });
      expect((await ask({ token: refresh_token }, own)).body).toMatchObject({
        active: true,
        client_id: own[0],
      });
      expect((await ask({ token: access_token }, reader)).body).toMatchObject({ active: true, aud: backend });
      for (const each of [access_token, refresh_token, "x"])
        expect((await ask({ token: each }, other)).body).toEqual({ active: false });
      expect((await ask({ token: refresh_token }, reader)).body).toEqual({ active: false });
      expect(await ask({ token: access_token, client_id: publicApp[0] })).toMatchObject({ status: 400 });
      expect(await ask({ token: access_token })).toMatchObject({ status: 401 });
      // Nor can it end the session of somebody else.
      await sendForm(`${gateway.url}/auth/revoke`, { token: refresh_token }, other);
      expect((await ask({ token: refresh_token }, own)).body).toMatchObject({ active: true });
      await sendForm(`${gateway.url}/auth/revoke`, { token: access_token }, own);
      expect((await ask({ token: refresh_token }, own)).body).toEqual({ active: false });
    });
  });

  describe("pushed requests", () => {
    it("are the client's own, and count whatever the address says beside them", async () => {
      const [own, other] = [await app({ requiresPushedRequests: true }), await app()];
      const push = (fields: Record<string, string>) =>
        sendForm(
          `${gateway.url}/auth/par`,
          { response_type: "code", redirect_uri: callback, ...fields },
          own,
        );
      expect(await push({ redirect_uri: "https://evil.example/" })).toMatchObject({ status: 400 });
      const pushed = await push({ scope: "openid" });
      expect(pushed).toMatchObject({ status: 201, body: { expires_in: 600 } });
      const { request_uri = "" } = pushed.body;
      await expect(newCode(gateway, { client_id: other[0], request_uri })).rejects.toThrow(
        "invalid_request_uri",
      );
      await expect(newCode(gateway, { client_id: own[0] })).rejects.toThrow("invalid_format");
      const code = await newCode(gateway, {
        client_id: own[0],
        request_uri,
        redirect_uri: "https://evil.example/",
        scope: "api",
      });
      const { code_verifier: _, ...withoutVerifier } = code;
      expect(await token(withoutVerifier, own)).toMatchObject({ status: 200, body: { scope: "openid" } });
      await expect(newCode(gateway, { client_id: own[0], request_uri })).rejects.toThrow(
        "invalid_request_uri",
      );
    });
  });
});
