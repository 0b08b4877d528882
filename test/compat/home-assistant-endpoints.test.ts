import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { ownerPassword, setUpOwner, startNode, transportNames } from "../support/gateway.ts";
import { client_id, local, notesProvider, paula, Requests } from "./home-assistant-requests.ts";

/*
 * What Home Assistant's own tests of its HTTP endpoints expect, case by case: the start and the steps of a login, tokens,
 * revocation and onboarding. Linking and bearer tokens have files of their own.
 */

describe.each(transportNames)("Home Assistant's endpoints on %s", (transport) => {
  let node: Awaited<ReturnType<typeof startNode>>;
  let http: Requests;
  beforeAll(async () => {
    node = await startNode({ transport }, { providers: (configured) => [...configured, notesProvider] });
    http = new Requests(node.url);
    expect(await http.send("GET", "/auth/providers"), "before there is an owner").toMatchObject({
      status: 400,
      body: { code: "onboarding_required" },
    });
    expect((await http.send("GET", "/api/onboarding")).body).toEqual([{ step: "user", done: false }]);
    await setUpOwner(node.authority);
  });
  afterAll(() => node.stop());

  describe("the start of a login", () => {
    it("lists the ways to log in", async () => {
      expect(await http.send("GET", "/auth/providers")).toMatchObject({
        status: 200,
        body: {
          providers: [
            { name: "Home Assistant Local", id: null, type: "homeassistant" },
            { name: "Notes", id: null, type: "notes" },
          ],
          preselect_remember_me: true,
        },
      });
    });
    it.each([
      ["no handler that exists", { handler: ["", null] }, 404],
      ["no handler", { handler: undefined }, 400],
      ["a client that is no URL", { client_id: "http://" }, 400],
      ["no client", { client_id: undefined }, 400],
      ["no redirect URI", { redirect_uri: undefined }, 400],
      ["a redirect URI of somebody else", { redirect_uri: "https://evil.example/" }, 403],
      ["a type that does not exist", { type: "other" }, 400],
      ["another key", { extra: true }, 400],
    ])("refuses %s", async (_what, more, status) => {
      expect((await http.start(more)).status).toBe(status);
    });
    it("is not read, only written", async () => {
      expect((await http.send("GET", "/auth/login_flow")).status).toBe(405);
      const { flow_id } = (await http.start()).body;
      expect((await http.send("GET", `/auth/login_flow/${String(flow_id)}`)).status).toBe(405);
    });
  });

  describe("the steps of a login", () => {
    it("give Home Assistant's form, error and code, key for key", async () => {
      const begun = await http.start();
      const form = {
        type: "form",
        flow_id: begun.body.flow_id,
        handler: local,
        step_id: "init",
        data_schema: [
          { name: "username", type: "string", required: true },
          { name: "password", type: "string", required: true },
        ],
        errors: {},
        description_placeholders: null,
        last_step: null,
        preview: null,
      };
      expect(begun).toEqual({ status: 200, body: form });
      const wrong = await http.step(begun.body.flow_id, { ...paula, password: "wrong" });
      expect(wrong).toEqual({ status: 200, body: { ...form, errors: { base: "invalid_auth" } } });
      expect(await http.step(begun.body.flow_id, paula)).toEqual({
        status: 200,
        body: {
          type: "create_entry",
          flow_id: begun.body.flow_id,
          handler: local,
          description: null,
          description_placeholders: null,
          result: expect.stringMatching(/^[0-9a-f]{32}$/),
        },
      });
    });
    it.each([
      ["a client that is no URL", { ...paula, client_id: "http://" }, 400, "Invalid client id"],
      ["a field that is missing", { username: "paula" }, 400, "User input malformed"],
      ["a field that is no text", { ...paula, password: 1 }, 400, "User input malformed"],
      ["a field that the form does not have", { ...paula, pin: "1" }, 400, "User input malformed"],
    ])("refuse %s", async (_what, input, status, message) => {
      const { flow_id } = (await http.start()).body;
      expect(await http.step(flow_id, input)).toMatchObject({ status, body: { message } });
    });
    it("are over when the client says so", async () => {
      const { flow_id } = (await http.start()).body;
      const path = `/auth/login_flow/${String(flow_id)}`;
      expect(await http.send("DELETE", path)).toEqual({ status: 200, body: { message: "Flow aborted" } });
      const unknown = { status: 404, body: { message: "Invalid flow specified" } };
      expect(await http.send("DELETE", path)).toMatchObject(unknown);
      expect(await http.step(flow_id, paula)).toMatchObject(unknown);
    });
  });

  describe("tokens", () => {
    it("are had for a code once, and work until they are revoked", async () => {
      const code = await http.code(paula);
      const fields = { grant_type: "authorization_code", client_id, code };
      const granted = await http.token(fields);
      expect(granted).toEqual({
        status: 200,
        body: {
          access_token: expect.any(String),
          token_type: "Bearer",
          refresh_token: expect.any(String),
          expires_in: 1800,
          ha_auth_provider: "homeassistant",
        },
      });
      const { access_token, refresh_token } = granted.body as Record<string, string>;
      if (access_token === undefined || refresh_token === undefined) throw new Error("no tokens");
      expect(await http.send("GET", "/api/", undefined, access_token)).toMatchObject({ status: 200 });
      const refreshed = await http.token({ grant_type: "refresh_token", client_id, refresh_token });
      expect(refreshed.status).toBe(200);
      expect(Object.keys(refreshed.body).sort()).toEqual(["access_token", "expires_in", "token_type"]);
      const revoked = await http.send("POST", "/auth/revoke", new URLSearchParams({ token: refresh_token }));
      expect(revoked).toEqual({ status: 200, body: {} });
      expect((await http.send("GET", "/api/", undefined, access_token)).status).toBe(401);
      expect(await http.token({ grant_type: "refresh_token", client_id, refresh_token })).toEqual({
        status: 400,
        body: { error: "invalid_grant" },
      });
    });
    it("are not had a second time for one code", async () => {
      const fields = { grant_type: "authorization_code", client_id, code: await http.code(paula) };
      expect((await http.token(fields)).status).toBe(200);
      expect(await http.token(fields)).toEqual({
        status: 400,
        body: { error: "invalid_request", error_description: "Invalid code" },
      });
    });
    const noCode = { error: "invalid_request", error_description: "Invalid code" };
    const noClient = { error: "invalid_request", error_description: "Invalid client id" };
    it.each([
      ["no grant type", {}, { error: "unsupported_grant_type" }],
      ["an unknown grant type", { grant_type: "other" }, { error: "unsupported_grant_type" }],
      ["a code without a client", { grant_type: "authorization_code", code: "x" }, noClient],
      [
        "a code of a client that is no URL",
        { grant_type: "authorization_code", client_id: "x", code: "x" },
        noClient,
      ],
      ["no code", { grant_type: "authorization_code", client_id }, noCode],
      ["an unknown code", { grant_type: "authorization_code", client_id, code: "x" }, noCode],
      ["no refresh token", { grant_type: "refresh_token", client_id }, { error: "invalid_request" }],
      [
        "an unknown refresh token",
        { grant_type: "refresh_token", client_id, refresh_token: "x" },
        { error: "invalid_grant" },
      ],
      [
        "a refresh of a client that is no URL",
        { grant_type: "refresh_token", client_id: "x", refresh_token: "x" },
        noClient,
      ],
    ])("are not had for %s", async (_what, fields, body) => {
      expect(await http.token(fields as unknown as Record<string, string>)).toEqual({ status: 400, body });
    });
    it("of another client are not refreshed", async () => {
      const { refresh_token } = await http.session();
      const fields = { grant_type: "refresh_token", refresh_token };
      const refused = { status: 400, body: { error: "invalid_request" } };
      expect(await http.token({ ...fields, client_id: "https://other.example/" })).toEqual(refused);
      expect(await http.token(fields)).toEqual(refused);
    });
    it("are had by pages of every origin", async () => {
      const headers = { origin: "https://elsewhere.example" };
      for (const path of ["/auth/token", "/auth/revoke"])
        for (const method of ["POST", "OPTIONS"]) {
          const { headers: answer } = await fetch(`${node.url}${path}`, { method, headers });
          expect(answer.get("access-control-allow-origin"), `${method} ${path}`).toBe(headers.origin);
        }
    });
    it("of a service are refreshed without a client, and not with one", async () => {
      const { refreshToken: refresh_token } = await node.authority.systemUsers.create({ name: "Service" });
      const fields = { grant_type: "refresh_token", refresh_token };
      expect((await http.token(fields)).status).toBe(200);
      expect(await http.token({ ...fields, client_id })).toEqual({
        status: 400,
        body: { error: "invalid_request" },
      });
    });
    it("end by the old way to revoke too, and an unknown one is no error", async () => {
      const { access_token, refresh_token } = await http.session();
      expect(await http.token({ action: "revoke", token: refresh_token })).toEqual({ status: 200, body: {} });
      expect((await http.send("GET", "/api/", undefined, access_token)).status).toBe(401);
      expect((await http.token({ action: "revoke", token: refresh_token })).status).toBe(200);
    });
  });

  describe("a user of whom nobody may log in any more", () => {
    it("gets 403 for a code that was good", async () => {
      const user = await node.authority.localLogins.createUser({
        name: "Ben",
        username: "ben",
        password: ownerPassword,
        groupIds: [],
      });
      const code = await http.code({ username: "ben", password: ownerPassword });
      await node.authority.users.update(user.id, { state: "deactivated" });
      expect(await http.token({ grant_type: "authorization_code", client_id, code })).toEqual({
        status: 403,
        body: { error: "access_denied", error_description: "User is not active" },
      });
    });
  });

  describe("onboarding", () => {
    it("is over once there is an owner", async () => {
      expect((await http.send("GET", "/api/onboarding")).body).toEqual([{ step: "user", done: true }]);
      const user = { setup_code: "x", name: "N", username: "n", password: ownerPassword, client_id };
      expect(await http.send("POST", "/api/onboarding/users", user)).toMatchObject({
        status: 403,
        body: { message: "User step already done" },
      });
    });
  });
});

