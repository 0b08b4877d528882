import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { User } from "../../../../src/auth/model.ts";
import { localLoginKey, localType } from "../../../../src/auth/providers/homeassistant/login-record.ts";
import { providerKey, recordKeys } from "../../../../src/auth/record-keys.ts";
import { addPerson, codeOf, type LoginDomain, loginDomain, peer } from "../../login/login-domain.ts";
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

const provider = providerKey(localType, null);
const context = { flowId: "f1", peer, known: false };

/** The password is `${name}-password`. */
async function addFolded(name: string): Promise<User> {
  return await addPerson(domain, { username: name, password: `${name}-password` });
}

/** Somebody whose name was stored when names were put in lower case, and not folded. */
async function addEarlier(name: string): Promise<User> {
  const user = await addPerson(domain, { username: "placeholder", password: `${name}-password` });
  const found = await domain.credentials.find(localType, null, "placeholder");
  const [record] = await opened.store.get([localLoginKey(null, "placeholder")]);
  if (found === undefined || record === undefined) throw new Error("no login");
  const { credential } = found;
  const outcome = await opened.store.commit({
    put: [
      { key: localLoginKey(null, name), value: record.value },
      { key: recordKeys.credential(credential.id), value: { ...credential, subject: name } },
      { key: recordKeys.credentialOf(provider, name), value: { credential_id: credential.id } },
    ],
    remove: [localLoginKey(null, "placeholder"), recordKeys.credentialOf(provider, "placeholder")],
  });
  expect(outcome.ok).toBe(true);
  return user;
}

/** Whose login a typed name and the password of `stored` are; undefined: refused. */
async function loginOf(typed: string, stored: string): Promise<string | undefined> {
  const input = { username: typed, password: `${stored}-password` };
  const step = await domain.provider.advance("init", input, {}, context);
  return step.kind === "done" ? step.subject : undefined;
}

it("a device stays known to a name of before, in the form and by a proof", async () => {
  await addEarlier("straße");
  const { provider: local } = domain;
  const state = {
    scram: { gs2Header: "", bare: "", nonce: "", serverFirst: "", name: "strasse", stored: "straße" },
  };
  const step = await local.advance("init", { username: "straße", password: "straße-password" }, {}, context);
  const version = step.kind === "done" ? step.secretVersion : undefined;
  expect(version).toEqual(expect.any(String));
  expect(await local.secretVersion?.("init", { username: "straße" }, {})).toBe(version);
  expect(await local.secretVersion?.("scram", { client_final: "" }, state)).toBe(version);
  expect(await local.secretVersion?.("init", { username: "strasse" }, {})).toBeUndefined();
});

describe("spellings of a login name", () => {
  it("are one name, however it is typed", async () => {
    const street = await addFolded("strasse");
    const way = await addFolded("οδοσ");
    for (const typed of ["strasse", "STRASSE", "straße", "STRAẞE", " Straße "]) {
      expect(await loginOf(typed, "strasse")).toBe("strasse");
      expect(await domain.logins.userIdOf(typed)).toBe(street.id);
    }
    for (const typed of ["ΟΔΟΣ", "οδος", "οδοσ"]) {
      expect(await loginOf(typed, "οδοσ")).toBe("οδοσ");
      expect(await domain.logins.userIdOf(typed)).toBe(way.id);
    }
    expect(await codeOf(addFolded("strasse"))).toBe("username_already_exists");
    expect(await codeOf(addFolded("straße"))).toBe("username_not_normalized");
  });

  it("that an earlier version stored go on working, also beside the folded one", async () => {
    const earlier = await addEarlier("straße");
    expect(await loginOf("straße", "straße")).toBe("straße");
    expect(await loginOf("Straße", "straße")).toBe("straße");
    const folded = await addFolded("strasse");
    expect(await loginOf("straße", "straße")).toBe("straße");
    expect(await loginOf("STRASSE", "strasse")).toBe("strasse");
    expect(await domain.logins.userIdOf("straße")).toBe(earlier.id);
    expect(await domain.logins.userIdOf("strasse")).toBe(folded.id);
    await domain.logins.remove("straße");
    expect(await loginOf("straße", "strasse")).toBe("strasse");
  });

  it("are folded when an earlier name is renamed", async () => {
    const user = await addEarlier("straße");
    await domain.logins.changeUsername(user.id, "strasse");
    for (const typed of ["straße", "STRASSE"]) expect(await loginOf(typed, "straße")).toBe("strasse");
  });

  it("are no password, however they are written", async () => {
    const login = { username: "grossstrasse", password: "GROSSSTRAẞE" };
    expect(await codeOf(addPerson(domain, login))).toBe("invalid_password");
  });
});
