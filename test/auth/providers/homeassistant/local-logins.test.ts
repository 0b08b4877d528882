import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { Principal, User } from "../../../../src/auth/model.ts";
import { createGroupTable } from "../../../../src/auth/permissions/group-table.ts";
import { followGroups } from "../../../../src/auth/permissions/known-groups.ts";
import { createLocalLogins } from "../../../../src/auth/providers/homeassistant/local-logins.ts";
import {
  localLoginKey,
  localLoginPut,
  readLocalLogin,
} from "../../../../src/auth/providers/homeassistant/login-record.ts";
import {
  ada,
  addPerson,
  client,
  codeOf,
  grantOf,
  type LoginDomain,
  loginDomain,
  peer,
  principalOf,
  tryLogin,
} from "../../login/login-domain.ts";
import { type OpenStore, openStore } from "../../tokens/installation.ts";

let opened: OpenStore;
let domain: LoginDomain;

beforeEach(async () => {
  opened = await openStore();
  domain = await loginDomain(opened);
});

afterEach(async () => {
  await domain.close();
  await opened.dispose();
});

const next = "another-canary-password";
const person = () => domain.users.create({ name: "Grace", groupIds: ["system-users"] });
const typeOf = async (input: { username: string; password: string }) =>
  (await tryLogin(domain.flows, input)).type;
const openSession = async () => grantOf(await tryLogin(domain.flows, ada)).session_id;

function token(userId: string) {
  return domain.sessions.openLongLived({ userId, clientName: "cron", clientIcon: null, days: 1 });
}

async function liveIds(user: User): Promise<readonly string[]> {
  return (await domain.sessions.list(user.id)).map(({ id }) => id);
}

describe("creating a login", () => {
  it("takes a password in which the name is but a part", async () => {
    const user = await person();
    await domain.logins.create(user.id, "grace", "grace under the sea");
    expect(await domain.logins.usernameOf(user.id)).toBe("grace");
  });

  it("lets the user log in, with exactly that name", async () => {
    const user = await person();
    await domain.logins.create(user.id, "grace", ada.password);
    expect(await typeOf({ username: "grace", password: ada.password })).toBe("create_entry");
    expect(await domain.logins.usernameOf(user.id)).toBe("grace");
  });

  it.each([
    ["an unknown user", "f".repeat(32), "grace", ada.password, "user_not_found"],
    ["a name in capitals", "", "Grace", ada.password, "username_not_normalized"],
    ["an empty name", "", "", ada.password, "invalid_username"],
    ["a short password", "", "grace", "short", "invalid_password"],
    ["a common password", "", "grace", "password123", "invalid_password"],
    ["the name as password", "", "grace hopper", "Grace Hopper", "invalid_password"],
    ["the name several times", "", "grace", "gracegracegrace!1", "invalid_password"],
    ["the name with blanks and digits", "", "grace", "Grace grace grace 1906", "invalid_password"],
  ])("is refused for %s, before any hashing", async (_name, userId, username, password, code) => {
    const user = await person();
    const runs = domain.passwords.load().runs;
    expect(await codeOf(domain.logins.create(userId || user.id, username, password))).toBe(code);
    expect(domain.passwords.load().runs).toBe(runs);
    expect(await domain.logins.usernameOf(user.id)).toBeNull();
  });

  it("is refused for a taken name, in any order, and for a second login", async () => {
    const user = await addPerson(domain);
    expect(await codeOf(domain.logins.create((await person()).id, "ada", ada.password))).toBe(
      "username_already_exists",
    );
    expect(await codeOf(domain.logins.create(user.id, "lovelace", ada.password))).toBe("credential_exists");
  });

  it("gives a name to one of many concurrent requests", async () => {
    const users = await Promise.all(Array.from({ length: 12 }, person));
    const outcomes = await Promise.all(
      users.map(({ id }) => codeOf(domain.logins.create(id, "grace", ada.password))),
    );
    expect(outcomes.filter((outcome) => outcome === "no error")).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === "username_already_exists")).toHaveLength(11);
  });

  it("gives a user one of many concurrently requested names", async () => {
    const user = await person();
    const names = Array.from({ length: 8 }, (_, place) => `grace-${place}`);
    const outcomes = await Promise.all(
      names.map((name) => codeOf(domain.logins.create(user.id, name, ada.password))),
    );
    expect(outcomes.filter((outcome) => outcome === "no error")).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === "credential_exists")).toHaveLength(7);
    const winner = names[outcomes.indexOf("no error")];
    expect(await domain.logins.usernameOf(user.id)).toBe(winner);
  });

  it("with a new user creates both or neither", async () => {
    await addPerson(domain);
    const before = (await domain.users.list()).length;
    for (const password of ["short", ada.password]) {
      const request = { name: "Eve", username: "ada", password, groupIds: [] };
      expect(await codeOf(domain.logins.createUser(request))).toMatch(
        /invalid_password|username_already_exists/,
      );
    }
    const wrongGroup = { ...ada, username: "eve", name: "Eve", groupIds: ["nobody"] };
    expect(await codeOf(domain.logins.createUser(wrongGroup))).toBe("invalid_group");
    expect(await domain.users.list()).toHaveLength(before);
  });
});