it.each(transportNames)(
  "of many who set up %s at once one becomes the owner, and is logged in",
  async (transport) => {
    const node = await startNode({ transport });
    try {
      const http = new Requests(node.url);
      const setup_code = await node.authority.onboarding.setupCode();
      const setUp = (more: object = {}) =>
        http.send("POST", "/api/onboarding/users", {
          setup_code,
          name: "Paula",
          client_id,
          ...paula,
          ...more,
        });
      expect((await setUp({ client_id: "http://" })).status).toBe(400);
      expect((await setUp({ name: undefined })).status).toBe(400);
      expect((await setUp({ setup_code: "wrong" })).status).toBe(403);
      const answers = await Promise.all(Array.from({ length: 5 }, (_, at) => setUp({ username: `p${at}` })));
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 403, 403, 403, 403]);
      const code = String(answers.find(({ status }) => status === 200)?.body.auth_code);
      const granted = await http.token({ grant_type: "authorization_code", client_id, code });
      expect(granted.status).toBe(200);
      const token = String(granted.body.access_token);
      expect(await http.send("GET", "/api/", undefined, token)).toMatchObject({ status: 200 });
      expect((await http.send("GET", "/api/onboarding")).body).toEqual([{ step: "user", done: true }]);
    } finally {
      await node.stop();
    }
  },
);
