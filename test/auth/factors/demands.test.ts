import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { createFactors } from "../../../src/auth/factors/factor-types.ts";
import type { Peer } from "../../../src/auth/model.ts";
import { createHomeAssistantProvider } from "../../../src/auth/providers/homeassistant/provider.ts";
import { recordKeys } from "../../../src/auth/record-keys.ts";
import { openSessionForCode } from "../../../src/auth/sessions/code-exchange.ts";
import type { Step } from "../../../src/auth/store.ts";
import { home, startAuthority, type TestAuthority } from "../../support/authority.ts";
import { guestProvider } from "../../support/guest-provider.ts";
import { interposedEmbeddedStore } from "../../support/interposed-store.ts";
import { codeOf } from "../login/login-domain.ts";
import {
  codeAt,
  enrolledUser,
  formOf,
  grantOf,
  Login,
  outcomeOf,
  passwordSession,
  setUpTotp,
  shownIn,
} from "./factor-people.ts";

let node: TestAuthority;
let other: TestAuthority;
beforeEach(async () => {
  node = await startAuthority({
    providers: (tools) => [
      createHomeAssistantProvider(tools),
      // As trusted networks: it proves nothing of the person.
      guestProvider({ activate: true, groups: ["system-users"] }),
      { ...guestProvider(undefined, "proxy"), supportsMfa: true },
    ],
  });
  await node.owner();
  other = await node.another();
});
afterEach(() => node.stop());

const now = () => node.clock.now();
const isServed = async (token: string, at = node) =>
  (await at.authority.authentication.authenticate(token, home)).ok;

async function inGroup(userId: string) {
  const { group } = await node.authority.groups.create({ name: "Strict", policy: {} });
  await node.authority.groups.addMember({ groupId: group.id, userId });
  return group.id;
}

