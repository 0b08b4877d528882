import { Secret, TOTP } from "otpauth";
import type { FactorSetupStep } from "../../../protocol/commands/factors.ts";
import type { FlowStep, FormStep, SessionGrant } from "../../../protocol/flow.ts";
import type { FlowAnswer, StartLogin } from "../../../src/auth/login/login-flows.ts";
import type { Peer, Principal, User } from "../../../src/auth/model.ts";
import { home, ownerLogin, type TestAuthority } from "../../support/authority.ts";

/** The code that an authenticator app with this secret (base32) shows at a time. */
export function codeAt(secret: string, now: number): string {
  return new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: now });
}

/** A code that is none of those that are accepted at this time. */
export function wrongCodeAt(secret: string, now: number): string {
  const good = [-30_000, 0, 30_000].map((shift) => codeAt(secret, now + shift));
  return ["000000", "111111", "222222", "333333"].find((code) => !good.includes(code)) ?? "";
}

/** A login flow at some node, with what continues it. */
export class Login {
  readonly #node: TestAuthority;
  readonly #peer: Peer;
  #answer: FlowAnswer | undefined;

  constructor(node: TestAuthority, peer: Peer = home) {
    this.#node = node;
    this.#peer = peer;
  }

  get answer(): FlowAnswer | undefined {
    return this.#answer;
  }

  get step(): FlowStep {
    if (this.#answer === undefined) throw new Error("the login has not begun");
    return this.#answer.step;
  }

  async begin(username: string, more: Partial<StartLogin> = {}): Promise<this> {
    await this.start(more);
    await this.send({ username, password: ownerLogin.password });
    return this;
  }

  async start(more: Partial<StartLogin> = {}): Promise<this> {
    const request: StartLogin = {
      handler: ["homeassistant", null],
      purpose: "session",
      clientId: "https://app.example/",
      clientName: null,
      redirectUri: null,
      codeChallenge: null,
      ...more,
    };
    this.#answer = await this.#node.authority.logins.start(request, this.#peer);
    return this;
  }

  /** `at`: another node that goes on with it. */
  async send(input: Readonly<Record<string, unknown>>, at: TestAuthority = this.#node): Promise<FlowStep> {
    const { flowSecret } = this.#answer ?? { flowSecret: "" };
    const claim = { flowId: this.step.flow_id, flowSecret };
    this.#answer = { ...(await at.authority.logins.advance({ ...claim, input }, this.#peer)), flowSecret };
    return this.step;
  }

  async cancel(at: TestAuthority = this.#node): Promise<FlowStep> {
    const { flowSecret = "" } = this.#answer ?? {};
    return await at.authority.logins.cancel({ flowId: this.step.flow_id, flowSecret });
  }

  async resume(at: TestAuthority): Promise<FlowStep> {
    const { flowSecret = "" } = this.#answer ?? {};
    return (await at.authority.logins.resume({ flowId: this.step.flow_id, flowSecret }, this.#peer)).step;
  }
}

export function shownIn(step: FlowStep | FactorSetupStep): Readonly<Record<string, string>> {
  if (step.type !== "form") throw new Error(`no form: ${JSON.stringify(step)}`);
  return step.description_placeholders ?? {};
}

export function formOf(step: FlowStep): FormStep {
  if (step.type !== "form") throw new Error(`no form: ${JSON.stringify(step)}`);
  return step;
}

export function grantOf(step: FlowStep): SessionGrant {
  if (step.type !== "create_entry" || typeof step.result === "string")
    throw new Error(`no session: ${JSON.stringify(step)}`);
  return step.result;
}

/** How a step ended the flow, or where it is. */
export function outcomeOf(step: FlowStep): string {
  if (step.type === "abort") return step.reason;
  return step.type === "form" ? (step.errors.base ?? step.step_id) : step.type;
}

export interface Enrolled {
  readonly user: User;
  readonly username: string;
  /** Of the authenticator app, base32. */
  readonly secret: string;
  /** Of the session on which it was set up. */
  readonly principal: Principal;
  readonly grant: SessionGrant;
}

/** A session of a password alone. */
export async function passwordSession(node: TestAuthority, username: string) {
  const login = await new Login(node).begin(username);
  const grant = grantOf(login.step);
  return { grant, principal: await node.principal(grant.access_token) };
}

/** Sets the authenticator app up on a session; gives its secret. */
export async function setUpTotp(node: TestAuthority, principal: Principal): Promise<string> {
  const { secondFactors } = node.authority;
  const form = await secondFactors.beginSetup("totp", principal);
  const { code: secret = "" } = shownIn(form);
  const input = { code: codeAt(secret, node.clock.now()) };
  const done = await secondFactors.advanceSetup(form.flow_id, input, principal);
  if (done.type !== "create_entry") throw new Error(`not set up: ${JSON.stringify(done)}`);
  // The code of the set-up is used up.
  node.clock.advance(30_000);
  return secret;
}

/** A new user who has set up an authenticator app. */
export async function enrolledUser(node: TestAuthority, username: string): Promise<Enrolled> {
  const { user } = await node.user(username);
  const { grant, principal } = await passwordSession(node, username);
  return { user, username, principal, grant, secret: await setUpTotp(node, principal) };
}
