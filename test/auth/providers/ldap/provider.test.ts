import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { AuthError } from "../../../../src/auth/errors.ts";
import { ldapProviderType } from "../../../../src/auth/providers/ldap/type.ts";
import type { ProviderContext } from "../../../../src/auth/providers/provider.ts";
import { makeCertificateFiles } from "../../../support/certificate.ts";
import { admin, type LdapServer, startLdap, suffix } from "../../../support/ldap-server.ts";
import { type TemporaryFolder, temporaryFolder } from "../../../support/temporary-folder.ts";
import { within } from "../../../support/within.ts";

type Entry = Parameters<typeof ldapProviderType.create>[0];
const people = `ou=people,${suffix}`;
const groups = `ou=groups,${suffix}`;
const refused = { kind: "form", errors: { base: "invalid_auth" } };
const awkward = 'a,b+"c\\d<e>;f=g#h*(i)\u00e9 j';

let server: LdapServer;
let folder: TemporaryFolder;
beforeAll(async () => {
  folder = temporaryFolder();
  server = await startLdap({ config: ["sizelimit 5", "allow bind_anon_dn"] });
  const ada = await server.addPerson("ada", "canary-password", {
    displayName: "Ada Lovelace",
    employeeNumber: "7",
  });
  const bob = await server.addPerson("bob", "bob-password", { mail: "twin@example.test" });
  await server.addPerson("eve", "eve-password", { mail: "twin@example.test" });
  await server.addPerson(awkward, "awkward-password");
  await server.add(`cn=Staff,${groups}`, { objectClass: "groupOfNames", cn: "Staff", member: [ada, bob] });
  await server.add(`cn=chiefs,${groups}`, { objectClass: "groupOfNames", cn: "chiefs", member: ada });
});
afterAll(async () => {
  await server?.dispose();
  folder?.remove();
});

const context: ProviderContext = { flowId: "f", peer: { address: "203.0.113.7" }, known: false };
const byDn = (): Entry => ({ type: "ldap", url: server.url, user_dn: `uid={username},${people}` });
const bySearch = (): Entry => ({
  type: "ldap",
  url: server.url,
  search_base: suffix,
  bind_dn: admin.dn,
  bind_password: admin.password,
});

async function logIn(entry: Entry, username: string, password: string) {
  expect(ldapProviderType.problem(entry)).toBeUndefined();
  const provider = ldapProviderType.create({ timeout_ms: 8_000, ...entry });
  return await within(provider.advance("init", { username, password }, {}, context), "the directory");
}
async function failure(work: Promise<unknown>) {
  const error = await work.catch((reason: unknown) => reason);
  if (!(error instanceof AuthError)) throw new Error(`no AuthError: ${JSON.stringify(error)}`);
  return error;
}

describe.each([
  ["a bind as the person", byDn],
  ["a search, then a bind", bySearch],
])("%s", (_name, entry) => {
  it("lets in with the right password, under the directory's identifier", async () => {
    const step = await logIn(entry(), " ADA ", "canary-password");
    expect(step).toMatchObject({ kind: "done", amr: ["pwd"], profile: { name: "ada" } });
    expect(step.kind === "done" && step.subject).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
    expect(step.kind === "done" && step.profile).not.toHaveProperty("groupIds");
  });

  it("refuses a wrong password, an unknown name, and an empty password, which a directory would accept", async () => {
    const began = performance.now();
    const answers = await Promise.all([
      logIn(entry(), "ada", "wrong"),
      logIn(entry(), "nobody", "wrong"),
      logIn(entry(), "ada", ""),
      logIn(entry(), "", "x"),
    ]);
    for (const answer of answers) expect(answer).toEqual({ ...answers[0], ...refused });
    expect(performance.now() - began).toBeGreaterThan(240);
  });

  it("takes a name as text, whatever characters it has", async () => {
    expect(await logIn(entry(), awkward, "awkward-password")).toMatchObject({ profile: { name: awkward } });
    const attacks = [
      "*",
      "a*",
      "*)(uid=*",
      "ada)(|(uid=*",
      "ada,ou=people",
      `ada,${people}`,
      "ada\\",
      "ada\0",
    ];
    const answers = await Promise.all(attacks.map((name) => logIn(entry(), name, "canary-password")));
    for (const answer of answers) expect(answer).toMatchObject(refused);
  });

  it("gives the groups that are mapped, and no other, by memberOf and by a search", async () => {
    const mapping = { [`CN=staff, ${groups.toUpperCase()}`]: "system-users", unknown: "system-admin" };
    const byAttribute = { ...entry(), group_mapping: mapping };
    const searching = { ...byAttribute, group_search_base: groups };
    for (const each of [byAttribute, searching]) {
      expect(await logIn(each, "ada", "canary-password")).toMatchObject({
        profile: { groupIds: ["system-users"] },
      });
      expect(await logIn(each, "eve", "eve-password")).toMatchObject({ profile: { groupIds: [] } });
    }
  });

  it("reads name and subject from the attributes that are configured", async () => {
    const named = { ...entry(), name_attribute: "displayName", subject_attribute: "employeenumber" };
    expect(await logIn(named, "ada", "canary-password")).toMatchObject({
      subject: "7",
      profile: { name: "Ada Lovelace" },
    });
    const error = await failure(logIn(named, "bob", "bob-password"));
    expect(error).toMatchObject({ code: "unavailable" });
    expect(error.detail).toContain("does not have exactly one employeenumber");
  });

  it("works over ldaps and StartTLS with the authority's file, and only then", async () => {
    const secure = { ...entry(), url: server.secureUrl };
    const upgraded = { ...entry(), start_tls: true };
    const other = makeCertificateFiles(folder.path, "other").certificateFile;
    for (const each of [secure, upgraded]) {
      expect(await logIn({ ...each, ca_file: server.caFile }, "ada", "canary-password")).toMatchObject({
        kind: "done",
      });
      expect(await logIn({ ...each, ca_file: server.caFile }, "ada", "wrong")).toMatchObject(refused);
      const detail = async (entry: Entry) => (await failure(logIn(entry, "ada", "canary-password"))).detail;
      expect(await detail(each)).toContain("DEPTH_ZERO_SELF_SIGNED_CERT");
      expect(await detail({ ...each, ca_file: other })).toContain("DEPTH_ZERO_SELF_SIGNED_CERT");
      expect(await detail({ ...each, ca_file: "/absent" })).toContain("ca_file cannot be read");
    }
  });
});

