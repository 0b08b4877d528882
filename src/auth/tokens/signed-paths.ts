import { createSecretKey, type KeyObject } from "node:crypto";
import { type JWTPayload, jwtVerify, SignJWT } from "jose";

import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import type { Sealing } from "./sealing.ts";

/**
 * Signed paths, as in Home Assistant: `?authSig=<jwt>` lets a browser fetch one path without a header. Unlike Home
 * Assistant's they stay valid across a restart, and become invalid with their session.
 */
export interface SignedPaths {
  /** The path with its query and `authSig` added. */
  sign(sessionId: string, path: string, ttlSeconds: number): Promise<string>;
  /**
   * The session that signed exactly this path and query. Undefined if the signature is forged or expired, or the path
   * was changed.
   */
  verify(pathAndQuery: string): Promise<string | undefined>;
}

const signatureParameter = "authSig";
/** Not signed, so that a page may request another size, as in Home Assistant. */
const freeParameters: readonly string[] = ["width", "height", signatureParameter];
const maxPathLength = 2048;
const maxSignedLength = 16_384;
const maxTtlSeconds = 86_400;
/** A type of its own, in addition to a key of its own: not an access token's (RFC 8725 section 3.11). */
const kind = "signed-path+jwt";
/** Base64url of 43 characters, whose last one has two bits that must be 0: each signature has one encoding. */
const compactShape = /^[\w-]+\.[\w-]+\.[\w-]{42}[AEIMQUYcgkosw048]$/;

/** A request target as a browser sends it, and the parts of it that are signed. */
interface Target {
  readonly path: string;
  /** Decoded names and values in their order, without `freeParameters`. */
  readonly params: readonly (readonly [string, string])[];
  readonly signatures: readonly string[];
  /** Path and query as a browser encodes them. */
  readonly text: string;
}

/**
 * HS256 with a key derived from the installation's secret. The path is compared percent-encoded (Home Assistant
 * compares it decoded): `/a%2Fb` is not `/a/b`.
 *
 * `sign` rejects with `AuthError("invalid_format")` if the text is not a plain path of this origin, has an `authSig`
 * already, or the life is not 1 second to 1 day. NOT verified by `verify`: that the session is live, and that the
 * method is GET or HEAD.
 */
export function createSignedPaths(options: { sealing: Sealing; clock: Clock }): SignedPaths {
  const key = createSecretKey(options.sealing.derive("signed paths 1"));
  const { clock } = options;
  return {
    async sign(sessionId, path, ttlSeconds) {
      const target = path.length > maxPathLength ? undefined : parse(path);
      if (target === undefined || target.signatures.length > 0)
        throw new AuthError("invalid_format", { publicMessage: "The path cannot be signed." });
      if (!Number.isInteger(ttlSeconds) || ttlSeconds < 1 || ttlSeconds > maxTtlSeconds)
        throw new AuthError("invalid_format", { publicMessage: "The path's life is not 1 second to 1 day." });
      const iat = Math.floor(clock.now() / 1000);
      const claims = { iss: sessionId, path: target.path, params: target.params, iat, exp: iat + ttlSeconds };
      const signature = await new SignJWT({ ...claims })
        .setProtectedHeader({ alg: "HS256", typ: kind })
        .sign(key);
      return `${target.text}${target.text.includes("?") ? "&" : "?"}${signatureParameter}=${signature}`;
    },
    async verify(pathAndQuery) {
      const target = pathAndQuery.length > maxSignedLength ? undefined : parse(pathAndQuery);
      const [signature, ...more] = target?.signatures ?? [];
      if (target === undefined || signature === undefined || more.length > 0) return undefined;
      const claims = await claimsOf(signature, key, clock);
      return claims !== undefined && isFor(claims, target) ? claims.iss : undefined;
    },
  };
}

async function claimsOf(signature: string, key: KeyObject, clock: Clock): Promise<JWTPayload | undefined> {
  if (!compactShape.test(signature)) return undefined;
  try {
    const currentDate = new Date(clock.now());
    const options = { algorithms: ["HS256"], typ: kind, requiredClaims: ["iss", "exp"], currentDate };
    return (await jwtVerify(signature, key, options)).payload;
  } catch {
    return undefined;
  }
}

function isFor(claims: JWTPayload, target: Target): boolean {
  return claims.path === target.path && JSON.stringify(claims.params) === JSON.stringify(target.params);
}

/** Undefined for text that a browser, a proxy and a backend might read as different paths. */
function parse(text: string): Target | undefined {
  if (!text.startsWith("/") || hasUnsafeCharacter(text) || text.includes("#")) return undefined;
  const rawPath = text.split("?", 1)[0] ?? "";
  if (!isPlain(rawPath) || !isPlain(decoded(rawPath))) return undefined;
  // Encodes characters outside ASCII as a browser will. The origin is only needed for parsing.
  const url = new URL(`http://gatehouse.invalid${text}`);
  const params = [...url.searchParams];
  return {
    path: url.pathname,
    params: params.filter(([name]) => !freeParameters.includes(name)),
    signatures: params.filter(([name]) => name === signatureParameter).map(([, value]) => value),
    text: url.pathname + url.search,
  };
}

/** No empty, `.` or `..` segment. */
function isPlain(path: string | undefined): boolean {
  if (path === undefined || hasUnsafeCharacter(path) || path.includes("//")) return false;
  return !path.split("/").some((segment) => segment === "." || segment === "..");
}

function decoded(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

/** Backslash (a slash to browsers) and control characters. */
function hasUnsafeCharacter(text: string): boolean {
  return /[\\\p{Cc}]/u.test(text);
}
