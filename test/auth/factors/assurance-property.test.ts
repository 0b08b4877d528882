import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";

import type { FlowStep } from "../../../protocol/flow.ts";
import { AuthError } from "../../../src/auth/errors.ts";
import { createHomeAssistantProvider } from "../../../src/auth/providers/homeassistant/provider.ts";
import { openSessionForCode } from "../../../src/auth/sessions/code-exchange.ts";
import { home, ownerLogin, startAuthority, type TestAuthority } from "../../support/authority.ts";
import { eventually } from "../../support/eventually.ts";
import { guestProvider } from "../../support/guest-provider.ts";
import { codeAt, Login, shownIn } from "./factor-people.ts";

/*
 * Random orders of logins and step-ups at several providers, set-up and removal of factors, demands of groups, and everything that makes
 * a session of another one, on two nodes. After each operation both nodes are asked for every token that was ever given:
 * whoever is served has a session whose person has proved a factor, if that is demanded at that moment. Whether they
 * have, the test notes by what it has sent itself.
 */

const budget = { attempts: 10_000, refillMs: 1 };
const clientId = "https://app.example/";
const operations = [
  "login",
  "code_login",
  "step",
  "wrong_step",
  "redeem",
  "refresh",
  "long_lived",
  "step_up",
] as const;
const changes = ["set_up", "remove", "reset", "demand", "allow", "join", "leave"] as const;

interface Operation {
  readonly kind: (typeof operations)[number] | (typeof changes)[number];
  readonly node: 0 | 1;
  readonly pick: number;
}

interface Flow {
  readonly login: Login;
  readonly purpose: "session" | "code" | "step_up";
  /** Of a step-up: the session that it is for. */
  readonly sessionId?: string;
  /** The test has sent what only somebody with the factor can send. */
  proved: boolean;
}

interface Held {
  readonly sessionId: string;
  readonly token: string;
  readonly refreshToken: string | undefined;
  proved: boolean;
}

let nodes: readonly [TestAuthority, TestAuthority];
beforeAll(async () => {
  const first = await startAuthority({
    loginBudgets: { pair: budget, address: budget, account: budget, secondFactor: budget },
    providers: (tools) => [
      createHomeAssistantProvider(tools),
      guestProvider(),
      { ...guestProvider(undefined, "proxy"), supportsMfa: true },
    ],
  });
  await first.owner();
  nodes = [first, await first.another()];
});
afterAll(() => nodes?.[0].stop());

class World {
  readonly #username: string;
  readonly #userId: string;
  readonly #groupId: string;
  #flows: Flow[] = [];
  #codes: { readonly code: string; readonly proved: boolean }[] = [];
  readonly held: Held[] = [];
  #secret: string | undefined;
  #demanded = false;
  #isMember = false;
  served = 0;
  demandedWhileServed = 0;

  private constructor(username: string, userId: string, groupId: string) {
    this.#username = username;
    this.#userId = userId;
    this.#groupId = groupId;
  }

  static async create(username: string): Promise<World> {
    const [{ authority }] = nodes;
    const { user } = await nodes[0].user(username);
    const { group } = await authority.groups.create({ name: username, policy: {} });
    const linking = { userId: user.id, sessionId: (await nodes[0].open(user.id)).session.id };
    for (const id of [null, "proxy"]) {
      const link = await new Login(nodes[0]).start({ handler: ["guest", id], purpose: "link", linking });
      await link.send({ name: username });
    }
    await authority.revocation.revoke(
      { kind: "sessions", userId: user.id, sessionIds: [linking.sessionId] },
      "session_revoked",
    );
    return new World(username, user.id, group.id);
  }

