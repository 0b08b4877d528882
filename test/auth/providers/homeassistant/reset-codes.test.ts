import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { FlowStep } from "../../../../protocol/flow.ts";
import { isResetCode } from "../../../../protocol/reset-code.ts";
import type { FlowAnswer } from "../../../../src/auth/login/login-flows.ts";
import type { User } from "../../../../src/auth/model.ts";
import { recordKeys } from "../../../../src/auth/record-keys.ts";
import { readRecord } from "../../../../src/auth/store.ts";
import { interposed } from "../../../support/interposed-store.ts";
import {
  ada,
  addPerson,
  claimOf,
  codeOf,
  grantOf,
  type LoginDomain,
  loginDomain,
  peer,
  startRequest,
  tryLogin,
  withoutId,
} from "../../login/login-domain.ts";
import { day, type OpenStore, openStore } from "../../tokens/installation.ts";

const next = "a new horse, a new battery";
let opened: OpenStore;
let domain: LoginDomain;
let user: User;

beforeEach(async () => {
  opened = await openStore();
  domain = await loginDomain(opened);
  user = await addPerson(domain);
});
afterEach(async () => {
  await domain.close();
  await opened.dispose();
});

const issue = async (byOwner = false) => (await domain.logins.createResetCode(user.id, byOwner)).code;
const refused = { type: "form", step_id: "init", errors: { base: "invalid_auth" } };

/** A flow in which the code was entered as the password. */
async function enter(code: string, username: string = ada.username, from = domain) {
  const started = await from.flows.start(startRequest(), peer);
  const step = async (input: object): Promise<FlowStep> => (await advance(from, started, input)).step;
  return { first: await step({ username, password: code }), step };
}

const advance = async ({ flows }: LoginDomain, started: FlowAnswer, input: object) =>
  await flows.advance({ ...claimOf(started), input: { ...input } }, peer);

const withPassword = async (password: string) => await tryLogin(domain.flows, { ...ada, password });