describe("a group that demands a second factor", () => {
  it("has its members set one up within the login, with recovery codes", async () => {
    const { user } = await node.user("ada");
    await node.authority.secondFactors.demand(await inGroup(user.id), true);
    const login = await new Login(node).begin("ada");
    const form = formOf(login.step);
    expect(form).toMatchObject({ step_id: "mfa_setup", data_schema: [{ name: "code", type: "string" }] });
    const { code: secret = "", qr_code, url } = shownIn(form);
    expect(qr_code).toMatch(/^<svg /);
    expect(url).toContain("otpauth://totp/");
    expect(await login.resume(other)).toEqual({ ...form, errors: {} });
    expect(outcomeOf(await login.send({ code: "000000" }))).toBe("invalid_code");
    const shown = await login.send({ code: codeAt(secret, now()) }, other);
    expect(formOf(shown)).toMatchObject({ step_id: "mfa_recovery", data_schema: [] });
    expect(shownIn(shown).codes?.split("\n")).toHaveLength(10);
    const { access_token } = grantOf(await login.send({}));
    expect(await node.principal(access_token)).toMatchObject({ assurance: 2, amr: ["pwd", "otp", "mfa"] });
    expect(await node.authority.secondFactors.of(user.id)).toEqual([
      { id: "totp", name: "Authenticator app", enabled: true },
      { id: "recovery", name: "Recovery codes", enabled: true },
    ]);
    node.clock.advance(30_000);
    expect(outcomeOf((await new Login(node).begin("ada")).step)).toBe("select_mfa_module");
  });

  it("gives no second one to somebody who came with the same password at the same time", async () => {
    const { user } = await node.user("bob");
    await node.authority.secondFactors.demand(await inGroup(user.id), true);
    const [mine, theirs] = [await new Login(node).begin("bob"), await new Login(other).begin("bob")];
    const secrets = [mine, theirs].map(({ step }) => shownIn(step).code ?? "");
    expect(outcomeOf(await mine.send({ code: codeAt(secrets[0] ?? "", now()) }))).toBe("mfa_recovery");
    expect(outcomeOf(await theirs.send({ code: codeAt(secrets[1] ?? "", now()) }))).toBe("not_allowed");
  });

  it("ends sessions from a time without the demand, if a login from before sets the factor up", async () => {
    const { user } = await node.user("lou");
    const groupId = await inGroup(user.id);
    const { secondFactors } = node.authority;
    await secondFactors.demand(groupId, true);
    const login = await new Login(node).begin("lou");
    await secondFactors.demand(groupId, false);
    const { grant } = await passwordSession(node, "lou");
    await login.send({ code: codeAt(shownIn(login.step).code ?? "", now()) });
    expect(await isServed(grant.access_token)).toBe(false);
  });

  it("ends the sessions of its members that are below, also long-lived tokens, and those of who joins", async () => {
    const [{ user: member }, { user: joins }] = [await node.user("cyd"), await node.user("dan")];
    const groupId = await inGroup(member.id);
    const sessions = [await passwordSession(node, "cyd"), await passwordSession(other, "dan")] as const;
    const token = await node.authority.sessions.openLongLived({
      userId: member.id,
      clientName: "script",
      clientIcon: null,
      days: 1,
    });
    await node.authority.secondFactors.demand(groupId, true);
    expect(await node.authority.sessions.list(member.id)).toEqual([]);
    expect(await isServed(sessions[0].grant.access_token)).toBe(false);
    expect(await isServed(token.accessToken)).toBe(false);
    expect(await isServed(sessions[1].grant.access_token)).toBe(true);
    await node.authority.users.update(joins.id, { groupIds: [groupId] });
    expect(await isServed(sessions[1].grant.access_token)).toBe(false);
    expect(await node.authority.sessions.list(joins.id)).toEqual([]);
    const { user: added } = await node.user("ray");
    await passwordSession(node, "ray");
    await node.authority.groups.addMember({ groupId, userId: added.id });
    expect(await node.authority.sessions.list(added.id)).toEqual([]);
    const asked = { userId: joins.id, clientName: "new", clientIcon: null, days: 1 };
    expect(await codeOf(node.authority.sessions.openLongLived(asked))).toBe("access_denied");
  });

  it("keeps the last factor of a member, and asks nothing once it demands nothing, or is deleted", async () => {
    const { principal, user, secret } = await enrolledUser(node, "eve");
    const groupId = await inGroup(user.id);
    const { secondFactors, groups } = node.authority;
    await secondFactors.demand(groupId, true);
    expect(await secondFactors.demandingGroups()).toEqual([groupId]);
    expect(await codeOf(secondFactors.remove("totp", principal))).toBe("disable_failed");
    expect(secret).not.toBe("");
    await secondFactors.demand(groupId, false);
    await secondFactors.remove("totp", principal);
    expect((await new Login(node).begin("eve")).step.type).toBe("create_entry");
    await secondFactors.demand(groupId, true);
    const group = await groups.get(groupId);
    await groups.delete(groupId, group?.version ?? 0);
    expect(await secondFactors.demandingGroups()).toEqual([]);
    expect((await new Login(node).begin("eve")).step.type).toBe("create_entry");
  });

  it("gives no factor after the password was changed", async () => {
    const { user } = await node.user("pia");
    await node.authority.secondFactors.demand(await inGroup(user.id), true);
    const login = await new Login(node).begin("pia");
    const code = codeAt(shownIn(login.step).code ?? "", now());
    await node.authority.localLogins.setPassword(user.id, "another horse battery");
    expect(outcomeOf(await login.send({ code }))).toBe("not_allowed");
    expect((await node.authority.secondFactors.of(user.id)).some(({ enabled }) => enabled)).toBe(false);
  });

  it("gives no factor to a login that was taken from whoever came with it", async () => {
    const { user } = await node.user("mia");
    await node.authority.secondFactors.demand(await inGroup(user.id), true);
    const login = await new Login(node).begin("mia");
    const code = codeAt(shownIn(login.step).code ?? "", now());
    const [credential] = await node.authority.credentials.list(user.id);
    await node.authority.credentialRemovals.remove(user.id, credential?.id ?? "", { keepLast: false });
    expect(outcomeOf(await login.send({ code }))).toBe("not_allowed");
    expect((await node.authority.secondFactors.of(user.id)).some(({ enabled }) => enabled)).toBe(false);
  });

  it("has the owner prove one like every administrator, whatever groups the owner is in", async () => {
    const { secondFactors, ownership, sessions, users } = node.authority;
    await secondFactors.demand("system-admin", true);
    const { user } = await node.user("eve");
    const { grant } = await passwordSession(node, "eve");
    expect(await isServed(grant.access_token)).toBe(true);
    await ownership.transfer(user.id, null);
    expect(await isServed(grant.access_token)).toBe(false);
    expect(await sessions.list(user.id)).toEqual([]);
    expect(outcomeOf((await new Login(node).begin("eve")).step)).toBe("mfa_setup");
    await secondFactors.demand("system-admin", false);
    const again = await passwordSession(node, "eve");
    await secondFactors.demand("system-admin", true);
    expect(await isServed(again.grant.access_token)).toBe(false);
    expect((await users.read(user.id))?.user.groupIds).toEqual(["system-users"]);
  });

  const gainingRights = {
    "an update of the user": (userId, groupId) =>
      cutNode.authority.users.update(userId, { groupIds: [groupId] }),
    "a new membership": (userId, groupId) => cutNode.authority.groups.addMember({ groupId, userId }),
    "a new owner": (userId) => cutNode.authority.ownership.transfer(userId, null),
  } satisfies Record<string, (userId: string, groupId: string) => Promise<unknown>>;
  let cutNode: TestAuthority;

  it.each(Object.keys(gainingRights) as (keyof typeof gainingRights)[])(
    "has ended what is below by the commit of %s, so a node that stops right after it leaves nothing",
    async (way) => {
      const { store, close } = await interposedEmbeddedStore(node.clock);
      cutNode = await startAuthority({ store, clock: node.clock });
      await cutNode.owner();
      const { user } = await cutNode.user("kim");
      const { group } = await cutNode.authority.groups.create({ name: "Strict", policy: {} });
      for (const id of [group.id, "system-admin"]) await cutNode.authority.secondFactors.demand(id, true);
      const { grant } = await passwordSession(cutNode, "kim");
      const stopped = () => Promise.reject(new Error("stopped"));
      const writesUser = ({ put = [] }: Step) => put.some(({ key }) => key === recordKeys.user(user.id));
      store.beforeCommit(writesUser, async () => {
        store.beforeCommit((step) => step.put !== undefined, stopped);
      });
      await gainingRights[way](user.id, group.id).catch(() => undefined);
      expect(await isServed(grant.access_token, cutNode)).toBe(false);
      expect(await cutNode.authority.sessions.list(user.id)).toEqual([]);
      await cutNode.stop();
      await close();
    },
  );

  it("asks services for nothing", async () => {
    await node.authority.secondFactors.demand("system-admin", true);
    const { refreshToken } = await node.authority.systemUsers.create({
      name: "backup",
      groupIds: ["system-admin"],
    });
    const refreshed = await node.authority.sessions.refresh({ refreshToken, clientId: null, peer: home });
    expect(await isServed(refreshed.accessToken)).toBe(true);
  });
});

