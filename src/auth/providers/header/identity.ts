import type { UpgradeHeaders } from "../../model.ts";

/** Most UTF-16 units of a user name, and of all groups together; most groups. */
const longest = { user: 256, groups: 8 * 1024 };
const mostGroups = 256;
/** Characters that show nothing, or change how others are shown. */
const unseen = /[\p{Cc}\p{Cf}\p{Co}\p{Surrogate}\p{Zl}\p{Zp}]/u;
const utf8 = new TextDecoder("utf-8", { fatal: true });

export interface HeaderNames {
  /** Lower-case names of headers. */
  readonly user: string;
  readonly name: string | undefined;
  readonly groups: string | undefined;
  /** Other characters in names of users and groups make the identity invalid. */
  readonly asciiOnly: boolean;
  /** Between two groups. */
  readonly separator: string;
}

export interface HeaderIdentity {
  readonly user: string;
  readonly name: string | undefined;
  readonly groups: readonly string[];
}

/**
 * The identity in a proxy's headers. `missing`: there is no user. `invalid`: a header is there twice, the user has a
 * comma (two headers that something joined), is empty or too long, or a value is not UTF-8. A person who can add a
 * header of their own to that of the proxy would otherwise choose who they are.
 */
export function readIdentity(
  { headers }: UpgradeHeaders,
  names: HeaderNames,
): HeaderIdentity | "missing" | "invalid" {
  if (!headers.has(names.user)) return "missing";
  const user = single(headers, names.user);
  const name = single(headers, names.name);
  const groups = single(headers, names.groups);
  if (user === undefined || name === undefined || groups === undefined) return "invalid";
  if (user === "" || user.length > longest.user || user.includes(",") || unseen.test(user)) return "invalid";
  if (names.asciiOnly && /[^ -~]/.test(user + groups)) return "invalid";
  const list = groups
    .split(names.separator)
    .map((group) => group.trim())
    .filter((group) => group !== "");
  if (groups.length > longest.groups || list.length > mostGroups) return "invalid";
  return { user, name: name === "" ? undefined : name, groups: list };
}

/** The value of a header that may be there once; "" without it, undefined if it cannot be believed. */
function single(headers: UpgradeHeaders["headers"], name: string | undefined): string | undefined {
  const values = name === undefined ? [] : (headers.get(name) ?? []);
  if (values.length > 1) return undefined;
  try {
    return utf8.decode(Buffer.from(values[0] ?? "", "latin1")).trim();
  } catch {
    return undefined;
  }
}
