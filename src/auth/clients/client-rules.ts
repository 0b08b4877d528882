import { createPublicKey, type JsonWebKey } from "node:crypto";

import { AuthError } from "../errors.ts";
import { isRegisteredId } from "./client-id.ts";
import type { PublicKeys, RegisteredClient } from "./client-record.ts";
import { isScope } from "./scopes.ts";

/** Schemes that run code in the page that redirects, or read local files. */
const dangerousSchemes: ReadonlySet<string> = new Set([
  "javascript:",
  "data:",
  "vbscript:",
  "blob:",
  "file:",
  "about:",
  "view-source:",
  "filesystem:",
]);

const loopbackHosts: ReadonlySet<string> = new Set(["127.0.0.1", "[::1]"]);
const maxKeys = 10;

/** Throws `invalid_format`, which says what is wrong, unless the client can be registered. */
export function checkRegistration(client: RegisteredClient): void {
  const problem = problemOf(client);
  if (problem !== undefined) throw new AuthError("invalid_format", { publicMessage: problem });
}

function problemOf(client: RegisteredClient): string | undefined {
  const { authMethod, grantTypes } = client;
  const uses = (grant: (typeof grantTypes)[number]) => grantTypes.includes(grant);
  if (!isRegisteredId(client.id))
    return "A client id has 1 to 31 letters, digits, '.', '_' and '-', and starts with a letter or digit.";
  const wrongUri = client.redirectUris.find((uri) => !isRedirectUri(uri));
  if (wrongUri !== undefined)
    return "A redirect URI is not an absolute URL without a fragment that may be redirected to.";
  if (uses("authorization_code") && client.redirectUris.length === 0)
    return "A client with the grant type authorization_code needs a redirect URI.";
  if (!client.scopes.every(isScope)) return "A scope has 1 to 64 visible ASCII characters without quotes.";
  if (!client.resources.every(isResource)) return "A resource is an absolute URL without a fragment.";
  if (client.logoutUri !== null && !isLogoutUri(client.logoutUri))
    return "A back-channel logout URI is an http or https URL without a fragment.";
  if (uses("client_credentials") && (authMethod === "none" || client.userId === null))
    return "The grant type client_credentials needs a client that authenticates, and a system user.";
  if (!uses("client_credentials") && client.userId !== null)
    return "A system user is for the grant type client_credentials alone.";
  if (uses("login") && authMethod !== "none")
    return "The grant type login is for public clients: nothing authenticates a client on the socket.";
  return keysProblem(authMethod, client.jwks);
}

function keysProblem(method: RegisteredClient["authMethod"], jwks: PublicKeys | null): string | undefined {
  if (method !== "private_key_jwt") return jwks === null ? undefined : "Keys are for private_key_jwt alone.";
  if (jwks === null || jwks.keys.length === 0 || jwks.keys.length > maxKeys)
    return `private_key_jwt needs 1 to ${maxKeys} public keys.`;
  return jwks.keys.every(isPublicKey)
    ? undefined
    : "The keys of private_key_jwt are public EC, RSA or OKP keys.";
}

function isPublicKey(key: PublicKeys["keys"][number]): boolean {
  if (key.kty === "oct" || "d" in key) return false;
  try {
    createPublicKey({ key: key as JsonWebKey, format: "jwk" });
    return true;
  } catch {
    return false;
  }
}

/** The keys in a JWKS. Undefined for a text that is none. NOT checked: what keys they are; see `checkRegistration`. */
export function publicKeysIn(text: string): PublicKeys | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const keys = typeof value === "object" && value !== null && "keys" in value ? value.keys : undefined;
    const isList = Array.isArray(keys) && keys.every((key) => typeof key === "object" && key !== null);
    return isList ? { keys } : undefined;
  } catch {
    return undefined;
  }
}

export function isRedirectUri(text: string): boolean {
  if (!/^[!-~]{1,1024}$/.test(text) || text.includes("#") || !URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return !dangerousSchemes.has(protocol) && username === "" && password === "";
}

function isLogoutUri(text: string): boolean {
  return isRedirectUri(text) && /^https?:$/.test(new URL(text).protocol);
}

/** RFC 8707 section 2. */
export function isResource(text: string): boolean {
  return /^[!-~]{1,512}$/.test(text) && !text.includes("#") && URL.canParse(text);
}

/**
 * The same characters (RFC 9700 section 2.1). The port of a loopback address may differ: an app on the person's own
 * machine listens where there is room (RFC 8252 section 7.3).
 */
export function isRegisteredRedirect({ redirectUris }: RegisteredClient, redirectUri: string): boolean {
  if (redirectUris.includes(redirectUri)) return true;
  const loopback = withoutLoopbackPort(redirectUri);
  return loopback !== undefined && redirectUris.some((uri) => withoutLoopbackPort(uri) === loopback);
}

function withoutLoopbackPort(uri: string): string | undefined {
  const [, host = "", port, rest = ""] =
    /^http:\/\/(127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?([/?].*)?$/.exec(uri) ?? [];
  if (!loopbackHosts.has(host) || Number(port?.slice(1) ?? 80) > 65_535) return undefined;
  return `http://${host}${rest}`;
}

/** What the sessions of a client are opened under. */
interface ClientRights extends Pick<RegisteredClient, "scopes" | "resources" | "userId"> {
  readonly grantTypes: readonly string[];
}

/** True if sessions of before were opened under rights that the client has no more. */
export function isNarrower(before: ClientRights, after: ClientRights): boolean {
  const lacks = (list: "scopes" | "resources" | "grantTypes") => {
    const present: readonly string[] = after[list];
    return before[list].some((each) => !present.includes(each));
  };
  return lacks("scopes") || lacks("resources") || lacks("grantTypes") || before.userId !== after.userId;
}