describe("a reset code", () => {
  it("sets a new password at a login, which goes on, and ends what there was", async () => {
    const before = grantOf(await withPassword(ada.password));
    const code = await issue();
    expect([isResetCode(code), isResetCode(ada.password)]).toEqual([true, false]);
    expect(await withPassword(ada.password)).toMatchObject({ type: "create_entry" });
    const { first, step } = await enter(` ${code.toLowerCase().replace("-", "").replaceAll("-", " - ")} `);
    expect(first).toMatchObject({
      type: "form",
      step_id: "new_password",
      data_schema: [{ name: "new_password", type: "string", required: true }],
      errors: {},
    });
    const session = grantOf(await step({ new_password: next }));
    expect(await domain.sessions.get(session.session_id)).toMatchObject({ userId: user.id, amr: ["pwd"] });
    expect(await domain.sessions.get(before.session_id)).toBeUndefined();
    expect(await withPassword(ada.password)).toMatchObject(refused);
    expect(await withPassword(next)).toMatchObject({ type: "create_entry" });
  });

  it("is not the new password: whoever has sent or read it would know that", async () => {
    const code = await issue();
    const { step } = await enter(code);
    for (const spelled of [code, ` ${code.toLowerCase()} `, code.replaceAll("-", "")])
      expect(await step({ new_password: spelled })).toMatchObject({
        step_id: "new_password",
        errors: { new_password: "invalid_password" },
        description_placeholders: { reason: "Password must not be a reset code" },
      });
    expect(await step({ new_password: next })).toMatchObject({ type: "create_entry" });
  });

  it("is good once, one at a time, and for a day", async () => {
    const first = await issue();
    const second = await issue();
    expect((await enter(first)).first).toMatchObject(refused);
    const { step } = await enter(second);
    const other = await enter(second);
    expect(await step({ new_password: next })).toMatchObject({ type: "create_entry" });
    expect(await other.step({ new_password: "yet another horse" })).toMatchObject(refused);
    expect((await enter(second)).first).toMatchObject(refused);
    expect(await withPassword(next)).toMatchObject({ type: "create_entry" });
    const old = await issue();
    const waiting = await enter(old);
    opened.clock.pass(day - 1);
    expect((await enter(old)).first).toMatchObject({ step_id: "new_password" });
    opened.clock.pass(1);
    expect((await enter(old)).first).toMatchObject(refused);
    expect(await codeOf(waiting.step({ new_password: next }))).toBe("invalid_flow");
  });

  it("is worth nothing once it is cancelled, or the password was set in another way", async () => {
    const cancelled = await issue();
    expect(await domain.logins.cancelResetCode(user.id)).toBe(true);
    expect(await domain.logins.cancelResetCode(user.id)).toBe(false);
    expect((await enter(cancelled)).first).toMatchObject(refused);
    const { step } = await enter(await issue());
    await domain.logins.setPassword(user.id, "set by an administrator");
    expect(await step({ new_password: next })).toMatchObject(refused);
    expect(await readRecord(opened.store, recordKeys.passwordReset(user.id))).toBeUndefined();
    const gone = await issue();
    await domain.logins.remove(ada.username);
    await domain.logins.create(user.id, ada.username, ada.password);
    expect((await enter(gone)).first).toMatchObject(refused);
    expect(await withPassword(ada.password)).toMatchObject({ type: "create_entry" });
  });

  it("holds for this user alone, and not for one who may not log in", async () => {
    const code = await issue();
    await addPerson(domain, { username: "bert", password: ada.password });
    expect((await enter(code, "bert")).first).toMatchObject(refused);
    const { step } = await enter(code);
    await domain.users.update(user.id, { isActive: false });
    expect(await step({ new_password: next })).toMatchObject(refused);
    expect((await enter(code)).first).toMatchObject(refused);
    await domain.users.update(user.id, { isActive: true, localOnly: true });
    expect((await enter(code)).first).toMatchObject(refused);
    await domain.users.update(user.id, { localOnly: false });
    expect((await enter(code)).first).toMatchObject({ step_id: "new_password" });
  });

  it("that is wrong reads and costs the same for every name", async () => {
    await issue();
    await addPerson(domain, { username: "bert", password: ada.password });
    const store = interposed(opened.store);
    const watched = await loginDomain({ ...opened, store });
    const wrong = "RESET-00000-00000-00000-00000";
    const seen = [];
    for (const username of ["ada", "bert", "nobody"]) {
      const [before, runs] = [{ ...store.calls }, watched.passwords.load().runs];
      const { first } = await enter(wrong, username, watched);
      const { get, commit } = store.calls;
      seen.push([
        withoutId(first),
        get - before.get,
        commit - before.commit,
        watched.passwords.load().runs - runs,
      ]);
    }
    await watched.close();
    expect(seen).toEqual([seen[0], seen[0], seen[0]]);
    expect(seen[0]?.[3]).toBe(1);
  });

  it("counts as a try when it is wrong", async () => {
    const strict = await loginDomain(opened, { budgets: { pair: { attempts: 2, refillMs: 60_000 } } });
    for (const _ of [1, 2]) await enter("RESET-00000-00000-00000-00000", "ada", strict);
    expect(await codeOf(enter("RESET-00000-00000-00000-00000", "ada", strict))).toBe("rate_limited");
    await strict.close();
  });

  it("keeps to the rules of passwords, and is not used up by one that breaks them", async () => {
    const { step } = await enter(await issue());
    for (const [password, reason] of [
      ["short", "at least 8"],
      ["password123", "common one"],
    ] as const)
      expect(await step({ new_password: password })).toMatchObject({
        step_id: "new_password",
        errors: { new_password: "invalid_password" },
        description_placeholders: { reason: expect.stringContaining(reason) },
      });
    expect(await step({ new_password: next })).toMatchObject({ type: "create_entry" });
  });

  it("of an administrator is worth nothing for a user who became the owner since", async () => {
    const code = await issue();
    const { step } = await enter(code);
    const record = await readRecord(opened.store, recordKeys.user(user.id));
    const value = { ...record?.value, isOwner: true };
    await opened.store.commit({ put: [{ key: recordKeys.user(user.id), value }] });
    expect((await domain.users.read(user.id))?.user.isOwner).toBe(true);
    expect(await step({ new_password: next })).toMatchObject(refused);
    expect((await enter(code)).first).toMatchObject(refused);
    expect((await enter(await issue(true))).first).toMatchObject({ step_id: "new_password" });
  });

  it("lies in no record in clear", async () => {
    const code = await issue();
    const record = await readRecord(opened.store, recordKeys.passwordReset(user.id));
    expect(record).toBeDefined();
    for (const part of code.split("-").slice(1)) expect(JSON.stringify(record)).not.toContain(part);
  });

  it("needs a user with a login", async () => {
    const unknown = "0".repeat(32);
    expect(await codeOf(domain.logins.createResetCode(unknown, true))).toBe("user_not_found");
    expect(await codeOf(domain.logins.cancelResetCode(unknown))).toBe("user_not_found");
    const { id } = await domain.users.create({ name: "Without" });
    expect(await codeOf(domain.logins.createResetCode(id, true))).toBe("credentials_not_found");
  });
});
