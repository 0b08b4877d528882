import { randomUUID } from "node:crypto";
import { type Client, type Entry, ResultCodeError } from "ldapts";

import { DirectoryError, type LdapServer, withConnection } from "./connection.ts";
import { escapedForDn, escapedForFilter, filled, spelledDn } from "./escaping.ts";

/** Groups of one person that are read at most; more is an error, because a part of them could give the wrong rights. */
const mostGroups = 1_000;
/** Server-made identifiers that are never given to somebody else: RFC 4530, Active Directory. */
const stableIds = ["entryUUID", "objectGUID"] as const;

export interface DirectoryOptions extends LdapServer {
  readonly timeoutMs: number;
  /** How the entry of a login name is found. */
  readonly find:
    | { readonly by: "dn"; readonly template: string }
    | {
        readonly by: "search";
        readonly base: string;
        readonly filter: string;
        /** Undefined: searches anonymously. */
        readonly account: ServiceAccount | undefined;
      };
  /** Undefined: the server's stable identifier, or the DN where it has none. */
  readonly subjectAttribute: string | undefined;
  readonly nameAttribute: string;
  /** Undefined: groups are not asked for. */
  readonly groups:
    | { readonly by: "attribute"; readonly attribute: string }
    | { readonly by: "search"; readonly base: string; readonly filter: string }
    | undefined;
}

export interface ServiceAccount {
  readonly dn: string;
  readonly password: () => Promise<string>;
}

export interface DirectoryPerson {
  readonly subject: string;
  readonly name: string | undefined;
  /** Names or DNs of groups; undefined if they were not asked for. */
  readonly groups: readonly string[] | undefined;
}

/**
 * Proves a password by a bind as its owner, on a connection of its own. Undefined: no such person, a wrong password, or an
 * account that the directory does not let in. Throws `DirectoryError`. The password is not empty: a bind without one
 * succeeds without any proof (RFC 4513 section 5.1.2).
 */
export async function provePerson(
  options: DirectoryOptions,
  username: string,
  password: string,
): Promise<DirectoryPerson | undefined> {
  try {
    return await withConnection(options, options.timeoutMs, async (client) =>
      options.find.by === "dn"
        ? await proveByDn(client, options, { username, password, template: options.find.template })
        : await proveBySearch(client, options, { username, password, ...options.find }),
    );
  } catch (error) {
    throw error instanceof DirectoryError ? error : new DirectoryError(reasonOf(error));
  }
}

interface Login {
  readonly username: string;
  readonly password: string;
}

async function proveByDn(
  client: Client,
  options: DirectoryOptions,
  { username, password, template }: Login & { readonly template: string },
): Promise<DirectoryPerson | undefined> {
  const dn = filled(template, "username", escapedForDn(username));
  if (!(await bindsAs(client, dn, password))) return undefined;
  const [entry] = await search(client, dn, "(objectClass=*)", "base", attributesOf(options), 1);
  if (entry === undefined) throw new DirectoryError("a person may not read the own entry");
  return await personOf(client, options, entry);
}

async function proveBySearch(
  client: Client,
  options: DirectoryOptions,
  { username, password, base, filter, account }: Login & Extract<DirectoryOptions["find"], { by: "search" }>,
): Promise<DirectoryPerson | undefined> {
  await bindAsService(client, account);
  const wanted = filled(filter, "username", escapedForFilter(username));
  const found = await search(client, base, wanted, "sub", attributesOf(options), 2);
  const [entry] = found;
  // Nobody, or several people: the same bind is tried, for a name that nobody has.
  const dn = found.length === 1 && entry !== undefined ? entry.dn : `cn=${randomUUID()},${base}`;
  const proven = await bindsAs(client, dn, password);
  if (!proven || found.length !== 1 || entry === undefined) return undefined;
  if (options.groups?.by === "search") await bindAsService(client, account);
  return await personOf(client, options, entry);
}

async function bindAsService(client: Client, account: ServiceAccount | undefined): Promise<void> {
  if (account === undefined) return;
  const password = await account.password();
  if (password === "") throw new DirectoryError("the account for searches: its password is empty");
  try {
    await client.bind(account.dn, password);
  } catch (error) {
    throw new DirectoryError(`the account for searches: ${reasonOf(error)}`);
  }
}

