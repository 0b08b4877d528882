import { expect } from "vitest";

import type { FlowStep, FormStep, SessionGrant } from "../../../protocol/flow.ts";
import { AuthError } from "../../../src/auth/errors.ts";
import type { StartLogin } from "../../../src/auth/login/login-flows.ts";
import { recordKeys } from "../../../src/auth/record-keys.ts";
import { openSessionForCode } from "../../../src/auth/sessions/code-exchange.ts";
import type { RecordKey, Step } from "../../../src/auth/store.ts";
import { home, ownerLogin, type TestAuthority } from "../../support/authority.ts";
import type { CodeWebhook } from "../../support/code-webhook.ts";
import { eventually } from "../../support/eventually.ts";
import type { InterposedStore } from "../../support/interposed-store.ts";
import { type Proving, proving } from "../../support/scram-client.ts";
import { asksFor, Devices, wrongInput } from "./devices.ts";
import { Login } from "./factor-people.ts";

export const origin = "https://gatehouse.test";
const clientId = "https://app.example/";
export const waysIn = [
  "login",
  "code_login",
  "step",
  "wrong_step",
  "redeem",
  "refresh",
  "long_lived",
  "step_up",
] as const;
export const changes = ["set_up", "remove", "reset", "demand", "allow", "join", "leave"] as const;
type WayIn = (typeof waysIn)[number];
type Change = (typeof changes)[number];

const factorIds = ["totp", "notify", "webauthn", "recovery"] as const;
/** A form costs the test a hash, so most passwords are proved. */
const ways = [
  { handler: ["homeassistant", null], proves: true },
  { handler: ["guest", null], proves: false },
  { handler: ["guest", "proxy"], proves: false },
  { handler: ["passkey", null], proves: false },
  { handler: ["homeassistant", null], proves: true },
  { handler: ["homeassistant", null], proves: false },
] as const;

export interface Operation {
  readonly kind: WayIn | Change;
  readonly node: 0 | 1;
  readonly pick: number;
  /** The change is made at this node, right before the other one commits what a login gives, or after a step that gives nothing. */
  readonly meanwhile: Change | undefined;
}

interface Flow {
  readonly login: Login;
  readonly purpose: "session" | "code" | "step_up";
  /** Of a step-up: the session that it is for. */
  readonly sessionId: string | undefined;
  readonly handler: readonly [string, string | null];
  readonly proof: Proving | undefined;
  /** The test has sent what only somebody with the factor can send. */
  proved: boolean;
  /** The code that was sent for this flow. */
  message: string;
}

interface Held {
  readonly sessionId: string;
  readonly token: string;
  readonly refreshToken: string | undefined;
  proved: boolean;
}

export type Nodes = readonly [TestAuthority, TestAuthority];
interface WorldOptions {
  readonly nodes: Nodes;
  /** Of both nodes. */
  readonly store: InterposedStore;
  readonly phone: CodeWebhook;
}

/** These touch no session that is there already. */
const waysToOthers: readonly (WayIn | Change)[] = ["login", "code_login", "step", "wrong_step", "redeem"];
const isWayIn = (kind: WayIn | Change): kind is WayIn => (waysIn as readonly string[]).includes(kind);

/** A person, what they hold, and what is demanded of them. */
export class World {
  readonly #nodes: Nodes;
  readonly #username: string;
  readonly #userId: string;
  readonly #groupId: string;
  readonly #store: InterposedStore;
  readonly #phone: CodeWebhook;
  readonly #devices: Devices;
  #flows: Flow[] = [];
  #codes: { readonly code: string; readonly proved: boolean }[] = [];
  readonly #held: Held[] = [];
  #demanded = false;
  #isMember = false;
  /** What was rightly served while a second factor was demanded: its session's `amr`. */
  readonly servedByDemand: string[] = [];