describe("a search", () => {
  it("that finds two people refuses both", async () => {
    const entry = { ...bySearch(), search_filter: "(mail={username})" };
    const passwords = ["bob-password", "eve-password"];
    const answers = await Promise.all(passwords.map((each) => logIn(entry, "twin@example.test", each)));
    for (const answer of answers) expect(answer).toMatchObject(refused);
  });

  it("reads the account's password from a file, and says when the account is refused", async () => {
    const file = path.join(folder.path, "password");
    const { bind_password: _, ...rest } = bySearch();
    const entry = { ...rest, bind_password_file: file };
    const detail = async () => (await failure(logIn(entry, "ada", "canary-password"))).detail ?? "";
    expect(await detail()).toContain("bind_password_file cannot be read");
    writeFileSync(file, "wrong\n");
    expect(await detail()).toContain(
      "the account for searches: it answered with InvalidCredentialsError (49)",
    );
    writeFileSync(file, "\n");
    expect(await detail()).toContain("its password is empty");
    expect(await detail()).not.toContain("canary");
    writeFileSync(file, `${admin.password}\n`);
    expect(await logIn(entry, "ada", "canary-password")).toMatchObject({ kind: "done" });
  });
});

it("a name that was given to somebody else is another person", async () => {
  const subject = async (password: string) => {
    const step = await logIn(byDn(), "leaver", password);
    return step.kind === "done" ? step.subject : step;
  };
  const dn = await server.addPerson("leaver", "first-password");
  const first = await subject("first-password");
  await server.asAdmin((client) => client.del(dn));
  await server.addPerson("leaver", "second-password");
  expect(await subject("second-password")).not.toEqual(first);
});

it("spellings that the directory takes for one name have one counter", () => {
  const provider = ldapProviderType.create(byDn());
  const name = (username: string) => provider.guessedName?.("init", { username });
  for (const spelling of [" ADA", "ada ", "\u00e1da", "\uff41da", "a\u0301da"])
    expect(name(spelling)).toBe("ada");
  expect(name("a  b")).toBe("a b");
});

it("a name with characters that directories ignore is refused without a question", async () => {
  const entry = { ...byDn(), url: "ldap://127.0.0.1:1" };
  const names = ["a\u00adda", "a\u200bda", "ada\ufe0f", "a\ufffcda", "a\0da"];
  const answers = await Promise.all(names.map((name) => logIn(entry, name, "canary-password")));
  for (const answer of answers) expect(answer).toMatchObject(refused);
  expect(await failure(logIn(entry, "ada", "canary-password"))).toMatchObject({ code: "unavailable" });
});

describe("an entry of the configuration", () => {
  const problem = (more: Partial<Entry>, without: readonly (keyof Entry)[] = []) => {
    const entry: Entry = { ...bySearch(), ...more };
    return ldapProviderType.problem(
      Object.fromEntries(
        Object.entries(entry).filter(([key]) => !without.includes(key as keyof Entry)),
      ) as Entry,
    );
  };

  it("needs TLS to another machine, and one way to find people", () => {
    expect(problem({ url: "ldap://directory.test" })).toContain("without TLS");
    expect(problem({ url: "ldap://directory.test", start_tls: true })).toBeUndefined();
    expect(problem({ url: "ldap://directory.test", cleartext: true })).toBeUndefined();
    expect(problem({ url: "ldaps://directory.test", start_tls: true })).toContain("start_tls");
    expect(problem({ user_dn: "uid={username},dc=x" })).toContain("user_dn and search_base: give one");
    expect(problem({}, ["search_base"])).toContain("needs user_dn or search_base");
    expect(problem({ search_filter: "(uid=*)" })).toContain("{username}");
    expect(problem({ user_dn: "{username}" }, ["search_base", "bind_dn", "bind_password"])).toContain(
      "user_dn",
    );
    expect(problem({}, ["bind_password"])).toContain("bind_password");
    expect(problem({ bind_password_file: "x" })).toContain("bind_password");
    expect(problem({ group_attribute: "memberOf" })).toContain("group_mapping");
  });
});
