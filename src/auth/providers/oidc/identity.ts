import type { JsonObject, JsonValue } from "../../store.ts";

/** Who the provider says the person is: claims of the ID token, and of the UserInfo response for what it lacks. */
export interface Identity {
  /** Subject of the credential, see `subjectOf`. */
  readonly subject: string;
  /** The provider's id of the session that the person has there. Null if it names none. */
  readonly sid: string | null;
  /** RFC 8176. */
  readonly amr: readonly string[];
  /** For people. */
  readonly name: string;
  readonly groups: readonly string[];
  /** When the person logged in there, ms; undefined if the provider does not say. */
  readonly authenticatedAt?: number | undefined;
}

/** OpenID Connect Core section 2: a `sub` has at most 255 characters. */
const longestSub = 255;
const longestName = 128;
const mostGroups = 1000;
const longestGroup = 1024;
const mostAmr = 8;
/** Control, format (zero width, bidirectional) and private-use characters, lone surrogates, line separators. */
const unseen = /[\p{Cc}\p{Cf}\p{Co}\p{Surrogate}\p{Zl}\p{Zp}]/gu;

/**
 * Issuer and `sub` in one text. A `sub` is unique at its issuer only. An issuer has no fragment (OpenID Connect
 * Discovery section 3), so the first `#` separates the two.
 */
export function subjectOf(issuer: string, sub: string): string {
  return `${issuer}#${sub}`;
}

/** Whether this may be a `sub` or a `sid`. */
export function isIdentifier(value: unknown): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= longestSub;
}

/**
 * A claim by its name, or by the names on the way to it, with dots between them (`realm_access.roles`). A name that
 * is there as it is written counts first, because names of claims may contain dots.
 */
export function claimAt(claims: JsonObject, name: string): JsonValue | undefined {
  if (Object.hasOwn(claims, name)) return claims[name];
  return name
    .split(".")
    .reduce<JsonValue | undefined>(
      (value, part) => (isObject(value) && Object.hasOwn(value, part) ? value[part] : undefined),
      claims,
    );
}

/** Names for people, in the order in which they are taken. `configured` comes before them. */
const nameClaims = ["name", "preferred_username", "nickname", "email"];

/** The person's display name; their `sub` if no claim names them. */
export function nameIn(claims: JsonObject, configured: string): string {
  for (const claim of [configured, ...nameClaims, "sub"]) {
    const value = claimAt(claims, claim);
    const name = typeof value === "string" ? shown(value) : "";
    if (name !== "") return name;
  }
  return "";
}

/** Text of a provider as it may be shown: without characters that nobody sees or that reorder others. */
function shown(text: string): string {
  const clean = text
    .slice(0, 4 * longestName)
    .replace(unseen, "")
    .trim();
  return [...clean].slice(0, longestName).join("");
}

/** A claim that is one text is one group. Anything that is not a text is left out, as are texts that are too long. */
export function groupsIn(claims: JsonObject, claim: string): readonly string[] {
  const value = claimAt(claims, claim);
  const groups: readonly JsonValue[] = Array.isArray(value) ? value : value === undefined ? [] : [value];
  return groups
    .slice(0, mostGroups)
    .filter((group) => typeof group === "string" && group.length <= longestGroup) as readonly string[];
}

/**
 * RFC 8176 has no value for "the provider does not say how". A login without a method would count as no proof of a
 * person.
 */
const unsaid: readonly string[] = ["federated"];

export function amrIn({ amr }: JsonObject): readonly string[] {
  const given = Array.isArray(amr) ? amr : [];
  const methods = given.filter(
    (method): method is string => typeof method === "string" && /^[a-z0-9_-]{1,32}$/i.test(method),
  );
  return methods.length === 0 ? unsaid : methods.slice(0, mostAmr);
}

/** `auth_time` has seconds. */
export function loginTimeIn({ auth_time: seconds }: JsonObject): number | undefined {
  return typeof seconds === "number" ? seconds * 1000 : undefined;
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
