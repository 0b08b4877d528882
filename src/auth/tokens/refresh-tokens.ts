import { createHmac, createSecretKey } from "node:crypto";

import { isSameText } from "../constant-time.ts";
import { AuthError } from "../errors.ts";
import type { Sealing } from "./sealing.ts";

/**
 * Refresh tokens need no record each. A token contains version, session id, generation and a MAC. The MAC key is
 * derived from the installation's secret and the session id, so garbage is refused without a store call.
 */
export interface RefreshTokens {
  issue(sessionId: string, generation: number): string;
  /**
   * Undefined unless this installation issued the token. NOT yet verified: whether session and generation are valid.
   */
  read(token: string): { readonly sessionId: string; readonly generation: number } | undefined;
}

const prefix = "ghr_";
const version = 1;
const bodyBytes = 1 + 16 + 4;
/**
 * 128 bits: the minimum of RFC 2104 section 5 for a truncated HMAC-SHA256, and infeasible to guess over a network.
 */
const macBytes = 16;
const tokenLength = prefix.length + Math.ceil(((bodyBytes + macBytes) * 4) / 3);
const largestGeneration = 0xffff_ffff;

/**
 * A token is `ghr_` and base64url of: version (1 byte), session id (16), generation (4, big-endian), MAC (16). The
 * prefix lets secret scanners find a leaked one.
 *
 * `issue` throws `AuthError("unknown_error")` for a session id that is not 32 hex digits or a generation over 32 bits.
 */
export function createRefreshTokens(sealing: Sealing): RefreshTokens {
  const root = createSecretKey(sealing.derive("refresh tokens 1"));

  const issue = (sessionId: string, generation: number): string => {
    const body = Buffer.alloc(bodyBytes);
    body.writeUInt8(version, 0);
    body.write(sessionId, 1, "hex");
    body.writeUInt32BE(generation, 17);
    const sessionKey = createHmac("sha256", root).update(body.subarray(1, 17)).digest();
    const mac = createHmac("sha256", sessionKey).update(body).digest().subarray(0, macBytes);
    return prefix + Buffer.concat([body, mac]).toString("base64url");
  };

  return {
    issue(sessionId, generation) {
      if (!/^[0-9a-f]{32}$/.test(sessionId) || !isGeneration(generation))
        throw new AuthError("unknown_error", {
          detail: "no refresh token can carry this session or generation",
        });
      return issue(sessionId, generation);
    },
    read(token) {
      if (token.length !== tokenLength || !token.startsWith(prefix)) return undefined;
      const bytes = Buffer.from(token.slice(prefix.length), "base64url");
      if (bytes.length !== bodyBytes + macBytes) return undefined;
      const sessionId = bytes.toString("hex", 1, 17);
      const generation = bytes.readUInt32BE(17);
      // The whole text is compared, so each token has one encoding.
      return isSameText(token, issue(sessionId, generation)) ? { sessionId, generation } : undefined;
    },
  };
}

function isGeneration(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= largestGeneration;
}
