import { afterAll, beforeAll, expect, it } from "vitest";

import type { FlowStep } from "../../../protocol/flow.ts";
import type { User } from "../../../src/auth/model.ts";
import { createHomeAssistantProvider } from "../../../src/auth/providers/homeassistant/provider.ts";
import type { LoginProvider } from "../../../src/auth/providers/provider.ts";
import { home, ownerLogin, startAuthority, type TestAuthority } from "../../support/authority.ts";
import { guestProvider } from "../../support/guest-provider.ts";
import { Login, outcomeOf, setUpTotp, shownIn } from "../factors/factor-people.ts";

/** Believes whoever says a name. `amr` is what it says that they have proved. */
function named(id: string, more: Partial<LoginProvider>, amr: readonly string[]): LoginProvider {
  const guests = guestProvider({ activate: true, groups: [] }, id);
  return {
    ...guests,
    supportsMfa: true,
    ...more,
    advance: async (_stepId, { name }) => ({ kind: "done", subject: String(name), amr, evidence: [] }),
  };
}

let node: TestAuthority;
let user: User;
const kinds = [
  ["proof", {}, ["user"]],
  ["proxy", { provesNothing: true }, []],
  ["silent", {}, []],
  ["network", { supportsMfa: false }, ["user"]],
] as const;
beforeAll(async () => {
  node = await startAuthority({
    providers: (tools) => [
      createHomeAssistantProvider(tools),
      ...kinds.map(([id, more, amr]) => named(id, more, amr)),
    ],
  });
  await node.owner();
  ({ user } = await node.user("hanna"));
  for (const [id] of kinds) {
    const { session } = await node.open(user.id);
    const linked = await new Login(node).start({
      handler: ["guest", id],
      purpose: "link",
      linking: { userId: user.id, sessionId: session.id },
      clientId: null,
    });
    expect((await linked.send({ name: `hanna of ${id}` })).type).toBe("create_entry");
  }
});
afterAll(() => node?.stop());

/** A step-up of a session whose login is an hour old. */
async function stepUp(handler: [string, string | null], more: object = {}) {
  const authenticatedAt = node.clock.now() - 3_600_000;
  const { session } = await node.open(user.id, { authenticatedAt, ...more });
  const login = await new Login(node).start({
    handler,
    purpose: "step_up",
    linking: { userId: user.id, sessionId: session.id },
    clientId: null,
  });
  const now = () => node.authority.sessions.get(session.id);
  return { session, login, now, authenticatedAt };
}
const byPassword = { username: "hanna", password: ownerLogin.password };

it("ways are the providers of the user's logins that prove something of the person", async () => {
  const ways = await node.authority.logins.waysOf(user.id, home);
  expect(ways.map(({ type, id }) => [type, id])).toEqual([
    ["homeassistant", null],
    ["guest", "proof"],
    ["guest", "silent"],
  ]);
  const { user: other } = await node.user("otto");
  expect((await node.authority.logins.waysOf(other.id, home)).map(({ type }) => type)).toEqual([
    "homeassistant",
  ]);
});

it.each(kinds.map(([id]) => id))("a proof of the provider %s", async (id) => {
  const { login, now, authenticatedAt } = await stepUp(["guest", id]);
  const step = await login.send({ name: `hanna of ${id}` });
  const raised = (await now())?.authenticatedAt !== authenticatedAt;
  expect([outcomeOf(step), raised]).toEqual(
    id === "proof" ? ["create_entry", true] : ["invalid_auth", false],
  );
});

it("a login that nobody has yet makes no user, and steps nobody up", async () => {
  const before = (await node.authority.users.list()).length;
  const { login, now, authenticatedAt } = await stepUp(["guest", "proof"]);
  expect(outcomeOf(await login.send({ name: "a stranger" }))).toBe("invalid_auth");
  expect((await node.authority.users.list()).length).toBe(before);
  expect((await now())?.authenticatedAt).toBe(authenticatedAt);
});

it("changes nothing of the session but its proof", async () => {
  const { session, login, now } = await stepUp(["homeassistant", null], { scope: "api" });
  expect((await login.send(byPassword)).type).toBe("create_entry");
  const after = await now();
  const proof = { assurance: 1, amr: ["pwd"], authenticatedAt: node.clock.now() };
  expect(after).toEqual({ ...session, ...proof, createdVersion: expect.any(Number) });
});

it("holds if the session is refreshed at the same moment, and so does the refresh", async () => {
  const authenticatedAt = node.clock.now() - 3_600_000;
  const { session, refreshToken } = await node.open(user.id, { authenticatedAt });
  const login = await new Login(node).start({
    handler: ["homeassistant", null],
    purpose: "step_up",
    linking: { userId: user.id, sessionId: session.id },
    clientId: null,
  });
  const refresh = { refreshToken, clientId: session.clientId, peer: home };
  const [step, grant] = await Promise.all([login.send(byPassword), node.authority.sessions.refresh(refresh)]);
  expect(step.type).toBe("create_entry");
  const after = await node.authority.sessions.get(session.id);
  expect(after).toMatchObject({ authenticatedAt: node.clock.now(), generation: grant.session.generation });
});

it("is nobody's for a session that has ended, and for a password that has changed meanwhile", async () => {
  const ended = await stepUp(["homeassistant", null]);
  const target = { kind: "sessions", userId: user.id, sessionIds: [ended.session.id] } as const;
  await node.authority.revocation.revoke(target, "session_revoked");
  await expect(ended.login.send(byPassword)).rejects.toMatchObject({ code: "unauthorized" });
  expect(await ended.now()).toBeUndefined();
});

it("as good as a client asks for at a login: a second factor that is set up or proved within it (RFC 9470)", async () => {
  const { user: nina } = await node.user("nina");
  const code = { purpose: "code", redirectUri: "https://app.example/back" } as const;
  const first = async (acrValues?: string): Promise<FlowStep> => {
    const login = await new Login(node).start({ ...code, acrValues });
    return await login.send({ username: "nina", password: ownerLogin.password });
  };
  expect(outcomeOf(await first())).toBe("create_entry");
  expect(outcomeOf(await first("aal2 aal1"))).toBe("create_entry");
  const setUp = await first("aal2");
  expect(outcomeOf(setUp)).toBe("mfa_setup");
  expect(shownIn(setUp).code).toMatch(/^[A-Z2-7]{32}$/);
  const { accessToken } = await node.open(nina.id);
  await setUpTotp(node, await node.principal(accessToken));
  expect(outcomeOf(await first("aal2"))).toMatch(/mfa/);
  await expect(first("urn:else")).rejects.toMatchObject({ code: "unmet_authentication_requirements" });
});