/**
 * Result codes that may depend on the person: constraintViolation and unwillingToPerform (locked accounts),
 * noSuchObject, invalidDNSyntax, inappropriateAuthentication, invalidCredentials.
 */
const personsOwn: ReadonlySet<number> = new Set([19, 32, 34, 48, 49, 53]);

async function bindsAs(client: Client, dn: string, password: string): Promise<boolean> {
  // Without a name a bind is anonymous whatever the password is, and the library takes some names for SASL mechanisms.
  if (!dn.includes("=") || password === "") return false;
  try {
    await client.bind(dn, password);
    return true;
  } catch (error) {
    if (error instanceof ResultCodeError && personsOwn.has(error.code)) return false;
    throw error;
  }
}

function attributesOf({ subjectAttribute, nameAttribute, groups }: DirectoryOptions): string[] {
  const ids = subjectAttribute === undefined ? stableIds : [subjectAttribute];
  return [...ids, nameAttribute, ...(groups?.by === "attribute" ? [groups.attribute] : [])];
}

async function search(
  client: Client,
  base: string,
  filter: string,
  scope: "base" | "sub",
  attributes: string[],
  sizeLimit: number,
): Promise<readonly Entry[]> {
  const { searchEntries } = await client.search(base, {
    filter,
    scope,
    attributes,
    sizeLimit,
    explicitBufferAttributes: ["objectGUID"],
  });
  if (searchEntries.length > sizeLimit) throw new DirectoryError("it ignores the size limit of a search");
  return searchEntries;
}

async function personOf(client: Client, options: DirectoryOptions, entry: Entry): Promise<DirectoryPerson> {
  return {
    subject: subjectOf(options, entry),
    name: textsOf(entry, options.nameAttribute)[0],
    groups: await groupsOf(client, options, entry),
  };
}

function subjectOf({ subjectAttribute }: DirectoryOptions, entry: Entry): string {
  if (subjectAttribute !== undefined) {
    const values = textsOf(entry, subjectAttribute);
    const [value] = values;
    if (values.length !== 1 || value === undefined || value === "")
      throw new DirectoryError(`an entry does not have exactly one ${subjectAttribute}`);
    return value;
  }
  for (const name of stableIds) {
    const [value] = textsOf(entry, name);
    if (value !== undefined && value !== "") return value.toLowerCase();
  }
  return spelledDn(entry.dn);
}

async function groupsOf(
  client: Client,
  { groups }: DirectoryOptions,
  entry: Entry,
): Promise<readonly string[] | undefined> {
  if (groups === undefined) return undefined;
  if (groups.by === "attribute") return textsOf(entry, groups.attribute);
  const filter = filled(groups.filter, "dn", escapedForFilter(entry.dn));
  const found = await search(client, groups.base, filter, "sub", ["1.1"], mostGroups + 1);
  if (found.length > mostGroups) throw new DirectoryError(`a person has more than ${mostGroups} groups`);
  return found.map(({ dn }) => dn);
}

/** The values of an attribute; directories ignore case in its name. Bytes are written as hex digits. */
function textsOf(entry: Entry, name: string): readonly string[] {
  const key = Object.keys(entry).find((each) => each.toLowerCase() === name.toLowerCase() && each !== "dn");
  const value = key === undefined ? [] : entry[key];
  const values: readonly (string | Buffer)[] = Array.isArray(value)
    ? value
    : value === undefined
      ? []
      : [value];
  return values.map((each) => (typeof each === "string" ? each : each.toString("hex")));
}

/** Result codes in words, and errors of sockets and TLS by their code: other texts could hold what was typed. */
function reasonOf(error: unknown): string {
  if (error instanceof ResultCodeError) return `it answered with ${error.name} (${error.code})`;
  if (!(error instanceof Error)) return "it failed";
  if ("code" in error && typeof error.code === "string") return `it cannot be reached (${error.code})`;
  return error.message.split("\n").at(-1) ?? "it failed";
}
