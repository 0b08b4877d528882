import { readHash } from "../../auth/passwords/imported/hash-encodings.ts";
import type { ImportProblem, UserToImport } from "../../auth/providers/homeassistant/import-users.ts";
import { normaliseLoginName } from "../../auth/providers/homeassistant/login-name.ts";

/** One user of a file, as it was read. A text is what is wrong with the whole entry. */
export interface Entry {
  readonly entry: string;
  readonly fields: unknown;
}

const known = ["username", "password_hash", "name", "groups", "active", "local_only"] as const;
type Field = (typeof known)[number];

/**
 * A user of `{username, password_hash, name?, groups?, active?, local_only?}`. In CSV all are texts, groups are separated
 * by semicolons, and an empty text is as good as none.
 */
export function userOfEntry(entry: string, fields: unknown): UserToImport | ImportProblem {
  if (typeof fields === "string") return { entry, problem: fields };
  if (typeof fields !== "object" || fields === null || Array.isArray(fields))
    return { entry, problem: "is no object with username and password_hash" };
  const strange = unknownFieldIn(Object.keys(fields));
  if (strange !== undefined) return { entry, problem: strange };
  const {
    username,
    password_hash,
    name = "",
    groups = [],
    active,
    local_only,
  } = fields as Partial<Record<Field, unknown>>;
  if (typeof username !== "string" || username === "") return { entry, problem: "username is missing" };
  if (typeof password_hash !== "string" || password_hash === "")
    return { entry, problem: "password_hash is missing" };
  if (typeof name !== "string") return { entry, problem: "name is no text" };
  const groupIds = typeof groups === "string" ? groups.split(";").flatMap(trimmed) : groups;
  if (!Array.isArray(groupIds) || !groupIds.every((id): id is string => typeof id === "string"))
    return { entry, problem: "groups is no list of texts" };
  const isActive = flagOf(active, true);
  const localOnly = flagOf(local_only, false);
  if (isActive === undefined || localOnly === undefined)
    return { entry, problem: "active and local_only are true or false" };
  const hash = readHash(password_hash.trim());
  if ("problem" in hash) return { entry, problem: hash.problem };
  const login = { username: normaliseLoginName(username), hash };
  return { entry, name: name === "" ? username : name, groupIds, isActive, localOnly, login };
}

/** Where names and values are mixed up, a name may be a password or a hash. Such a name is not shown. */
const shownName = /^[A-Za-z][\w .-]{0,31}$/;

/** What is wrong with the first name that is no field. Undefined if all are. */
export function unknownFieldIn(names: readonly string[]): string | undefined {
  const strange = names.find((name) => !known.includes(name as Field));
  if (strange === undefined) return undefined;
  const which = shownName.test(strange) ? ` "${strange}"` : "";
  return `unknown field${which}; the fields are ${known.join(", ")}`;
}

function trimmed(text: string): string[] {
  return text.trim() === "" ? [] : [text.trim()];
}

function flagOf(value: unknown, otherwise: boolean): boolean | undefined {
  if (value === undefined || value === "") return otherwise;
  if (value === true || value === "true") return true;
  return value === false || value === "false" ? false : undefined;
}
