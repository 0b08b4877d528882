import { afterAll, beforeAll, expect, it } from "vitest";

import type { FlowStep } from "../../../protocol/flow.ts";
import type { User } from "../../../src/auth/model.ts";
import { createHomeAssistantProvider } from "../../../src/auth/providers/homeassistant/provider.ts";
import type { LoginProvider } from "../../../src/auth/providers/provider.ts";
import type { Step } from "../../../src/auth/store.ts";
import { home, ownerLogin, startAuthority, type TestAuthority } from "../../support/authority.ts";
import { guestProvider } from "../../support/guest-provider.ts";
import { handClock } from "../../support/hand-clock.ts";
import { type InterposedStore, interposedEmbeddedStore } from "../../support/interposed-store.ts";
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
let store: InterposedStore;
let closeStore: () => Promise<void>;
let user: User;
const kinds = [
  ["proof", {}, ["user"]],
  ["proxy", { vouchesOnly: true }, []],
  ["silent", {}, []],
  ["network", { supportsMfa: false }, ["user"]],
] as const;
beforeAll(async () => {
  const clock = handClock();
  ({ store, close: closeStore } = await interposedEmbeddedStore(clock));
  node = await startAuthority({
    store,
    clock,
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
afterAll(async () => {
  await node?.stop();
  await closeStore?.();
});

/** A step-up of a session whose login is an hour old. */
async function stepUp(handler: [string, string | null], more: object = {}) {
  const authenticatedAt = node.clock.now() - 3_600_000;
  const owned = await node.authority.credentials.list(user.id);
  const credential = owned.find(({ providerType }) => providerType === "homeassistant") ?? null;
  const { session, refreshToken } = await node.open(user.id, { credential, authenticatedAt, ...more });
  const login = await new Login(node).start({
    handler,
    purpose: "step_up",
    linking: { userId: user.id, sessionId: session.id },
    clientId: null,
  });
  const now = () => node.authority.sessions.get(session.id);
  return { session, refreshToken, login, now, authenticatedAt };
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
  const before = { scope: "api", assurance: 2, amr: ["hwk", "user", "mfa"] };
  const { session, login, now } = await stepUp(["homeassistant", null], before);
  expect((await login.send(byPassword)).type).toBe("create_entry");
  const after = await now();
  // What was proved earlier is no newer because of this login.
  const proof = { assurance: 1, amr: ["pwd"], authenticatedAt: node.clock.now() };
  expect(after).toEqual({ ...session, ...proof, createdVersion: expect.any(Number) });
});

/** Just before the commit that raises the session. */
function meanwhile(sessionId: string, run: () => Promise<unknown>): void {
  const raises = ({ put = [], remove = [] }: Step) =>
    remove.length > 0 && put.some(({ value }) => value.id === sessionId);
  store.beforeCommit(raises, run);
}

it("holds if the session is refreshed at the same moment, and so does the refresh", async () => {
  const { session, refreshToken, login, now } = await stepUp(["homeassistant", null]);
  const refresh = { refreshToken, clientId: session.clientId, peer: home };
  let generation = 0;
  meanwhile(session.id, async () => {
    ({ generation } = (await node.authority.sessions.refresh(refresh)).session);
  });
  expect((await login.send(byPassword)).type).toBe("create_entry");
  expect(generation).toBe(session.generation + 1);
  expect(await now()).toMatchObject({ authenticatedAt: node.clock.now(), generation });
});

it("does not hold if the login that it is about is removed at the same moment", async () => {
  const { session, login, now, authenticatedAt } = await stepUp(["guest", "proof"]);
  const owned = await node.authority.credentials.list(user.id);
  const { id = "" } = owned.find(({ providerId }) => providerId === "proof") ?? {};
  meanwhile(session.id, () => node.authority.credentialRemovals.remove(user.id, id, { keepLast: true }));
  expect(outcomeOf(await login.send({ name: "hanna of proof" }))).toBe("invalid_auth");
  expect(await now()).toMatchObject({ authenticatedAt });
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