  private constructor(options: WorldOptions, username: string, userId: string, groupId: string) {
    const { nodes, store, phone } = options;
    this.#nodes = nodes;
    this.#store = store;
    this.#phone = phone;
    this.#username = username;
    this.#userId = userId;
    this.#groupId = groupId;
    this.#devices = new Devices({ name: username, clock: nodes[0].clock, origin, phone });
  }

  static async create(options: WorldOptions, username: string): Promise<World> {
    const [node] = options.nodes;
    const { authority } = node;
    const { user } = await node.user(username);
    const { group } = await authority.groups.create({ name: username, policy: {} });
    const linking = { userId: user.id, sessionId: (await node.open(user.id)).session.id };
    for (const id of [null, "proxy"]) {
      const link = await new Login(node).start({ handler: ["guest", id], purpose: "link", linking });
      await link.send({ name: username });
    }
    await authority.revocation.revoke(
      { kind: "sessions", userId: user.id, sessionIds: [linking.sessionId] },
      "session_revoked",
    );
    return new World(options, username, user.id, group.id);
  }

  async run({ kind, node: at, pick, meanwhile }: Operation): Promise<void> {
    const node = this.#nodes[at];
    if (!isWayIn(kind)) return await this.#change(node, kind, pick);
    // Of two that change the same session the test would not know which came last.
    const isAlone =
      meanwhile === undefined ||
      !waysToOthers.includes(kind) ||
      pickOf(this.#flows, pick)?.purpose === "step_up";
    if (isAlone) return await this.#wayIn(node, kind, pick);
    let isDue = true;
    const change = async () => {
      isDue = false;
      await this.#change(node, meanwhile, pick);
    };
    this.#store.beforeCommit((step) => isDue && givesSomething(step), change);
    await this.#wayIn(this.#nodes[1 - at] ?? node, kind, pick);
    if (isDue) await change();
  }

  async #wayIn(node: TestAuthority, kind: WayIn, pick: number): Promise<void> {
    const flow = pickOf(this.#flows, pick);
    const asking = pickOf(this.#held, pick);
    switch (kind) {
      case "login":
      case "code_login":
        return await refusable(this.#start(node, kind === "login" ? "session" : "code", pick));
      case "step":
      case "wrong_step":
        if (flow !== undefined) await refusable(this.#step(node, flow, kind === "step", pick));
        return;
      case "redeem":
        return await refusable(this.#redeem(node, pickOf(this.#codes, pick)));
      case "refresh":
        if (asking?.refreshToken !== undefined)
          await refusable(this.#refresh(node, asking, asking.refreshToken));
        return;
      case "long_lived":
        if (asking !== undefined) await refusable(this.#longLived(node, asking));
        return;
      case "step_up":
        if (asking?.refreshToken !== undefined) await refusable(this.#stepUp(node, asking, pick));
        return;
    }
  }

  async #change(node: TestAuthority, kind: Change, pick: number): Promise<void> {
    const { secondFactors, groups } = node.authority;
    const member = { groupId: this.#groupId, userId: this.#userId };
    const asking = pickOf(this.#held, pick);
    const factorId = factorIds[pick % factorIds.length] ?? "totp";
    switch (kind) {
      case "set_up":
        if (asking !== undefined) await refusable(this.#setUp(node, asking, factorId));
        return;
      case "remove": {
        if (asking === undefined) return;
        const verdict = await node.authority.authentication.authenticate(asking.token, home);
        if (verdict.ok) await refusable(secondFactors.remove(factorId, verdict.principal));
        return;
      }
      case "reset":
        return await refusable(secondFactors.reset(this.#userId, pick % 2 ? factorId : undefined, null));
      case "demand":
      case "allow":
        await secondFactors.demand(this.#groupId, kind === "demand");
        this.#demanded = kind === "demand";
        return;
      case "join":
        await groups.addMember(member);
        this.#isMember = true;
        return;
      case "leave":
        await refusable(groups.removeMember(member));
        this.#isMember = false;
        return;
    }
  }

  async #start(node: TestAuthority, purpose: "session" | "code", pick: number): Promise<void> {
    const redirectUri = purpose === "code" ? "https://app.example/callback" : null;
    await this.#begin(node, purpose, pick, { redirectUri, clientId });
  }

  async #stepUp(node: TestAuthority, { sessionId }: Held, pick: number): Promise<void> {
    const linking = { userId: this.#userId, sessionId };
    await this.#begin(node, "step_up", pick, { linking, clientId: null });
  }

  async #begin(node: TestAuthority, purpose: Flow["purpose"], pick: number, more: Partial<StartLogin>) {
    const { handler, proves } = pickOf(ways, pick) ?? ways[0];
    const proof = proves ? proving(this.#username) : undefined;
    const initial = proof && { mechanism: proof.input.mechanism, response: proof.input.initial_response };
    const login = await new Login(node).start({ handler: [...handler], purpose, initial, ...more });
    this.#flows.push({
      login,
      purpose,
      sessionId: more.linking?.sessionId,
      handler,
      proof,
      proved: false,
      message: "",
    });
    if (this.#flows.length > 4) this.#flows.shift();
  }

  async #step(node: TestAuthority, flow: Flow, isRight: boolean, pick: number): Promise<void> {
    const before = flow.login.step;
    if (before.type !== "form") return;
    const sent = this.#phone.sentTo(this.#username).length;
    const input = isRight ? await this.#answerTo(before, flow, pick) : wrongInput(before, flow.message);
    const step = await flow.login.send(input, node);
    if (this.#phone.sentTo(this.#username).length > sent) flow.message = this.#devices.message;
    const isOver = step.type === "abort" || step.type === "create_entry";
    if (isOver) this.#flows = this.#flows.filter((other) => other !== flow);
    if (isRight && isTaken(before, step)) {
      const { step_id: stepId } = before;
      if (stepId === "mfa_setup" || stepId === "mfa_recovery") this.#devices.wasSetUp(before);
      // A passkey is two factors.
      flow.proved ||= stepId === "mfa" || stepId === "mfa_setup" || flow.handler[0] === "passkey";
    }
    if (step.type === "create_entry") this.#keep(flow, step.result);
  }

  #keep(flow: Flow, result: string | SessionGrant): void {
    if (flow.purpose === "step_up") {
      // What was proved before counts no more.
      for (const held of this.#held) if (held.sessionId === flow.sessionId) held.proved = flow.proved;
    } else if (typeof result === "string") this.#codes.push({ code: result, proved: flow.proved });
    else
      this.#held.push({
        sessionId: result.session_id,
        token: result.access_token,
        refreshToken: result.refresh_token,
        proved: flow.proved,
      });
  }

  async #answerTo(step: FormStep, flow: Flow, pick: number): Promise<Readonly<Record<string, string>>> {
    if (flow.handler[0] === "passkey" && step.step_id === "init")
      return this.#devices.toLogIn(step, this.#userId);
    switch (step.step_id) {
      case "select_mfa_module":
      case "select_mfa_setup":
        return { multi_factor_auth_module: pickOf(step.data_schema[0]?.options ?? [], pick)?.[0] ?? "" };
      case "mfa":
        return this.#devices.toProve(step, flow.message);
      case "mfa_setup":
      case "mfa_recovery":
        return this.#devices.toSetUp(step, flow.message);
      case "scram": {
        const { client_final } = (await flow.proof?.final(step, ownerLogin.password)) ?? { client_final: "" };
        return { client_final };
      }
      default:
        return asksFor(step, "password")
          ? { username: this.#username, password: ownerLogin.password }
          : { name: this.#username };
    }
  }

  async #redeem(node: TestAuthority, found: { readonly code: string; readonly proved: boolean } | undefined) {
    if (found === undefined) return;
    this.#codes = this.#codes.filter((other) => other !== found);
    const exchange = { code: found.code, clientId, rotates: true, peer: home };
    const { session, accessToken, refreshToken } = await openSessionForCode(node.authority, exchange);
    this.#held.push({ sessionId: session.id, token: accessToken, refreshToken, proved: found.proved });
  }

  async #refresh(node: TestAuthority, { sessionId, proved }: Held, refreshToken: string): Promise<void> {
    const grant = await node.authority.sessions.refresh({ refreshToken, clientId, peer: home });
    this.#held.push({ sessionId, token: grant.accessToken, refreshToken: grant.refreshToken, proved });
  }

  async #longLived(node: TestAuthority, { sessionId, proved }: Held): Promise<void> {
    const { session, accessToken } = await node.authority.sessions.openLongLived({
      userId: this.#userId,
      clientName: `script ${this.#held.length}`,
      clientIcon: null,
      days: 1,
      askedBy: sessionId,
    });
    this.#held.push({ sessionId: session.id, token: accessToken, refreshToken: undefined, proved });
  }

  async #setUp(node: TestAuthority, asking: Held, factorId: string): Promise<void> {
    const verdict = await node.authority.authentication.authenticate(asking.token, home);
    if (!verdict.ok) return;
    const { secondFactors } = node.authority;
    let step = await secondFactors.beginSetup(factorId, verdict.principal);
    let form = step;
    while (step.type === "form") {
      form = step;
      const input = this.#devices.toSetUp(form, this.#devices.message);
      step = await secondFactors.advanceSetup(form.flow_id, input, verdict.principal);
      if (step.type === "form" && Object.keys(step.errors).length > 0) return;
    }
    if (step.type !== "create_entry") return;
    this.#devices.wasSetUp(form);
    if (factorId === "recovery") return;
    for (const held of this.#held) if (held.sessionId === asking.sessionId) held.proved = true;
  }

  /**
   * Asks both nodes for everybody. The one that made the change serves nobody below it from the moment that it said so. The
   * other one hears of it from the log.
   */
  async check({ node: at }: Operation): Promise<void> {
    await this.#judgedBy(this.#nodes[at]);
    for (const node of this.#nodes)
      await eventually("a node that serves nobody below", () => this.#judgedBy(node));
  }

  async #judgedBy(node: TestAuthority): Promise<true> {
    const { sessions, authentication, secondFactors } = node.authority;
    const factors = await secondFactors.of(this.#userId);
    const hasOne = factors.some(({ id, enabled }) => enabled && id !== "recovery");
    const mustBeProved = hasOne || (this.#demanded && this.#isMember);
    for (const { token, sessionId, proved } of this.#held) {
      const verdict = await authentication.authenticate(token, home);
      if (!verdict.ok || !mustBeProved) continue;
      expect(proved).toBe(true);
      expect((await sessions.get(sessionId))?.assurance).toBe(2);
      this.servedByDemand.push(verdict.principal.amr.join("+"));
    }
    return true;
  }
}

const given = [recordKeys.session(""), recordKeys.code(""), recordKeys.factors("")].map(kindOf);

/** A session, a code or a factor. */
function givesSomething({ put = [] }: Step): boolean {
  return put.some(({ key }) => given.includes(kindOf(key)));
}

function kindOf(key: RecordKey): string {
  return key.slice(0, key.indexOf(":"));
}

/** Whoever sent the right thing at a form was believed. */
function isTaken(before: FormStep, after: FlowStep): boolean {
  if (after.type === "abort") return false;
  const asksAgain = after.type === "form" && after.step_id === before.step_id;
  return !asksAgain;
}

function pickOf<Item>(list: readonly Item[], pick: number): Item | undefined {
  return list[pick % Math.max(1, list.length)];
}

/** What an operation is refused with is not looked at here. Anything but a refusal fails the test. */
async function refusable(work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!(error instanceof AuthError)) throw error;
  });
}
