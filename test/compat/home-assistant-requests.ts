import { passwordLogin, refusedPassword } from "../../src/auth/providers/password-form.ts";
import type { LoginProvider } from "../../src/auth/providers/provider.ts";
import { ownerPassword } from "../support/gateway.ts";

export const client_id = "https://app.example/";
export const redirect_uri = "https://app.example/in";
export const local = ["homeassistant", null];
export const notes = ["notes", null];
export const paula = { username: "paula", password: ownerPassword };

/** A second way to log in, whose every user has the password `good`. */
export const notesProvider: LoginProvider = {
  type: "notes",
  id: null,
  name: "Notes",
  supportsMfa: false,
  ...passwordLogin(async ({ username, password }) =>
    password === "good" ? { kind: "done", subject: username, amr: ["pwd"], evidence: [] } : refusedPassword,
  ),
};

export type Answer = {
  readonly status: number;
  readonly body: Record<string, unknown> & { result?: string };
};

/** What Home Assistant's clients send. */
export class Requests {
  readonly url: string;
  constructor(url: string) {
    this.url = url;
  }

  async send(
    method: string,
    path: string,
    body?: object | URLSearchParams,
    token?: string,
    more: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const json = body !== undefined && !(body instanceof URLSearchParams);
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        ...(json ? { "content-type": "application/json" } : {}),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...more,
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

  async session(
    login: object = paula,
    more: object = {},
  ): Promise<{ readonly access_token: string; readonly refresh_token: string }> {
    const code = await this.code(login, more);
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
