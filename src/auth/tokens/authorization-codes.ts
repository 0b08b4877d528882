import type { AssuranceLevel, Peer } from "../model.ts";
import type { Step } from "../store.ts";

/** What a code stands for: a finished login, waiting for its client at `/auth/token`. */
export interface CodeGrant {
  readonly userId: string;
  readonly credentialId: string;
  readonly clientId: string;
  readonly clientName: string | null;
  readonly redirectUri: string | null;
  /** PKCE S256; null when the client sent none (Home Assistant's clients do not). */
  readonly codeChallenge: string | null;
  readonly assurance: AssuranceLevel;
  readonly amr: readonly string[];
  readonly authenticatedAt: number;
}

/** Authorization codes (RFC 6749 section 4.1): 128 bits, stored hashed, single use, 10 minutes (Home Assistant's). */
export interface AuthorizationCodes {
  /** Makes a code and the part of the caller's commit that stores it. */
  prepare(grant: CodeGrant): { readonly code: string; readonly step: Step };
  /**
   * Takes a code once: exactly one of any number of parallel calls gets the grant, with the step that marks it used,
   * which the caller commits together with the session. A second use ends the session that the first one made
   * (RFC 6749 section 4.1.2). Throws `AuthError("invalid_code")` alike for unknown, expired, used, another client's,
   * and a wrong PKCE verifier.
   */
  redeem(request: {
    readonly code: string;
    readonly clientId: string;
    readonly codeVerifier?: string;
    readonly peer: Peer;
  }): Promise<{ readonly grant: CodeGrant; readonly consume: (sessionId: string) => Step }>;
}