it("an operator is told of factors that are not configured, and of what nobody can set up", async () => {
  const { user } = await enrolledUser(node, "abe");
  await node.authority.secondFactors.demand("system-admin", true);
  expect(await node.authority.secondFactors.warnings()).toEqual([]);
  const bare = await startAuthority({
    store: node.store,
    clock: node.clock,
    factors: (tools) => createFactors([{ type: "recovery" }], tools),
  });
  const { secondFactors } = bare.authority;
  expect(await secondFactors.warnings()).toEqual([
    "no second factor is configured that people can set up, and these groups demand one, so their members cannot log in: system-admin",
    "1 person has set up the second factor totp, which is not configured: without another one the person cannot log in until it is reset",
  ]);
  expect(await secondFactors.allOf(user.id)).toEqual([
    { id: "recovery", name: "Recovery codes", enabled: false },
    { id: "totp", name: "totp", enabled: true },
  ]);
  await bare.stop();
});

it.each([
  ["http://127.0.0.1:8123", {}, true],
  ["https://[2001:db8::1]", {}, true],
  ["http://gate.example.org", {}, true],
  ["https://gate.example.org", { rp_id: "example.com" }, true],
  ["https://gate.example.org", { rp_id: "example.org" }, false],
  ["https://gate.example.org", {}, false],
  ["http://localhost:8123", {}, false],
  ["http://127.0.0.1:8123", { rp_id: "example.org", origins: ["https://www.example.org"] }, false],
])("whether browsers give keys to the pages of %s with %o is told", async (address, options, isTold) => {
  const other = await startAuthority({
    publicUrl: () => address,
    factors: (tools) => createFactors([{ type: "webauthn", ...options }], tools),
  });
  const warnings = await other.authority.secondFactors.warnings();
  await other.stop();
  expect(warnings.map((text) => text.includes(`no key to the pages of ${address}`))).toEqual(
    isTold ? [true] : [],
  );
});

