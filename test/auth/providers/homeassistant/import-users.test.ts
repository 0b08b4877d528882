import { pbkdf2Sync } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { FlowStep } from "../../../../protocol/flow.ts";
import { readHash } from "../../../../src/auth/passwords/imported/hash-encodings.ts";
import { parametersIn } from "../../../../src/auth/passwords/parameters-in-use.ts";
import type { UserToImport } from "../../../../src/auth/providers/homeassistant/import-users.ts";
import { indexKeys, recordKeys } from "../../../../src/auth/record-keys.ts";
import { readRecord, type Step } from "../../../../src/auth/store.ts";
import { interposed } from "../../../support/interposed-store.ts";
import { proofScrypt, proving } from "../../../support/scram-client.ts";
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
} from "../../login/login-domain.ts";
import { type OpenStore, openStore } from "../../tokens/installation.ts";

const old = { username: "old", password: "a password from elsewhere" };
let opened: OpenStore;
let domain: LoginDomain;

beforeEach(async () => {
  opened = await openStore();
  domain = await loginDomain(opened, { passwords: { parameters: proofScrypt } });
});
afterEach(async () => {
  await domain.close();
  await opened.dispose();
});

function entry(username: string, more: Partial<UserToImport> & { readonly iterations?: number } = {}) {
  const { iterations = 10, ...rest } = more;
  const hash = pbkdf2Sync(old.password, username, iterations, 32, "sha256").toString("base64");
  const read = readHash(`pbkdf2_sha256$${iterations}$${username}$${hash}`);
  if ("problem" in read) throw new Error(read.problem);
  const user: UserToImport = {
    entry: `user ${username}`,
    name: username,
    groupIds: ["system-users"],
    login: { username, hash: read },
    ...rest,
  };
  return user;
}

const importOld = async (...more: UserToImport[]) => await domain.logins.importUsers([entry("old"), ...more]);
const importedCosts = async () =>
  parametersIn(await readRecord(opened.store, recordKeys.scryptParameters)).filter((cost) => "kdf" in cost);
const listed = async () => await opened.store.list(indexKeys.importedPasswords, { limit: 10 });

/** The whole exchange, and the password in the form if the server asks for it, as the SDK does. */
async function proveOrSend(username: string, password: string) {
  const { flows } = domain;
  const started = await flows.start(startRequest(), peer);
  const proof = proving(username);
  const send = async (input: object): Promise<FlowStep> =>
    (await flows.advance({ ...claimOf(started), input: { ...input } }, peer)).step;
  const challenge = await send(proof.input);
  const { client_final } = await proof.final(challenge, password);
  const proved = await send({ client_final });
  const isAsked = "send_password" in proved;
  return { challenge, proved, isAsked, step: isAsked ? await send({ username, password }) : proved };
}

