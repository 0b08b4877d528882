/**
 * Scopes (RFC 6749 section 3.3) only narrow what a token may do: a user without a right does not get it by a scope.
 * A session without scopes (null) is not narrowed, as those of Home Assistant's clients. Other scopes than these mean
 * nothing to the gateway; backends that receive the token may read them. `openid`: an ID token, and the user's id at
 * `/auth/userinfo`. `profile`: the name. `groups`: the groups' ids. `offline_access`: nothing by itself. `api`:
 * everything that the user may do, on the socket and over HTTP.
 */
export const knownScopes = ["openid", "profile", "groups", "offline_access", "api"] as const;

export type KnownScope = (typeof knownScopes)[number];

/** RFC 6749 section 3.3. */
const scopeShape = /^[\x21\x23-\x5B\x5D-\x7E]{1,64}$/;

export function isScope(text: string): boolean {
  return scopeShape.test(text);
}

/** The scopes of a space-separated list, each once, in the order of the list. */
export function scopesIn(list: string): readonly string[] {
  return [...new Set(list.split(" ").filter((scope) => scope !== ""))];
}

/** Whether a token with this `scope` claim may do what needs `needed`. */
export function allows(scope: string | null | undefined, needed: KnownScope): boolean {
  return scope == null || scopesIn(scope).includes(needed);
}

/**
 * The scopes that are granted, as a list: those that were asked for and that are allowed. The rest is ignored, as
 * OpenID Connect Core section 3.1.2.1 says; the answer of the token endpoint says what was granted. Without a request
 * all that are allowed. Undefined if nothing is left.
 */
export function narrowedScopes(
  requested: string | null | undefined,
  allowed: readonly string[],
): string | undefined {
  const wanted = requested == null ? allowed : scopesIn(requested);
  const granted = wanted.filter((scope) => allowed.includes(scope));
  return granted.length === 0 ? undefined : granted.join(" ");
}
