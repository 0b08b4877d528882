import type { Subject } from "./subscriptions.ts";

/**
 * The user of an access token: the `sub` of its claims (RFC 9068 section 2.2). Nothing is verified, because the token
 * is the client's own. Undefined for a token of another format.
 */
export function subjectOf(accessToken: string | undefined): Subject {
  const [, payload = ""] = accessToken?.split(".") ?? [];
  try {
    const bytes = Uint8Array.from(atob(payload.replaceAll("-", "+").replaceAll("_", "/")), (character) =>
      character.charCodeAt(0),
    );
    const claims = JSON.parse(new TextDecoder().decode(bytes)) as { readonly sub?: unknown };
    return typeof claims.sub === "string" ? claims.sub : undefined;
  } catch {
    return undefined;
  }
}
