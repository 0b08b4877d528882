import { readFile } from "node:fs/promises";
import { type Static, Type } from "typebox";

import { longestTryMs } from "../bounded-tries.ts";
import { groupMappingOption } from "../group-mapping.ts";
import { entrySchema, type Frozen, newUsersOf, newUsersOption } from "../provider-type.ts";
import { DirectoryError } from "./connection.ts";
import type { DirectoryOptions, ServiceAccount } from "./directory.ts";
import { createLdapProvider, ldapType as type } from "./provider.ts";

const text = (description: string, more: object = {}) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 1024, description, ...more }));
const flag = (description: string) => Type.Optional(Type.Boolean({ default: false, description }));

const entry = entrySchema(type, {
  url: Type.String({
    minLength: 8,
    maxLength: 512,
    pattern: "^ldaps?://[^/?#@\\s]+/?$",
    expected: "ldap://host:port or ldaps://host:port",
    description: "`ldaps://host:port` or `ldap://host:port`.",
  }),
  start_tls: flag("Begin TLS on an `ldap://` connection before anything else is sent."),
  ca_file: text(
    "PEM file with the authorities that may have signed the server's certificate. None: those of Node.",
    { file: "read" },
  ),
  cleartext: flag("Send passwords without TLS to another machine."),
  user_dn: text(
    "A person's DN, with `{username}` in it: the person's bind is the first request. Either this or `search_base`.",
  ),
  search_base: text(
    "Where people are searched. Then the bind of the entry that was found proves the password.",
  ),
  search_filter: text("The search for a person, with `{username}` in it.", { default: "(uid={username})" }),
  bind_dn: text("The account for searches. None: they are anonymous."),
  bind_password: text("Its password.", { writeOnly: true }),
  bind_password_file: text("File with its password, read at every try. A last line break is left out.", {
    file: "read",
  }),
  subject_attribute: text(
    "The attribute that identifies a person; it must never be given to somebody else. None: `entryUUID` or `objectGUID`, or the DN if the server has neither.",
  ),
  name_attribute: text("The attribute with the name that is shown.", { default: "cn" }),
  group_attribute: text("The attribute with the person's groups; read if there is a `group_mapping`.", {
    default: "memberOf",
  }),
  group_search_base: text("Where groups are searched, instead of `group_attribute`."),
  group_search_filter: text("The search for a person's groups, with the person's `{dn}` in it.", {
    default: "(member={dn})",
  }),
  ...groupMappingOption,
  timeout_ms: Type.Optional(
    Type.Integer({
      default: 5_000,
      minimum: 100,
      maximum: longestTryMs,
      description: "Time for all requests of one login together.",
    }),
  ),
  concurrent: Type.Optional(
    Type.Integer({
      default: 8,
      minimum: 1,
      maximum: 64,
      description: "How many logins are asked for at once, each on a connection of its own.",
    }),
  ),
  ...newUsersOption,
});
type Entry = Frozen<Static<typeof entry>>;

/** People of a directory (RFC 4511). */
export const ldapProviderType = {
  entry,
  problem: (given: Entry) => tlsProblem(given) ?? lookupProblem(given) ?? groupProblem(given),
  create: (given: Entry) =>
    createLdapProvider({
      id: given.id ?? null,
      name: given.name,
      directory: directoryOf(given),
      groupMapping: given.group_mapping,
      concurrent: given.concurrent ?? 8,
      newUsers: newUsersOf(given.new_users),
    }),
};

function tlsProblem({ url, start_tls, cleartext }: Entry): string | undefined {
  if (!URL.canParse(url)) return "has a wrong url: must be ldap://host:port or ldaps://host:port";
  const { protocol, hostname } = new URL(url);
  if (protocol === "ldaps:") return start_tls ? "has start_tls, which is for ldap:// only" : undefined;
  const isHere = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
  if (start_tls || cleartext || isHere) return undefined;
  return "would send passwords without TLS: use ldaps://, or set start_tls (or cleartext: true)";
}

function lookupProblem(given: Entry): string | undefined {
  if ((given.user_dn === undefined) === (given.search_base === undefined))
    return given.user_dn === undefined
      ? "needs user_dn or search_base"
      : "has user_dn and search_base: give one of the two";
  if (given.user_dn !== undefined && !/=.*\{username\}/.test(given.user_dn))
    return "has a wrong user_dn: must be a DN with {username} in it";
  if (given.user_dn !== undefined && (given.bind_dn ?? given.search_filter) !== undefined)
    return "has options of a search (bind_dn, search_filter) and user_dn";
  if (given.search_filter?.includes("{username}") === false)
    return "has a wrong search_filter: must have {username} in it";
  const passwords = [given.bind_password, given.bind_password_file].filter((each) => each !== undefined);
  if (passwords.length !== (given.bind_dn === undefined ? 0 : 1))
    return "needs bind_password or bind_password_file exactly if there is a bind_dn";
  return undefined;
}

function groupProblem(given: Entry): string | undefined {
  if (given.group_search_filter?.includes("{dn}") === false)
    return "has a wrong group_search_filter: must have {dn} in it";
  const asks = given.group_search_base ?? given.group_search_filter ?? given.group_attribute;
  return asks !== undefined && given.group_mapping === undefined
    ? "reads groups without a group_mapping"
    : undefined;
}

function directoryOf(given: Entry): DirectoryOptions {
  const { user_dn, search_base = "", search_filter = "(uid={username})" } = given;
  return {
    url: new URL(given.url),
    startTls: given.start_tls ?? false,
    caFile: given.ca_file,
    timeoutMs: given.timeout_ms ?? 5_000,
    find:
      user_dn === undefined
        ? { by: "search", base: search_base, filter: search_filter, account: accountOf(given) }
        : { by: "dn", template: user_dn },
    subjectAttribute: given.subject_attribute,
    nameAttribute: given.name_attribute ?? "cn",
    groups: groupsOf(given),
  };
}

function accountOf({ bind_dn, bind_password, bind_password_file }: Entry): ServiceAccount | undefined {
  if (bind_dn === undefined) return undefined;
  return {
    dn: bind_dn,
    password: async () =>
      bind_password_file === undefined ? (bind_password ?? "") : await passwordIn(bind_password_file),
  };
}

async function passwordIn(file: string): Promise<string> {
  try {
    return (await readFile(file, "utf8")).replace(/\r?\n$/, "");
  } catch {
    throw new DirectoryError("bind_password_file cannot be read");
  }
}

function groupsOf(given: Entry): DirectoryOptions["groups"] {
  if (given.group_mapping === undefined) return undefined;
  return given.group_search_base === undefined
    ? { by: "attribute", attribute: given.group_attribute ?? "memberOf" }
    : {
        by: "search",
        base: given.group_search_base,
        filter: given.group_search_filter ?? "(member={dn})",
      };
}