describe("no other way goes around a factor", () => {
  it("not its absence from the configuration", async () => {
    const { user } = await enrolledUser(node, "noa");
    const bare = await startAuthority({
      store: node.store,
      clock: node.clock,
      factors: (tools) => createFactors([{ type: "totp", id: "app" }], tools),
    });
    expect(outcomeOf((await new Login(bare).begin("noa")).step)).toBe("not_allowed");
    await bare.authority.secondFactors.reset(user.id, undefined, null);
    expect(outcomeOf((await new Login(bare).begin("noa")).step)).toBe("create_entry");
    await bare.stop();
  });

  it("not a refresh of a session that a cut-short change has left", async () => {
    const { user } = await node.user("fay");
    const { grant } = await passwordSession(node, "fay");
    const groupId = await inGroup(user.id);
    // The demand alone, as a node writes it that dies before it ends sessions.
    const key = recordKeys.factorDemands;
    await node.store.commit({ put: [{ key, value: { groups: [groupId] } }] });
    const refreshToken = grant.refresh_token;
    const refresh = () =>
      node.authority.sessions.refresh({ refreshToken, clientId: "https://app.example/", peer: home });
    expect(await codeOf(refresh())).toBe("invalid_grant");
    expect(await isServed(grant.access_token)).toBe(false);
  });

  it("not a long-lived token that a cut-short change has left, at a node that looks it up", async () => {
    const { user } = await node.user("sue");
    const asked = { userId: user.id, clientName: "script", clientIcon: null, days: 30 };
    const { accessToken } = await node.authority.sessions.openLongLived(asked);
    const groupId = await inGroup(user.id);
    const key = recordKeys.factorDemands;
    await node.store.commit({ put: [{ key, value: { groups: [groupId] } }] });
    node.clock.advance(2 * 86_400_000);
    expect(await isServed(accessToken, await node.another())).toBe(false);
    await node.store.commit({ put: [{ key, value: { groups: [] } }] });
    expect(await isServed(accessToken, await node.another())).toBe(true);
  });

  it("not a code of a login from before", async () => {
    await node.user("gil");
    const request = { purpose: "code", redirectUri: "https://app.example/callback" } as const;
    const login = await new Login(node).begin("gil", request);
    const { principal } = await passwordSession(node, "gil");
    await setUpTotp(node, principal);
    if (login.step.type !== "create_entry") throw new Error("no code");
    const exchange = {
      code: String(login.step.result),
      clientId: "https://app.example/",
      rotates: true,
      peer: home,
    };
    expect(await codeOf(openSessionForCode(node.authority, exchange))).toBe("invalid_code");
  });

  it("a code of a login with a factor gives a session of level 2", async () => {
    const { secret } = await enrolledUser(node, "hal");
    const request = { purpose: "code", redirectUri: "https://app.example/callback" } as const;
    const login = await new Login(node).begin("hal", request);
    const step = await login.send({ code: codeAt(secret, now()) });
    if (step.type !== "create_entry") throw new Error("no code");
    const exchange = {
      code: String(step.result),
      clientId: "https://app.example/",
      rotates: true,
      peer: home,
    };
    const { session } = await openSessionForCode(other.authority, exchange);
    expect(session).toMatchObject({ assurance: 2, amr: ["pwd", "otp", "mfa"] });
  });

  it("not a further login of the same user, and not one that proves nothing", async () => {
    const { user, principal } = await enrolledUser(node, "ida");
    const linking = { userId: user.id, sessionId: principal.sessionId };
    const link = await new Login(node).start({ handler: ["guest", null], purpose: "link", linking });
    expect((await link.send({ name: "ida" })).type).toBe("create_entry");
    const login = await new Login(node).start({ handler: ["guest", null] });
    expect(outcomeOf(await login.send({ name: "ida" }))).toBe("not_allowed");
  });

  it("not a set-up within a login that proves nothing of the person", async () => {
    await node.stop();
    node = await startAuthority({
      factors: (tools) => createFactors([{ type: "webauthn", user_verification: "required" }], tools),
      providers: (tools) => [createHomeAssistantProvider(tools), guestProvider()],
    });
    await node.owner();
    const { user } = await node.user("amy");
    const { principal } = await passwordSession(node, "amy");
    const linking = { userId: user.id, sessionId: principal.sessionId };
    const link = await new Login(node).start({ handler: ["guest", null], purpose: "link", linking });
    await link.send({ name: "amy" });
    await node.authority.secondFactors.demand(await inGroup(user.id), true);
    const login = await new Login(node).start({ handler: ["guest", null] });
    expect(outcomeOf(await login.send({ name: "amy" }))).toBe("not_allowed");
    expect(outcomeOf((await new Login(node).begin("amy")).step)).toBe("mfa_setup");
  });

  it("not a flow that another user got since the first factor was right", async () => {
    const { secret, user } = await enrolledUser(node, "jim");
    const login = await new Login(node).begin("jim");
    const [credential] = await node.authority.credentials.list(user.id);
    await node.authority.credentialRemovals.remove(user.id, credential?.id ?? "", { keepLast: false });
    await node.user("jim");
    expect(outcomeOf(await login.send({ code: codeAt(secret, now()) }))).toBe("not_allowed");
  });

  it("not for another user, who has the login by the time that the code comes", async () => {
    const [{ secret, user, principal }, { user: other }] = [
      await enrolledUser(node, "leo"),
      await node.user("moe"),
    ];
    const handler: [string, string] = ["guest", "proxy"];
    const linkAs = async (userId: string, sessionId: string) => {
      const linking = { userId, sessionId };
      const link = await new Login(node).start({ handler, purpose: "link", linking });
      return await link.send({ name: "shared" });
    };
    await linkAs(user.id, principal.sessionId);
    const login = await new Login(node).start({ handler });
    expect(outcomeOf(await login.send({ name: "shared" }))).toBe("mfa");
    const credentials = await node.authority.credentials.list(user.id);
    const linked = credentials.find(({ providerType }) => providerType === "guest");
    await node.authority.credentialRemovals.remove(user.id, linked?.id ?? "", { keepLast: false });
    const { principal: theirs } = await passwordSession(node, "moe");
    expect((await linkAs(other.id, theirs.sessionId)).type).toBe("create_entry");
    expect(outcomeOf(await login.send({ code: codeAt(secret, now()) }))).toBe("not_allowed");
  });

  it("not a session that is opened as if nothing was demanded", async () => {
    const { user } = await enrolledUser(node, "ned");
    expect(await codeOf(node.open(user.id))).toBe("conflict");
    expect((await node.open(user.id, { assurance: 2 })).session.assurance).toBe(2);
  });

  it("not another address of a user who may log in from here alone", async () => {
    const { secret, user } = await enrolledUser(node, "kim");
    const far: Peer = { address: "203.0.113.9" };
    const login = await new Login(node, far).begin("kim");
    await node.authority.users.update(user.id, { localOnly: true });
    expect(outcomeOf(await login.send({ code: codeAt(secret, now()) }))).toBe("not_allowed");
  });
});