describe("users with imported hashes", () => {
  it("log in by form once, and by proof from then on", async () => {
    const { users } = await importOld(entry("last"));
    const states = (await domain.users.list()).map(({ name, state }) => `${name} ${state}`);
    expect(states.sort()).toEqual(["last active", "old active"]);
    expect(await tryLogin(domain.flows, { ...old, password: "wrong" })).toMatchObject({
      errors: { base: "invalid_auth" },
    });
    expect(await domain.logins.listImported()).toContainEqual(
      expect.objectContaining({ username: "old", userId: users[0]?.id }),
    );
    expect(await tryLogin(domain.flows, old)).toMatchObject({ type: "create_entry" });
    expect([(await listed()).length, (await importedCosts()).length]).toEqual([1, 1]);
    expect(await tryLogin(domain.flows, { ...old, username: "last" })).toMatchObject({
      type: "create_entry",
    });
    expect([await listed(), await importedCosts(), await domain.logins.listImported()]).toEqual([[], [], []]);
    expect(await proveOrSend("old", old.password)).toMatchObject({
      isAsked: false,
      step: { type: "create_entry" },
    });
  });

  it("of a removed user count no more", async () => {
    const { users } = await importOld();
    await domain.users.remove(users[0]?.id ?? "");
    expect([await listed(), await importedCosts()]).toEqual([[], []]);
  });

  it("make no difference, in a step-up, between somebody else's right password and a wrong one", async () => {
    await importOld();
    await addPerson(domain, { ...ada, username: "eve" });
    const user = await addPerson(domain);
    const { session_id: sessionId } = grantOf(await tryLogin(domain.flows, ada));
    const linking = { userId: user.id, sessionId };
    const answers = [];
    for (const password of [ada.password, "wrong horse battery"]) {
      const started = await domain.flows.start(startRequest({ purpose: "step_up", linking }), peer);
      const send = async (input: object): Promise<FlowStep> =>
        (await domain.flows.advance({ ...claimOf(started), input: { ...input } }, peer)).step;
      const proof = proving("ada");
      const { client_final } = await proof.final(await send(proof.input), "wrong horse battery");
      expect(await send({ client_final })).toMatchObject({ send_password: true });
      answers.push({ ...(await send({ username: "eve", password })), flow_id: "" });
    }
    expect(answers[0]).toMatchObject({ errors: { base: "invalid_auth" } });
    expect(answers[0]).toEqual(answers[1]);
  });

  it("are asked for the password after their proof was refused, like everybody else meanwhile", async () => {
    await importOld(entry("other"));
    await addPerson(domain);
    const wrong = "wrong horse battery";
    const shapes = [];
    for (const [name, password] of [
      ["old", old.password],
      ["other", wrong],
      ["ada", wrong],
      ["nobody", wrong],
    ] as const) {
      const { challenge, proved } = await proveOrSend(name, password);
      if (challenge.type !== "form" || proved.type !== "form") throw new Error("no form");
      const { data_schema, step_id, description_placeholders } = challenge;
      const keys = Object.keys(description_placeholders ?? {});
      shapes.push([
        { data_schema, step_id, keys },
        { ...proved, flow_id: "" },
      ]);
    }
    for (const shape of shapes) expect(shape).toEqual(shapes[0]);
    expect(shapes[0]?.[1]).toMatchObject({ errors: { base: "invalid_auth" }, send_password: true });
    // Whoever has a verifier proves it nevertheless.
    expect(await proveOrSend("ada", ada.password)).toMatchObject({
      isAsked: false,
      step: { type: "create_entry" },
    });
    expect(await domain.provider.warnings?.()).toEqual([expect.stringContaining("PBKDF2-HMAC-SHA256")]);
    await tryLogin(domain.flows, { username: "other", password: old.password });
    expect(await domain.provider.warnings?.()).toEqual([]);
    expect(await proveOrSend("nobody", wrong)).toMatchObject({ isAsked: false });
  });

  it("cost the same work and look-ups as unknown names and names with a verifier", async () => {
    await importOld();
    await addPerson(domain);
    const store = interposed(opened.store);
    const watched = await loginDomain({ ...opened, store }, { passwords: { parameters: proofScrypt } });
    const seen = [];
    for (const username of ["old", "ada", "nobody"]) {
      const [before, runs] = [{ ...store.calls }, watched.passwords.load().runs];
      await tryLogin(watched.flows, { username, password: "wrong horse battery" });
      const { get, commit } = store.calls;
      seen.push([get - before.get, commit - before.commit, watched.passwords.load().runs - runs]);
    }
    await watched.close();
    expect(seen).toEqual([seen[0], seen[0], seen[0]]);
  });

  it("stop being imported when a password is set, the hash is removed, or they go", async () => {
    const { users } = await importOld(entry("second"), entry("third"));
    const [first = "", second = "", third = ""] = users.map(({ id }) => id);
    await domain.logins.setPassword(first, "a new password for old");
    expect(await domain.logins.dropImported(second)).toBe(true);
    expect(await domain.logins.dropImported(second)).toBe(false);
    expect(await tryLogin(domain.flows, { ...old, username: "second" })).toMatchObject({
      errors: { base: "invalid_auth" },
    });
    expect(await domain.logins.listImported()).toMatchObject([{ username: "third" }]);
    await domain.users.remove(third);
    expect(await listed()).toEqual([]);
    await domain.logins.retireParameters();
    expect(await importedCosts()).toEqual([]);
  });

  it.each([
    [
      "an administrator sets a password",
      (id: string) => domain.logins.setPassword(id, "a new password for old"),
    ],
    ["the login is removed", () => domain.logins.remove("old")],
  ])("cost other people's logins nothing any more once %s for the last one", async (_, end) => {
    const { users } = await importOld();
    expect(await importedCosts()).toHaveLength(1);
    await end(users[0]?.id ?? "");
    expect(await importedCosts()).toEqual([]);
  });

  it("keep the hash when they are renamed", async () => {
    const { users } = await importOld();
    await domain.logins.changeUsername(users[0]?.id ?? "", "renamed");
    expect(await domain.logins.listImported()).toMatchObject([{ username: "renamed" }]);
    expect(await tryLogin(domain.flows, { ...old, username: "renamed" })).toMatchObject({
      type: "create_entry",
    });
    expect(await listed()).toEqual([]);
  });

  it("prove the imported one to change it", async () => {
    const { users } = await importOld();
    const principal = { userId: users[0]?.id ?? "", sessionId: "none" } as never;
    const next = "a new password for old";
    expect(await codeOf(domain.logins.changeOwnPassword(principal, "wrong", next, peer))).toBe(
      "invalid_current_password",
    );
    // The right one gets as far as the session that is to be spared, which this user does not have.
    expect(await codeOf(domain.logins.changeOwnPassword(principal, old.password, next, peer))).toBe(
      "unauthorized",
    );
  });
});

