import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { FlowStep } from "../../../protocol/flow.ts";
import { recordKeys } from "../../../src/auth/record-keys.ts";
import { readRecord, type Step } from "../../../src/auth/store.ts";
import { ownerLogin, startAuthority, type TestAuthority } from "../../support/authority.ts";
import { handClock } from "../../support/hand-clock.ts";
import { type InterposedStore, interposedEmbeddedStore } from "../../support/interposed-store.ts";
import {
  codeAt,
  type Enrolled,
  enrolledUser,
  grantOf,
  Login,
  outcomeOf,
  passwordSession,
  setUpTotp,
  shownIn,
} from "./factor-people.ts";

const next = "a new horse, a new battery";
let store: InterposedStore;
let closeStore: () => Promise<void>;
let node: TestAuthority;
let other: TestAuthority;
let ada: Enrolled;

beforeEach(async () => {
  const clock = handClock();
  ({ store, close: closeStore } = await interposedEmbeddedStore(clock));
  node = await startAuthority({ store, clock });
  await node.owner();
  other = await node.another();
  ada = await enrolledUser(node, "ada");
});
afterEach(async () => {
  await node.stop();
  await closeStore();
});

const now = () => node.clock.now();
const issue = async (userId = ada.user.id) =>
  (await node.authority.localLogins.createResetCode(userId, true)).code;

/** A login in which the code was entered, and then a password. */
async function reset(code: string, password = next, at = node, username = "ada"): Promise<Login> {
  const login = await new Login(at).start();
  expect(outcomeOf(await login.send({ username, password: code }))).toBe("new_password");
  await login.send({ new_password: password });
  return login;
}

async function withPassword(password: string, username = "ada"): Promise<string> {
  const login = await new Login(node).start();
  return outcomeOf(await login.send({ username, password }));
}

async function expectNothingChanged(step: FlowStep): Promise<void> {
  expect(outcomeOf(step)).toBe("not_allowed");
  expect(await withPassword(ownerLogin.password)).toBe("mfa");
  expect(await withPassword(next)).toBe("invalid_auth");
}