describe("removing a login", () => {
  it("ends the sessions of its credential, keeps long-lived tokens, and frees the name", async () => {
    const user = await addPerson(domain);
    const sessions = [await openSession(), await openSession()];
    const { session } = await token(user.id);
    const causes: string[] = [];
    domain.revocation.onSecurityEvent((cut) => {
      if (cut.kind === "sessions") causes.push(`${cut.cause} ${cut.sessionIds.length}`);
      return 0;
    });
    await domain.logins.remove("ADA ");
    expect(causes).toEqual([`credential_removed ${sessions.length}`]);
    expect(await liveIds(user)).toEqual([session.id]);
    expect(await typeOf(ada)).toBe("form");
    expect(await domain.credentials.list(user.id)).toEqual([]);
    await domain.logins.create((await person()).id, "ada", next);
    expect(await typeOf({ ...ada, password: next })).toBe("create_entry");
  });

  it("of an unknown name is refused", async () => {
    expect(await codeOf(domain.logins.remove("nobody"))).toBe("user_not_found");
  });

  it("leaves no session of a concurrent login", async () => {
    for (let round = 0; round < 6; round += 1) {
      const user = await addPerson(domain);
      const logins = Array.from({ length: 4 }, () => tryLogin(domain.flows, ada).catch(() => undefined));
      await new Promise((resolve) => setImmediate(resolve));
      await Promise.all([...logins, domain.logins.remove("ada")]);
      expect(await liveIds(user)).toEqual([]);
      await domain.users.remove(user.id);
    }
  });

  it("lets nobody in from the moment that it looks for sessions to end", async () => {
    const user = await addPerson(domain);
    await openSession();
    const attempts: string[] = [];
    const sessions = {
      async list(userId: string) {
        const found = await domain.sessions.list(userId);
        attempts.push(await typeOf(ada));
        return found;
      },
    };
    await createLocalLogins({
      ...domain,
      providerId: null,
      groups: followGroups({ ...domain, table: createGroupTable() }),
      sessions,
    }).remove("ada");
    expect(attempts).toEqual(["form", "form"]);
    expect(await liveIds(user)).toEqual([]);
  });

  it("that failed midway leaves a login that cannot be used, and can be repeated", async () => {
    const user = await addPerson(domain);
    const session = await openSession();
    const found = await readLocalLogin(domain.store, null, "ada");
    if (found === undefined) throw new Error("no login");
    await domain.store.commit({ put: localLoginPut({ ...found.login, closed: true }) });
    expect(await typeOf(ada)).toBe("form");
    expect(await liveIds(user)).toEqual([session]);
    expect(await codeOf(domain.logins.setPassword(user.id, next))).toBe("credentials_not_found");
    await domain.logins.remove("ada");
    expect(await liveIds(user)).toEqual([]);
    expect(await domain.store.get([localLoginKey(null, "ada")])).toEqual([undefined]);
  });
});

