import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { passwordLogin, refusedPassword } from "../../src/auth/providers/password-form.ts";
import type { LoginProvider } from "../../src/auth/providers/provider.ts";
import { ownerPassword, setUpOwner, startNode, transportNames } from "../support/gateway.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/*
 * What Home Assistant's own tests of its HTTP endpoints expect, case by case: the start and the steps of a login, tokens,
 * revocation, linking, onboarding, bearer tokens and signed paths.
 */

const client_id = "https://app.example/";
const redirect_uri = "https://app.example/in";
const local = ["homeassistant", null];
const notes = ["notes", null];
const paula = { username: "paula", password: ownerPassword };

/** A second way to log in, whose every user has the password `good`. */
const notesProvider: LoginProvider = {
  type: "notes",
  id: null,
  name: "Notes",
  supportsMfa: false,
  ...passwordLogin(async ({ username, password }) =>
    password === "good" ? { kind: "done", subject: username, amr: ["pwd"], evidence: [] } : refusedPassword,
  ),
};

type Answer = { readonly status: number; readonly body: Record<string, unknown> & { result?: string } };

class Requests {
  readonly url: string;
  constructor(url: string) {
    this.url = url;
  }

  async send(method: string, path: string, body?: object | URLSearchParams, token?: string): Promise<Answer> {
    const json = body !== undefined && !(body instanceof URLSearchParams);
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        ...(json ? { "content-type": "application/json" } : {}),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(body === undefined ? {} : { body: json ? JSON.stringify(body) : body }),
    });
    const text = await response.text();
    return { status: response.status, body: text === "" ? {} : JSON.parse(text) };
  }

  start(more: object = {}): Promise<Answer> {
    return this.send("POST", "/auth/login_flow", { client_id, handler: local, redirect_uri, ...more });
  }

  step(flowId: unknown, input: object): Promise<Answer> {
    return this.send("POST", `/auth/login_flow/${String(flowId)}`, { client_id, ...input });
  }

  async code(input: object, more: object = {}): Promise<string> {
    const { flow_id } = (await this.start(more)).body;
    const { body } = await this.step(flow_id, input);
    if (typeof body.result !== "string") throw new Error(`no code: ${JSON.stringify(body)}`);
    return body.result;
  }

  token(fields: Record<string, string>): Promise<Answer> {
    return this.send("POST", "/auth/token", new URLSearchParams(fields));
  }

  async session(): Promise<{ readonly access_token: string; readonly refresh_token: string }> {
    const code = await this.code(paula);
    const { body } = await this.token({ grant_type: "authorization_code", client_id, code });
    return body as { access_token: string; refresh_token: string };
  }

  link(body: object, token?: string): Promise<Answer> {
    return this.send("POST", "/auth/link_user", body, token);
  }

  linkCode(username: string, more: object = {}): Promise<string> {
    return this.code({ username, password: "good" }, { handler: notes, type: "link_user", ...more });
  }
}