describe("the password of a reset code, at a login with a second factor,", () => {
  it("is set once the factor is proved, also on another node that goes on with the login", async () => {
    const login = await reset(await issue());
    expect(outcomeOf(login.step)).toBe("mfa");
    expect(await node.authority.sessions.get(ada.grant.session_id)).toBeDefined();
    expect(await withPassword(ownerLogin.password)).toBe("mfa");
    await login.resume(other);
    const grant = grantOf(await login.send({ code: codeAt(ada.secret, now()) }, other));
    expect(await node.principal(grant.access_token)).toMatchObject({ assurance: 2 });
    expect(await node.authority.sessions.get(ada.grant.session_id)).toBeUndefined();
    expect(await withPassword(ownerLogin.password)).toBe("invalid_auth");
    expect(await withPassword(next)).toBe("mfa");
  });

  it("is that of the first of two logins with one code, and the other one sets nothing", async () => {
    const code = await issue();
    const logins = [await reset(code), await reset(code, "yet another horse, a battery", other)] as const;
    grantOf(await logins[1].send({ code: codeAt(ada.secret, now()) }, other));
    node.clock.advance(30_000);
    expect(outcomeOf(await logins[0].send({ code: codeAt(ada.secret, now()) }))).toBe("not_allowed");
    expect(await withPassword("yet another horse, a battery")).toBe("mfa");
    expect(await withPassword(next)).toBe("invalid_auth");
  });

  it.each<readonly [string, () => Promise<unknown>]>([
    ["cancelled", () => node.authority.localLogins.cancelResetCode(ada.user.id)],
    ["replaced", () => issue()],
  ])("is not set if the code was %s meanwhile", async (_name, change) => {
    const login = await reset(await issue());
    await change();
    await expectNothingChanged(await login.send({ code: codeAt(ada.secret, now()) }));
  });

  it("is not set if the code has expired meanwhile", async () => {
    const code = await issue();
    node.clock.advance(86_400_000 - 60_000);
    const login = await reset(code);
    node.clock.advance(60_000);
    await expectNothingChanged(await login.send({ code: codeAt(ada.secret, now()) }));
  });

  it("is not set for a user who may not log in any more", async () => {
    const login = await reset(await issue());
    await node.authority.users.update(ada.user.id, { isActive: false });
    expect(outcomeOf(await login.send({ code: codeAt(ada.secret, now()) }))).toBe("not_allowed");
    await node.authority.users.update(ada.user.id, { isActive: true });
    node.clock.advance(30_000);
    expect(await withPassword(ownerLogin.password)).toBe("mfa");
  });

  it("is set with the first factor, if one is demanded, and a factor is kept only with it", async () => {
    const { user } = await node.user("bert");
    const { group } = await node.authority.groups.create({ name: "Strict", policy: {} });
    await node.authority.groups.addMember({ groupId: group.id, userId: user.id });
    await node.authority.secondFactors.demand(group.id, true);
    const cancelled = await reset(await issue(user.id), next, node, "bert");
    await node.authority.localLogins.cancelResetCode(user.id);
    const shown = codeAt(shownIn(cancelled.step).code ?? "", now());
    expect(outcomeOf(await cancelled.send({ code: shown }))).toBe("not_allowed");
    expect(await node.authority.secondFactors.of(user.id)).toMatchObject([
      { enabled: false },
      { enabled: false },
    ]);
    expect(await withPassword(ownerLogin.password, "bert")).toBe("mfa_setup");

    const code = await issue(user.id);
    const login = await reset(code, next, node, "bert");
    const { code: secret = "" } = shownIn(login.step);
    expect(outcomeOf(await login.send({ code: codeAt(secret, now()) }))).toBe("mfa_recovery");
    expect(await withPassword(code, "bert")).toBe("invalid_auth");
    expect(await withPassword(ownerLogin.password, "bert")).toBe("invalid_auth");
    grantOf(await login.send({}));
    expect(await withPassword(next, "bert")).toMatch(/mfa/);
  });

  it("leaves no recovery codes to somebody whose password was changed in between", async () => {
    const { user } = await node.user("bert");
    const login = await new Login(node).start({ acrValues: "aal2" });
    await login.send({ username: "bert", password: await issue(user.id) });
    await login.send({ new_password: next });
    const { code: secret = "" } = shownIn(login.step);
    expect(outcomeOf(await login.send({ code: codeAt(secret, now()) }))).toBe("mfa_recovery");
    await node.authority.localLogins.setPassword(user.id, "set by an administrator");
    expect(outcomeOf(await login.send({}))).toBe("not_allowed");
    const factors = await node.authority.secondFactors.of(user.id);
    expect(factors.find(({ id }) => id === "recovery")?.enabled).toBe(false);
  });

  it("is not set if the login is cancelled at the last moment, on another node", async () => {
    const login = await reset(await issue());
    store.beforeCommit(
      ({ bumpEpochs = [] }) => bumpEpochs.length > 0,
      () => login.cancel(other),
    );
    await expect(login.send({ code: codeAt(ada.secret, now()) })).rejects.toMatchObject({ code: "conflict" });
    node.clock.advance(30_000);
    expect(await withPassword(ownerLogin.password)).toBe("mfa");
    expect(await withPassword(next)).toBe("invalid_auth");
  });

  it("is not set by the code alone if a factor is set up at the last moment", async () => {
    const { user } = await node.user("bert");
    const { principal } = await passwordSession(node, "bert");
    const login = await new Login(node).start();
    await login.send({ username: "bert", password: await issue(user.id) });
    let secret = "";
    const setUp = async () => {
      secret = await setUpTotp(other, principal);
    };
    store.beforeCommit(({ bumpEpochs = [] }) => bumpEpochs.length > 0, setUp);
    expect(outcomeOf(await login.send({ new_password: next }))).toBe("mfa");
    expect(await withPassword(ownerLogin.password, "bert")).toBe("mfa");
    grantOf(await login.send({ code: codeAt(secret, now()) }));
    node.clock.advance(30_000);
    expect(await withPassword(next, "bert")).toBe("mfa");
  });

  it("stays set if there is no session after all, and the answer tells so to the audit log", async () => {
    const login = await reset(await issue());
    const opens = ({ put = [] }: Step) => put.some(({ key }) => key.startsWith("session"));
    store.beforeCommit(opens, () => node.authority.users.update(ada.user.id, { isActive: false }));
    expect(outcomeOf(await login.send({ code: codeAt(ada.secret, now()) }))).toBe("unknown_error");
    expect(login.answer).toMatchObject({ concluded: true, userId: ada.user.id });
    await expect(login.resume(other)).rejects.toMatchObject({ code: "invalid_flow" });
    await node.authority.users.update(ada.user.id, { isActive: true });
    expect(await withPassword(next)).toBe("mfa");
  });

  it("lies in the flow's record sealed, and so does what is checked of it", async () => {
    const login = await reset(await issue());
    const record = await readRecord(node.store, recordKeys.flow(login.step.flow_id));
    const text = JSON.stringify(record?.value);
    expect(text).toContain('"stage":"prove"');
    for (const clear of [next, "stored_key", "server_key", "salt"]) expect(text).not.toContain(clear);
  });
});