  get #mustBeProved(): boolean {
    return this.#secret !== undefined || (this.#demanded && this.#isMember);
  }

  async run({ kind, node: at, pick }: Operation): Promise<void> {
    const node = nodes[at];
    const pickOf = <Item>(list: readonly Item[]): Item | undefined => list[pick % Math.max(1, list.length)];
    const { secondFactors, groups } = node.authority;
    const ended = async (work: Promise<unknown>) => {
      await work.catch((error: unknown) => {
        if (!(error instanceof AuthError)) throw error;
      });
    };
    const asking = pickOf(this.held);
    switch (kind) {
      case "login":
      case "code_login":
        return await ended(this.#start(node, kind === "login" ? "session" : "code", pick));
      case "step":
      case "wrong_step":
        return await ended(this.#step(node, pickOf(this.#flows), kind === "step"));
      case "redeem":
        return await ended(this.#redeem(node, pickOf(this.#codes)));
      case "refresh":
        if (asking?.refreshToken !== undefined) await ended(this.#refresh(node, asking, asking.refreshToken));
        return;
      case "long_lived":
        if (asking !== undefined) await ended(this.#longLived(node, asking));
        return;
      case "step_up":
        if (asking?.refreshToken !== undefined) await ended(this.#stepUp(node, asking));
        return;
      case "set_up":
        if (asking !== undefined) await ended(this.#setUp(node, asking));
        return;
      case "remove": {
        if (asking === undefined) return;
        const verdict = await node.authority.authentication.authenticate(asking.token, home);
        if (!verdict.ok) return;
        await ended(
          secondFactors.remove("totp", verdict.principal).then(() => {
            this.#secret = undefined;
          }),
        );
        return;
      }
      case "reset":
        await secondFactors.reset(this.#userId, undefined, null);
        this.#secret = undefined;
        return;
      case "demand":
      case "allow":
        await secondFactors.demand(this.#groupId, kind === "demand");
        this.#demanded = kind === "demand";
        return;
      case "join":
        await groups.addMember({ groupId: this.#groupId, userId: this.#userId });
        this.#isMember = true;
        return;
      case "leave":
        await ended(groups.removeMember({ groupId: this.#groupId, userId: this.#userId }));
        this.#isMember = false;
        return;
    }
  }

  async #start(node: TestAuthority, purpose: "session" | "code", pick: number): Promise<void> {
    const redirectUri = purpose === "code" ? "https://app.example/callback" : null;
    const handler = (
      [
        ["homeassistant", null],
        ["guest", null],
        ["guest", "proxy"],
      ] as const
    )[pick % 3] as [string, string | null];
    const login = await new Login(node).start({ handler, purpose, redirectUri, clientId });
    this.#flows.push({ login, purpose, proved: false });
    if (this.#flows.length > 4) this.#flows.shift();
  }

  async #stepUp(node: TestAuthority, { sessionId }: Held): Promise<void> {
    const linking = { userId: this.#userId, sessionId };
    const handler: [string, null] = ["homeassistant", null];
    const login = await new Login(node).start({ handler, purpose: "step_up", linking, clientId: null });
    this.#flows.push({ login, purpose: "step_up", sessionId, proved: false });
  }

  async #step(node: TestAuthority, flow: Flow | undefined, right: boolean): Promise<void> {
    if (flow === undefined || flow.login.step.type !== "form") return;
    const { step_id: stepId } = flow.login.step;
    const before = flow.login.step;
    const step = await flow.login.send(right ? this.#answerTo(before) : wrongAnswerTo(before), node);
    const isOver = step.type === "abort" || step.type === "create_entry";
    const refused = step.type === "abort" || (step.type === "form" && step.errors.base !== undefined);
    if (right && !refused && (stepId === "mfa" || stepId === "mfa_setup")) flow.proved = true;
    if (right && !refused && stepId === "mfa_setup") this.#secret = shownIn(before).code;
    if (isOver) this.#flows = this.#flows.filter((other) => other !== flow);
    if (step.type !== "create_entry") return;
    if (flow.purpose === "step_up") {
      // What was proved before counts no more.
      for (const held of this.held) if (held.sessionId === flow.sessionId) held.proved = flow.proved;
    } else if (typeof step.result === "string") this.#codes.push({ code: step.result, proved: flow.proved });
    else
      this.held.push({
        sessionId: step.result.session_id,
        token: step.result.access_token,
        refreshToken: step.result.refresh_token,
        proved: flow.proved,
      });
  }

  #answerTo(step: FlowStep): Readonly<Record<string, string>> {
    if (step.type !== "form") return {};
    const [{ clock }] = nodes;
    if (step.step_id === "select_mfa_module") return { multi_factor_auth_module: "totp" };
    if (step.step_id === "mfa_recovery") return {};
    if (step.step_id === "mfa_setup") return { code: codeAt(shownIn(step).code ?? "", clock.now()) };
    if (step.step_id === "mfa") {
      clock.advance(60_000);
      return { code: this.#secret === undefined ? "000000" : codeAt(this.#secret, clock.now()) };
    }
    if (step.data_schema.some(({ name }) => name === "password"))
      return { username: this.#username, password: ownerLogin.password };
    return { name: this.#username };
  }

  async #redeem(node: TestAuthority, found: { readonly code: string; readonly proved: boolean } | undefined) {
    if (found === undefined) return;
    this.#codes = this.#codes.filter((other) => other !== found);
    const exchange = { code: found.code, clientId, rotates: true, peer: home };
    const { session, accessToken, refreshToken } = await openSessionForCode(node.authority, exchange);
    this.held.push({ sessionId: session.id, token: accessToken, refreshToken, proved: found.proved });
  }

  async #refresh(node: TestAuthority, { sessionId, proved }: Held, refreshToken: string): Promise<void> {
    const grant = await node.authority.sessions.refresh({ refreshToken, clientId, peer: home });
    this.held.push({ sessionId, token: grant.accessToken, refreshToken: grant.refreshToken, proved });
  }

  async #longLived(node: TestAuthority, { sessionId, proved }: Held): Promise<void> {
    const { session, accessToken } = await node.authority.sessions.openLongLived({
      userId: this.#userId,
      clientName: `script ${this.held.length}`,
      clientIcon: null,
      days: 1,
      askedBy: sessionId,
    });
    this.held.push({ sessionId: session.id, token: accessToken, refreshToken: undefined, proved });
  }

  async #setUp(node: TestAuthority, asking: Held): Promise<void> {
    const verdict = await node.authority.authentication.authenticate(asking.token, home);
    if (!verdict.ok) return;
    const { secondFactors } = node.authority;
    const form = await secondFactors.beginSetup("totp", verdict.principal);
    const { code: secret = "" } = shownIn(form);
    const input = { code: codeAt(secret, nodes[0].clock.now()) };
    const done = await secondFactors.advanceSetup(form.flow_id, input, verdict.principal);
    if (done.type !== "create_entry") return;
    this.#secret = secret;
    for (const held of this.held) if (held.sessionId === asking.sessionId) held.proved = true;
  }

  /**
   * Asks both nodes for everybody. The one that made the change serves nobody below it from the moment that it said so. The
   * other one hears of it from the log.
   */
  async check({ node: at }: Operation): Promise<void> {
    await this.#judgedBy(nodes[at]);
    for (const node of nodes) await eventually("a node that serves nobody below", () => this.#judgedBy(node));
  }

  async #judgedBy(node: TestAuthority): Promise<true> {
    for (const { token, sessionId, proved } of this.held) {
      const verdict = await node.authority.authentication.authenticate(token, home);
      if (!verdict.ok) continue;
      this.served += 1;
      if (!this.#mustBeProved) continue;
      this.demandedWhileServed += 1;
      expect(proved).toBe(true);
      expect((await node.authority.sessions.get(sessionId))?.assurance).toBe(2);
    }
    return true;
  }
}

function wrongAnswerTo(step: FlowStep): Readonly<Record<string, string>> {
  if (step.type !== "form") return {};
  return Object.fromEntries(
    step.data_schema.map(({ name, options }) => [
      name,
      options?.[0]?.[0] ?? (name === "name" ? "wrong" : "x"),
    ]),
  );
}

it("nobody is served below what policy demands at that moment", async () => {
  let count = 0;
  let demandedWhileServed = 0;
  const operation: fc.Arbitrary<Operation> = fc.record({
    kind: fc.oneof(
      { weight: 5, arbitrary: fc.constantFrom("step" as const, "login" as const) },
      { weight: 2, arbitrary: fc.constantFrom(...operations) },
      { weight: 2, arbitrary: fc.constantFrom(...changes) },
    ),
    node: fc.constantFrom(0 as const, 1 as const),
    pick: fc.nat(11),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 20, maxLength: 50 }), async (run) => {
      const world = await World.create(`person${count++}`);
      for (const each of run) {
        await world.run(each);
        await world.check(each);
      }
      demandedWhileServed += world.demandedWhileServed;
    }),
    { numRuns: 25, endOnFailure: true },
  );
  // It has looked at what it is about.
  expect(demandedWhileServed).toBeGreaterThan(0);
}, 300_000);