describe.each(transportNames)("Home Assistant's endpoints on %s", (transport) => {
  let node: Awaited<ReturnType<typeof startNode>>;
  let http: Requests;
  let ownerId: string;
  beforeAll(async () => {
    node = await startNode({ transport }, { providers: (configured) => [...configured, notesProvider] });
    http = new Requests(node.url);
    expect(await http.send("GET", "/auth/providers"), "before there is an owner").toMatchObject({
      status: 400,
      body: { code: "onboarding_required" },
    });
    expect((await http.send("GET", "/api/onboarding")).body).toEqual([{ step: "user", done: false }]);
    ownerId = (await setUpOwner(node.authority)).id;
  });
  afterAll(() => node.stop());

  const subjects = async () => (await node.authority.credentials.list(ownerId)).map(({ subject }) => subject);

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

  describe("linking", () => {
    const unlink = async (subject: string) => {
      const found = (await node.authority.credentials.list(ownerId)).find((each) => each.subject === subject);
      if (found !== undefined)
        await node.authority.credentialRemovals.remove(ownerId, found.id, { keepLast: true });
    };
    it("gives the user another login, and is no error if the user has it", async () => {
      const { access_token } = await http.session();
      const code = await http.linkCode("paula@notes");
      const linked = { status: 200, body: { message: "User linked" } };
      expect(await http.link({ client_id, code }, access_token)).toEqual(linked);
      expect(await subjects()).toEqual(["paula", "paula@notes"]);
      const again = await http.linkCode("paula@notes");
      expect(await http.link({ client_id, code: again }, access_token)).toEqual(linked);
      for (const used of [code, again])
        expect((await http.link({ client_id, code: used }, access_token)).status).toBe(400);
      const login = await http.code({ username: "paula@notes", password: "good" }, { handler: notes });
      expect((await http.token({ grant_type: "authorization_code", client_id, code: login })).status).toBe(
        200,
      );
      const other = await http.link({ client_id, code: await http.linkCode("p2") }, access_token);
      expect(other).toMatchObject({ status: 409, body: { code: "credential_exists" } });
      await unlink("paula@notes");
    });
    it("refuses a login that is somebody else's, and uses the code up", async () => {
      const user = await node.authority.users.create({ name: "Olga", groupIds: [] });
      await node.authority.localLogins.create(user.id, "olga", ownerPassword);
      const { access_token } = await http.session();
      const code = await http.code({ username: "olga", password: ownerPassword }, { type: "link_user" });
      const refused = { status: 400, body: { message: "Credential already linked" } };
      expect(await http.link({ client_id, code }, access_token)).toMatchObject(refused);
      expect(await http.link({ client_id, code }, access_token)).toMatchObject({
        status: 400,
        body: { message: "Invalid code" },
      });
    });
    it.each([
      ["another client", { client_id: "https://other.example/" }],
      ["a client that is no URL", { client_id: "invalid" }],
      ["an unknown code", { code: "invalid" }],
    ])("refuses %s, and does not use the code up", async (_what, more) => {
      const { access_token } = await http.session();
      const code = await http.linkCode("paula@notes");
      const refused = await http.link({ client_id, code, ...more }, access_token);
      expect(refused).toMatchObject({ status: 400, body: { message: "Invalid code" } });
      expect(await subjects()).toEqual(["paula"]);
      expect((await http.link({ client_id, code }, access_token)).status).toBe(200);
      await unlink("paula@notes");
    });
    it("refuses a session of another client than the flow's", async () => {
      const { access_token } = await http.session();
      const other = { client_id: "https://other.example/", redirect_uri: "https://other.example/in" };
      const { flow_id } = (await http.start({ handler: notes, type: "link_user", ...other })).body;
      const { result: code } = (
        await http.step(flow_id, { ...other, redirect_uri: undefined, username: "x", password: "good" })
      ).body;
      const refused = await http.link({ client_id: other.client_id, code }, access_token);
      expect(refused).toMatchObject({ status: 400, body: { message: "Invalid code" } });
    });
    it("refuses who is not logged in, and whose login is no recent one", async () => {
      const code = await http.linkCode("paula@notes");
      expect((await http.link({ client_id, code })).status).toBe(401);
      expect((await http.link({ client_id, code }, "invalid")).status).toBe(401);
      const longLived = await node.authority.sessions.openLongLived({
        userId: ownerId,
        clientName: "link",
        clientIcon: null,
        days: 1,
      });
      expect(await http.link({ client_id, code }, longLived.accessToken)).toMatchObject({
        status: 403,
        body: { code: "recent_login_required" },
      });
      expect(await subjects()).toEqual(["paula"]);
    });
    it.each([
      [{}],
      [{ client_id }],
      [{ code: "x" }],
      [{ client_id, code: "x", extra: 1 }],
      [{ client_id: 1, code: 2 }],
    ])("answers %j with 400, never with a fault", async (body) => {
      const { access_token } = await http.session();
      expect(await http.link(body, access_token)).toMatchObject({
        status: 400,
        body: { code: "invalid_format" },
      });
    });
    it("has codes of its own: neither is good where the other one is", async () => {
      const { access_token } = await http.session();
      const login = await http.code(paula);
      expect((await http.link({ client_id, code: login }, access_token)).status).toBe(400);
      expect((await http.token({ grant_type: "authorization_code", client_id, code: login })).status).toBe(
        200,
      );
      const link = await http.linkCode("paula@notes");
      expect((await http.token({ grant_type: "authorization_code", client_id, code: link })).status).toBe(
        400,
      );
    });
    it("of one code many times at once links once", async () => {
      const { access_token } = await http.session();
      const code = await http.linkCode("paula@notes");
      const answers = await Promise.all(
        Array.from({ length: 10 }, () => http.link({ client_id, code }, access_token)),
      );
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 400]));
      expect(await subjects()).toEqual(["paula", "paula@notes"]);
      await unlink("paula@notes");
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