describe("changing one's own password", () => {
  let user: User;
  let principal: Principal;

  beforeEach(async () => {
    user = await addPerson(domain);
    principal = await principalOf(domain, user.id);
  });

  const change = (current: string, password: string) =>
    domain.logins.changeOwnPassword(principal, current, password, peer);

  it("ends every other session and long-lived token, and keeps this one", async () => {
    await openSession();
    await token(user.id);
    await change(ada.password, next);
    expect(await liveIds(user)).toEqual([principal.sessionId]);
    expect(await typeOf(ada)).toBe("form");
    expect(await typeOf({ ...ada, password: next })).toBe("create_entry");
  });

  it("needs the current one, at most five tries a minute, counted before hashing", async () => {
    const tries = await Promise.all(Array.from({ length: 20 }, () => codeOf(change("wrong-horse", next))));
    expect(tries.filter((code) => code === "invalid_current_password")).toHaveLength(5);
    expect(tries.filter((code) => code === "rate_limited")).toHaveLength(15);
    expect(await codeOf(change(ada.password, next))).toBe("rate_limited");
    opened.clock.pass(60_000);
    expect(await codeOf(change(ada.password, next))).toBe("no error");
  });

  it("forgets earlier mistakes once it was right", async () => {
    for (let attempt = 1; attempt <= 4; attempt += 1) await codeOf(change("wrong-horse", next));
    await change(ada.password, next);
    expect(await codeOf(change(ada.password, next))).toBe("invalid_current_password");
  });

  it.each(["short", "password123", "x".repeat(2000)])("refuses the new password %j", async (password) => {
    expect(await codeOf(change(ada.password, password))).toBe("invalid_password");
    expect(await typeOf(ada)).toBe("create_entry");
  });

  it("refuses the current one as the new one, and charges no try", async () => {
    for (let attempt = 1; attempt <= 6; attempt += 1)
      expect(await codeOf(change(ada.password, ada.password))).toBe("invalid_password");
    expect(await codeOf(change(ada.password, next))).toBe("no error");
  });

  it("twice concurrently is one change", async () => {
    const outcomes = await Promise.all([
      codeOf(change(ada.password, next)),
      codeOf(change(ada.password, `${next}2`)),
    ]);
    expect(outcomes.sort()).toEqual(["conflict", "no error"]);
    expect(await liveIds(user)).toEqual([principal.sessionId]);
  });

  it("is refused for a user without a login here", async () => {
    const stranger = await person();
    const work = domain.logins.changeOwnPassword(
      { ...principal, userId: stranger.id },
      ada.password,
      next,
      peer,
    );
    expect(await codeOf(work)).toBe("credentials_not_found");
  });
});

describe("setting a password", () => {
  it("ends all sessions of the user", async () => {
    const user = await addPerson(domain);
    await openSession();
    await token(user.id);
    await domain.logins.setPassword(user.id, next);
    expect(await liveIds(user)).toEqual([]);
    expect(await typeOf({ ...ada, password: next })).toBe("create_entry");
  });

  it.each([
    ["an unknown user", () => "f".repeat(32), next, "user_not_found"],
    ["a user without a login", (stranger: User) => stranger.id, next, "credentials_not_found"],
  ])("is refused for %s", async (_name, pick, password, code) => {
    expect(await codeOf(domain.logins.setPassword(pick(await person()), password))).toBe(code);
  });

  it("leaves sessions alone when the password is refused", async () => {
    const user = await addPerson(domain);
    const session = await openSession();
    for (const password of ["short", "ada", "iloveyou"]) {
      expect(await codeOf(domain.logins.setPassword(user.id, password))).toBe("invalid_password");
    }
    expect(await liveIds(user)).toEqual([session]);
  });
});

describe("changing a login name", () => {
  it("keeps sessions, credential and password", async () => {
    const user = await addPerson(domain);
    const session = await openSession();
    const [before] = await domain.credentials.list(user.id);
    await domain.logins.changeUsername(user.id, "lovelace");
    expect(await domain.credentials.list(user.id)).toEqual([{ ...before, subject: "lovelace" }]);
    expect(await liveIds(user)).toEqual([session]);
    expect(await typeOf({ ...ada, username: "lovelace" })).toBe("create_entry");
    expect(await typeOf(ada)).toBe("form");
    expect(await domain.sessions.get(session)).toMatchObject({ clientId: client });
  });

  it("frees the old name and takes the new one", async () => {
    const user = await addPerson(domain);
    const other = await addPerson(domain, { username: "grace", password: ada.password });
    expect(await codeOf(domain.logins.changeUsername(user.id, "grace"))).toBe("username_already_exists");
    const outcomes = await Promise.all([
      codeOf(domain.logins.changeUsername(user.id, "hopper")),
      codeOf(domain.logins.changeUsername(other.id, "hopper")),
    ]);
    expect(outcomes.sort()).toEqual(["no error", "username_already_exists"]);
    const names = [await domain.logins.usernameOf(user.id), await domain.logins.usernameOf(other.id)];
    expect(names).toContain("hopper");
    await domain.logins.remove("hopper");
    expect(await codeOf(domain.logins.create((await person()).id, "hopper", next))).toBe("no error");
  });

  it.each([
    ["Lovelace", "username_not_normalized"],
    ["", "invalid_username"],
    ["ad\u200ba", "invalid_username"],
  ])("to %j is refused", async (name, code) => {
    const user = await addPerson(domain);
    expect(await codeOf(domain.logins.changeUsername(user.id, name))).toBe(code);
    expect(await domain.logins.usernameOf(user.id)).toBe("ada");
  });

  it("to the same name changes nothing", async () => {
    const user = await addPerson(domain);
    await domain.logins.changeUsername(user.id, "ada");
    expect(await typeOf(ada)).toBe("create_entry");
  });
});