describe("an import", () => {
  const id = "0123456789abcdef0123456789abcdef";
  it.each<[what: string, users: () => UserToImport[], problem: string]>([
    ["a name that somebody has", () => [entry("ada")], "already exists"],
    ["a name twice", () => [entry("one"), entry("one")], "user one has the same login name"],
    ["a name that is none", () => [entry("one", { login: { ...login(), username: " " } })], "sername"],
    ["an id twice", () => [entry("one", { id }), entry("two", { id })], "the same id"],
    ["an id that is none", () => [entry("one", { id: "../x" })], "hexadecimal"],
    ["two owners", () => [entry("one", { isOwner: true }), entry("two", { isOwner: true })], "same owner"],
    [
      "a group that does not exist",
      () => [entry("one", { groupIds: ["nobodys"] })],
      "unknown group: nobodys",
    ],
    ["a display name that is empty", () => [entry("one", { name: " " })], "1 to 128"],
    [
      "hashes of too many costs",
      () => [1, 2, 3, 4, 5].map((n) => entry(`n${n}`, { iterations: n })),
      "at most 4",
    ],
  ])("with %s writes nothing at all", async (_, users, problem) => {
    await addPerson(domain);
    const good = entry("good");
    const outcome = await domain.logins.importUsers([good, ...users()]);
    expect(outcome).toEqual({
      users: [],
      problems: expect.arrayContaining([
        { entry: expect.any(String), problem: expect.stringContaining(problem) },
      ]),
      skipped: [],
    });
    expect((await domain.users.list()).map(({ name }) => name)).toEqual(["Ada"]);
    expect([await listed(), await importedCosts()]).toEqual([[], []]);
  });

  const login = () => ({ ...(entry("x").login as NonNullable<UserToImport["login"]>) });

  it("that is a dry run writes nothing", async () => {
    expect(await domain.logins.importUsers([entry("one")], { dryRun: true })).toEqual({
      users: [],
      problems: [],
      skipped: [],
    });
    expect(await domain.users.list()).toEqual([]);
  });

  it("of more users than a commit takes imports all of them, and two at once never share a name", async () => {
    const many = Array.from({ length: 501 }, (_, nth) => entry(`n${nth}`));
    expect((await domain.logins.importUsers(many)).users.length).toBe(501);
    const twice = [entry("x"), entry("y")];
    const outcomes = await Promise.allSettled([
      domain.logins.importUsers(twice),
      domain.logins.importUsers(twice),
    ]);
    const made = outcomes.flatMap((each) => (each.status === "fulfilled" ? each.value.users : []));
    expect(made.map(({ name }) => name)).toEqual(["x", "y"]);
    expect((await domain.users.list()).length).toBe(503);
  });

  it("that failed after its first commit is completed without those who are here already", async () => {
    const watched = interposed(opened.store);
    const failing = await loginDomain({ ...opened, store: watched });
    const everybody = Array.from({ length: 503 }, (_, nth) => entry(`n${nth}`));
    const creates = ({ link = [] }: Step) => link.length > 0;
    watched.beforeCommit(creates, async () => {
      watched.beforeCommit(creates, () => Promise.reject(new Error("the store is gone")));
    });
    await expect(failing.logins.importUsers(everybody)).rejects.toThrow("the store is gone");
    expect((await domain.users.list()).length).toBe(500);
    expect((await domain.logins.importUsers(everybody)).problems.length).toBe(500);
    const { users, problems, skipped } = await domain.logins.importUsers(everybody, { skipExisting: true });
    expect([users.map(({ name }) => name), problems]).toEqual([["n500", "n501", "n502"], []]);
    expect(skipped.length).toBe(500);
    expect(skipped[0]).toEqual({ entry: everybody[0]?.entry, problem: "is here already" });
    expect((await domain.users.list()).length).toBe(503);
  });

  it("of several costs fails if those of another import came in between", async () => {
    const three = (name: string, from: number) =>
      [from, from + 1, from + 2].map((iterations) => entry(`${name}${iterations}`, { iterations }));
    const watched = interposed(opened.store);
    const second = await loginDomain({ ...opened, store: watched });
    const get = watched.get.bind(watched);
    let reads = 0;
    watched.get = async (keys) => {
      if (keys.includes(recordKeys.scryptParameters)) reads += 1;
      // Before costs that are given up, and to check: both read what was there. The third one is for the commit.
      if (reads === 3) {
        reads += 1;
        await domain.logins.importUsers(three("a", 10));
      }
      return await get(keys);
    };
    expect(await codeOf(second.logins.importUsers(three("b", 20)))).toBe("conflict");
    expect(await importedCosts()).toHaveLength(3);
    await second.close();
  });

  it("makes the owner, with id, state and rights as they were", async () => {
    const owner = entry("one", { id, isOwner: true, groupIds: ["system-admin"] });
    const off = entry("two", { isActive: false, localOnly: true });
    await domain.logins.importUsers([owner, off]);
    const made = await domain.users.list();
    expect(made.find((each) => each.id === id)).toMatchObject({ isOwner: true, groupIds: ["system-admin"] });
    expect(made.find((each) => each.id !== id)).toMatchObject({
      isOwner: false,
      state: "deactivated",
      localOnly: true,
    });
    expect(await readRecord(opened.store, recordKeys.owner)).toMatchObject({ value: { user_id: id } });
    expect((await domain.logins.importUsers([entry("three", { isOwner: true })])).problems).toMatchObject([
      { problem: expect.stringContaining("an owner already") },
    ]);
  });
});
