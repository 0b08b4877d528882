import type { TObject } from "typebox";
import { Compile } from "typebox/compile";
import type { TLocalizedValidationError } from "typebox/error";

import { type FactorEntry, factorProblem, factorTypes } from "../../auth/factors/factor-types.ts";
import { systemGroups } from "../../auth/model.ts";
import type { ConfiguredOptions } from "../../auth/providers/provider-type.ts";
import {
  type ProviderEntry,
  providerTypes,
  entryProblem as typesProblem,
} from "../../auth/providers/provider-types.ts";

type Types = Readonly<Record<string, { readonly entry: TObject }>>;

/** Options that are lists of entries with a type, by their key. */
const listsOfEntries: Readonly<Record<string, Types>> = {
  auth_providers: providerTypes,
  auth_mfa_modules: factorTypes,
};

/** What is wrong with the first entry of such a list that is wrong; undefined for other options, and where it is not an entry. */
export function entriesProblem(key: string, list: unknown): string | undefined {
  const types = listsOfEntries[key];
  if (types === undefined || !Array.isArray(list)) return undefined;
  for (const [place, entry] of (list as readonly unknown[]).entries()) {
    const problem = entryProblem(entry, types);
    if (problem !== undefined) return `entry ${place + 1} ${problem}`;
  }
  return undefined;
}

function entryProblem(entry: unknown, types: Types): string | undefined {
  const known = Object.keys(types).join(", ");
  if (typeof entry !== "object" || entry === null || Array.isArray(entry))
    return `must be a mapping with a type: ${known}`;
  const { type } = entry as { readonly type?: unknown };
  const schema = typeof type === "string" && Object.hasOwn(types, type) ? types[type]?.entry : undefined;
  if (schema === undefined) return `must have a known type: ${known}`;
  const unknown = Object.keys(entry).filter((key) => !Object.hasOwn(schema.properties, key));
  if (unknown.length > 0) return `has a key that is not an option of ${String(type)}: ${unknown.join(", ")}`;
  const [error] = Compile(schema).Errors(entry);
  return error && optionProblem(schema, error);
}

function optionProblem(
  schema: { readonly properties: Readonly<Record<string, object>> },
  { instancePath, keyword, message, params }: TLocalizedValidationError,
): string {
  const path = instancePath
    .slice(1)
    .split("/")
    .map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
  if (keyword === "required" && instancePath === "")
    return `needs ${(params as { readonly requiredProperties: readonly string[] }).requiredProperties.join(", ")}`;
  const [name = ""] = path;
  const option = schema.properties[name] ?? {};
  // What the validator says of an option with several forms is about one of them.
  if ("expected" in option) return `has a wrong ${name}: must be ${String(option.expected)}`;
  const allowed = path.length === 1 ? literalsOf(option) : [];
  if (allowed.length > 0) return `has a wrong ${name}: must be one of ${allowed.join(", ")}`;
  return `has a wrong ${path.join(".")}: ${message}`;
}

/** The values of an option that is one of several words. */
function literalsOf(option: object): readonly string[] {
  const forms = "anyOf" in option && Array.isArray(option.anyOf) ? (option.anyOf as readonly object[]) : [];
  const words = forms.flatMap((form) => ("const" in form ? [String(form.const)] : []));
  return words.length === forms.length ? words : [];
}

/** What is wrong with the first entry that fits its schema and is wrong nevertheless. */
export function providerEntriesProblem(
  entries: readonly ProviderEntry[],
  configured: ConfiguredOptions,
): string | undefined {
  for (const [place, entry] of entries.entries()) {
    const problem = typesProblem(entry, configured) ?? groupsProblem(entry);
    if (problem !== undefined) return `entry ${place + 1} ${problem}`;
  }
  return sameProviderProblem(entries);
}

const groupIds: readonly string[] = Object.values(systemGroups);
const madeGroup = /^[0-9a-f]{32}$/;

/** At a login, groups that do not exist are left out: people would have fewer rights than the entry says. */
function groupsProblem(entry: ProviderEntry): string | undefined {
  const { new_users, group_mapping, trusted_users } = {
    new_users: undefined,
    group_mapping: undefined,
    trusted_users: undefined,
    ...entry,
  };
  const named = {
    "new_users.groups": new_users?.groups ?? [],
    group_mapping: Object.values(group_mapping ?? {}),
    trusted_users: groupsOf(trusted_users ?? {}),
  };
  for (const [option, groups] of Object.entries(named))
    if (groups.some((group) => !groupIds.includes(group) && !madeGroup.test(group)))
      return `has a wrong ${option}: a group must be one of ${groupIds.join(", ")}, or the id of a group that was made`;
  return undefined;
}

type Trusted = NonNullable<Extract<ProviderEntry, { readonly type: "trusted_networks" }>["trusted_users"]>;

function groupsOf(trusted: Trusted): readonly string[] {
  return Object.values(trusted)
    .flat()
    .flatMap((who) => (typeof who === "string" ? [] : who.group));
}

/** Reports two entries with the same type and id. */
function sameProviderProblem(entries: readonly ProviderEntry[]): string | undefined {
  for (const [place, { type, id }] of entries.entries()) {
    const first = entries.findIndex((other) => other.type === type && other.id === id);
    if (first < place)
      return `entries ${first + 1} and ${place + 1} have the same type and id: give each an id of its own`;
  }
  return undefined;
}

/** An id is what is stored of a factor, so it names one. */
export function factorEntriesProblem(entries: readonly FactorEntry[]): string | undefined {
  for (const [at, entry] of entries.entries()) {
    const problem = factorProblem(entry);
    if (problem !== undefined) return `entry ${at + 1} ${problem}`;
  }
  const ids = entries.map(({ type, id = type }) => id);
  const place = ids.findIndex((id, at) => ids.indexOf(id) < at);
  return place === -1 ? undefined : `entry ${place + 1} has the id of another entry`;
}
